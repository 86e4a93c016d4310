//! What a device knows about its slots: the content of one record of the journal.

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What is in a slot, and how far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing.
    #[default]
    Empty,
    /// An upload that has begun: the slot's content means nothing.
    Receiving,
    /// A model whose length, SHA-256 and signature are right. It has never run.
    Complete,
    /// A model that the next boot runs on trial.
    Activated,
    /// A model that has been booted and that nobody has confirmed yet. If this boot ends, the
    /// next one rejects it.
    Trial,
    /// A model that was confirmed: a good one.
    Confirmed,
    /// A model that has failed its trial, was rolled back, or was found damaged. It runs when it
    /// is activated again, and not before.
    Rejected,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Empty,
        Self::Receiving,
        Self::Complete,
        Self::Activated,
        Self::Trial,
        Self::Confirmed,
        Self::Rejected,
    ];
}

/// A slot in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) phase: Phase,
    /// The first 16 bytes of the SHA-256 of the slot's manifest, which holds the model's.
    pub(crate) digest: [u8; 16],
}

/// One value for each slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair<T> {
    pub(crate) a: T,
    pub(crate) b: T,
}

impl<T> Pair<T> {
    pub(crate) fn of(&self, slot: Slot) -> &T {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }

    pub(crate) fn of_mut(&mut self, slot: Slot) -> &mut T {
        match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        }
    }
}

/// All that a device knows about its slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The lowest version that is taken.
    pub(crate) floor: u32,
    /// The good model that runs when no other is on trial.
    pub(crate) current: Option<Slot>,
    pub(crate) slots: Pair<Entry>,
}

impl State {
    /// Bytes of a state in a record.
    pub(crate) const BYTES: usize = 40;

    pub(crate) fn phase(&self, slot: Slot) -> Phase {
        self.slots.of(slot).phase
    }

    pub(crate) fn set_phase(&mut self, slot: Slot, phase: Phase) {
        self.slots.of_mut(slot).phase = phase;
    }

    /// The slot in a phase, the first if both are.
    pub(crate) fn slot_in(&self, phase: Phase) -> Option<Slot> {
        Slot::ALL
            .into_iter()
            .find(|&slot| self.phase(slot) == phase)
    }

    /// `floor: u32  current: u8 = 0, 1 (A) or 2 (B)  phases: [u8; 2]  0: u8  digests: [[u8; 16]; 2]`
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let current = match self.current {
            None => 0,
            Some(Slot::A) => 1,
            Some(Slot::B) => 2,
        };
        let [a, b, c, d] = self.floor.to_le_bytes();
        let Pair {
            a: first,
            b: second,
        } = self.slots;
        let head = [
            a,
            b,
            c,
            d,
            current,
            first.phase as u8,
            second.phase as u8,
            0,
        ];
        let mut bytes = [0; Self::BYTES];
        let all = head.into_iter().chain(first.digest).chain(second.digest);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    }

    /// `None` for bytes that no state has.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[a, b, c, d, current, first, second, 0], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (&digest_a, rest) = rest.split_first_chunk()?;
        let &digest_b = rest.first_chunk()?;
        let entry = |phase: u8, digest| {
            let phase = *Phase::ALL.get(usize::from(phase))?;
            Some(Entry { phase, digest })
        };
        Some(Self {
            floor: u32::from_le_bytes([a, b, c, d]),
            current: match current {
                0 => None,
                1 => Some(Slot::A),
                2 => Some(Slot::B),
                _ => return None,
            },
            slots: Pair {
                a: entry(first, digest_a)?,
                b: entry(second, digest_b)?,
            },
        })
    }
}
