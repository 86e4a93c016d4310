//! Records of the state, each behind the last, on two pages of flash.
//!
//! ```text
//!  0  "NWJ" 1
//!  4  sequence: u32, one more than in the record before
//!  8  the state, 40 bytes
//! 48  0, 12 bytes
//! 60  CRC-32 (ISO-HDLC) of all before it
//! ```
//!
//! A record holds the whole state, and the valid one with the highest sequence is the truth. Each
//! takes 64 bytes, or one unit of a write where that is more, and is written only where all bits
//! are ones. When the page of the newest record is full, the *other* page is erased and gets the
//! next one: so whatever a torn write or erase leaves behind, the newest whole record is not in it.

use embedded_storage::nor_flash::{NorFlash, NorFlashError};

use crate::flash::{self, MAX_WRITE};
use crate::state::State;
use crate::{Error, Part};

const MAGIC: [u8; 4] = *b"NWJ\x01";
const RECORD: usize = 64;
const CRC_AT: usize = 60;

/// Without a table: a record is written a few times for each update.
const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

/// One of the two pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Low,
    High,
}

/// A journal that has been read.
#[derive(Debug)]
pub(crate) struct Journal<F> {
    flash: F,
    /// Bytes of a page.
    page: u32,
    /// Where the newest record is, and its sequence.
    newest: Option<(Page, u32)>,
    /// Where the next one goes; `None` when a page has to be erased for it.
    next: Option<u32>,
    /// That an append has failed, which may have written its record all the same.
    doubtful: bool,
}

impl<F: NorFlash> Journal<F> {
    /// Bytes from one record to the next.
    const STRIDE: usize = RECORD.next_multiple_of(F::WRITE_SIZE);

    /// Reads the journal, and the newest state in it.
    pub(crate) fn open(flash: F) -> Result<(Self, Option<State>), Error> {
        const { assert!(flash::suits::<F>(), "no journal fits this flash's sizes") };
        let page = flash.capacity() / 2 / F::ERASE_SIZE * F::ERASE_SIZE;
        let mut journal = Self {
            flash,
            page: u32::try_from(page).map_err(|_| Error::Geometry(Part::Journal))?,
            newest: None,
            next: None,
            doubtful: false,
        };
        if page < Self::STRIDE {
            return Err(Error::Geometry(Part::Journal));
        }
        let mut newest = None;
        for page in [Page::Low, Page::High] {
            let mut at = Some(journal.start(page));
            while let Some(here) = at {
                if let Some((sequence, state)) = parse(&journal.record(here)?)
                    && journal.newest.is_none_or(|(_, last)| sequence > last)
                {
                    journal.newest = Some((page, sequence));
                    newest = Some(state);
                }
                at = journal.behind(here);
            }
        }
        // What a torn write has left behind the newest record cannot be written over.
        if let Some((page, _)) = journal.newest {
            let mut at = Some(journal.start(page));
            journal.next = at;
            while let Some(here) = at {
                at = journal.behind(here);
                if journal.record(here)?.iter().any(|&byte| byte != 0xFF) {
                    journal.next = at;
                }
            }
        }
        Ok((journal, newest))
    }

    pub(crate) fn release(self) -> F {
        self.flash
    }

    /// Whether it is not known which of two states the next boot would find.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Writes a state behind the last one. After an error the last one still holds, or the new
    /// one does.
    pub(crate) fn append(&mut self, state: &State) -> Result<(), Error> {
        // A page of flash that is worn out is tried this often, and then the other stays as it is.
        const ATTEMPTS: usize = 4;
        let newest = self.newest;
        let sequence = newest.map_or(0, |(_, last)| last.saturating_add(1));
        let mut buffer = [0xFF; MAX_WRITE];
        let record = buffer.get_mut(..Self::STRIDE).ok_or(GEOMETRY)?;
        let bytes = to_bytes(sequence, state);
        record
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);

        self.doubtful = true;
        for _ in 0..ATTEMPTS {
            let (page, at) = match (self.next, newest) {
                (Some(at), _) => (self.page_of(at), at),
                (None, Some((Page::Low, _))) => (Page::High, self.fresh(Page::High)?),
                (None, _) => (Page::Low, self.fresh(Page::Low)?),
            };
            // Whatever becomes of the write, nothing is written there a second time.
            self.next = self.behind(at);
            self.flash.write(at, record).map_err(failure)?;
            if self.record(at)? == bytes {
                self.newest = Some((page, sequence));
                self.doubtful = false;
                return Ok(());
            }
        }
        Err(Error::Worn(Part::Journal))
    }

    /// Erases a page, and gives where it begins.
    fn fresh(&mut self, page: Page) -> Result<u32, Error> {
        let start = self.start(page);
        let end = start.saturating_add(self.page);
        self.flash.erase(start, end).map_err(failure)?;
        Ok(start)
    }

    fn start(&self, page: Page) -> u32 {
        match page {
            Page::Low => 0,
            Page::High => self.page,
        }
    }

    fn page_of(&self, at: u32) -> Page {
        if at < self.page {
            Page::Low
        } else {
            Page::High
        }
    }

    /// Where the record behind the one at `at` lies, if it is on the same page.
    fn behind(&self, at: u32) -> Option<u32> {
        let stride = Self::STRIDE as u32;
        let next = at.checked_add(stride)?;
        let end = self.start(self.page_of(at)).checked_add(self.page)?;
        (next.checked_add(stride)? <= end).then_some(next)
    }

    fn record(&mut self, at: u32) -> Result<[u8; RECORD], Error> {
        let mut record = [0; RECORD];
        // A read is of whole units, which are none of a write's, that RECORD may be less than.
        const { assert!(RECORD.is_multiple_of(F::READ_SIZE), "reads are too coarse") };
        self.flash.read(at, &mut record).map_err(failure)?;
        Ok(record)
    }
}

const GEOMETRY: Error = Error::Geometry(Part::Journal);

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failure(error: impl NorFlashError) -> Error {
    Error::Flash(Part::Journal, error.kind())
}

fn to_bytes(sequence: u32, state: &State) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let words = MAGIC.into_iter().chain(sequence.to_le_bytes());
    let all = words.chain(state.to_bytes());
    record.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    if let Some((covered, crc)) = record.split_at_mut_checked(CRC_AT) {
        crc.copy_from_slice(&CRC.checksum(covered).to_le_bytes());
    }
    record
}

fn parse(record: &[u8; RECORD]) -> Option<(u32, State)> {
    let (covered, crc) = record.split_at_checked(CRC_AT)?;
    let (magic, rest) = covered.split_first_chunk()?;
    let (sequence, state) = rest.split_first_chunk()?;
    if *magic != MAGIC || crc != CRC.checksum(covered).to_le_bytes() {
        return None;
    }
    Some((u32::from_le_bytes(*sequence), State::read(state)?))
}

#[cfg(all(test, feature = "simulate"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

    use super::*;
    use crate::MappedFlash as _;
    use crate::simulate::{Power, SimFlash, Tear};

    type Flash = SimFlash<4, 256>;

    /// A state that no other number has.
    fn state(floor: u32) -> State {
        State {
            floor,
            ..State::default()
        }
    }

    #[test]
    fn a_torn_append_leaves_the_record_before_or_the_new_one() {
        for records in 1..20 {
            let (mut journal, _) = Journal::open(Flash::new(2, &Power::new(0))).unwrap();
            for number in 0..records {
                journal.append(&state(number)).unwrap();
            }
            let before = journal.release();
            // A record of 16 words, and an erasure in front of it when its page is fresh.
            let operations = if records.is_multiple_of(4) { 17 } else { 16 };
            for index in 0..operations {
                for tear in Tear::ALL {
                    let power = Power::new(index);
                    let flash = Flash::holding(before.bytes(), &power);
                    let (mut journal, last) = Journal::open(flash).unwrap();
                    assert_eq!(last, Some(state(records - 1)));
                    power.cut_at(index, tear);
                    journal.append(&state(records)).expect_err("power went off");
                    power.restore();
                    let (mut journal, found) = Journal::open(journal.release()).unwrap();
                    let floor = found.unwrap().floor;
                    assert!(floor == records || floor == records - 1);
                    journal.append(&state(100)).unwrap();
                    let (_, found) = Journal::open(journal.release()).unwrap();
                    assert_eq!(found, Some(state(100)));
                }
            }
        }
    }
}
