//! A board in memory: a line, a clock, flash that is simulated, and a device that starts anew when it
//! asks for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use niwaki::{All, OperatorSet};
use niwaki_firmware::{Board, Device, Memory, Meter, Start, Turn};
use niwaki_store::simulate::{Power, SimFlash};
use niwaki_store::{Boot, Manifest, Store, Trust, Updater};
use niwaki_wire::{Answer, Decoder, Head, PROTOCOL, Request, Unit, decode, encode};

pub const ARENA: usize = niwaki_fixture::ARENA_BYTES;
pub const OPERATORS: usize = niwaki_fixture::OPERATORS.len();
/// What the clock counts in a second.
pub const SECOND: u64 = 1000;

/// Goes on by one with each look at it.
#[derive(Default)]
pub struct Clock(pub Cell<u64>);

impl Meter for Clock {
    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

impl Board for Clock {
    fn name(&self) -> &'static str {
        "rig"
    }

    fn unit(&self) -> Unit {
        Unit::Cycles
    }

    fn per_second(&self) -> u64 {
        SECOND
    }

    fn stack(&self) -> Option<(u32, u32)> {
        Some((512, 4096))
    }
}

/// One way of a line.
#[derive(Default)]
pub struct Way(pub RefCell<VecDeque<u8>>);

/// The board's end of a line.
pub struct End<'w> {
    pub to_board: &'w Way,
    pub to_host: &'w Way,
}

impl ErrorType for End<'_> {
    type Error = Infallible;
}

impl ReadReady for End<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.to_board.0.borrow().is_empty())
    }
}

impl Read for End<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let mut way = self.to_board.0.borrow_mut();
        // A few at a time, as a UART gives them.
        let len = way.len().min(buffer.len()).min(7);
        for (to, from) in buffer.iter_mut().zip(way.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }
}

impl Write for End<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.to_host.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

type Flash = SimFlash<4, 256>;

/// A device of the rig; `A` bytes of arena.
pub type RigDevice<'r, S> = Device<'r, S, Updater<'r, Flash, Flash>, Clock, End<'r>>;

/// The board, without its device.
pub struct Rig<const A: usize = ARENA> {
    pub store: Store<Flash, Flash>,
    memory: Memory<A, 0, OPERATORS>,
    clock: Clock,
    to_board: Way,
    to_host: Way,
    embedded: Option<Vec<u32>>,
}

impl<const A: usize> Rig<A> {
    /// A board with empty slots of some sectors, and a model in its image.
    pub fn new(embedded: Option<&[u8]>, sectors: usize, trust: Trust) -> Self {
        let power = Power::new(1);
        let slots = [(); 2].map(|()| Flash::new(sectors, &power));
        Self {
            store: Store::open(Flash::new(2, &power), slots, trust).unwrap(),
            memory: Memory::new(),
            clock: Clock::default(),
            to_board: Way::default(),
            to_host: Way::default(),
            embedded: embedded.map(words),
        }
    }

    /// Starts the device and does `test` with it, and gives what it wants to do next.
    pub fn start<S: OperatorSet>(
        &mut self,
        refused: Option<niwaki_wire::Error>,
        test: impl FnOnce(&mut RigDevice<'_, S>, &Line<'_>),
    ) -> Turn {
        let Boot {
            running, updater, ..
        } = self.store.boot();
        let start = Start {
            slot: running.map(Into::into),
            embedded: self.embedded.as_deref().map(niwaki::as_bytes),
            refused,
        };
        let line = Line {
            to_board: &self.to_board,
            to_host: &self.to_host,
            clock: &self.clock,
        };
        let mut link = End {
            to_board: &self.to_board,
            to_host: &self.to_host,
        };
        let mut device =
            RigDevice::<S>::new(start, updater, &mut self.memory, &self.clock, &mut link);
        test(&mut device, &line);
        device.poll()
    }
}

/// The host's end.
pub struct Line<'l> {
    pub to_board: &'l Way,
    pub to_host: &'l Way,
    pub clock: &'l Clock,
}

impl Line<'_> {
    /// Sends bytes, and gives the payloads that come back.
    pub fn exchange<S: OperatorSet>(
        &self,
        device: &mut RigDevice<'_, S>,
        bytes: &[u8],
    ) -> Vec<Vec<u8>> {
        self.to_board.0.borrow_mut().extend(bytes);
        device.poll();
        let answer: Vec<u8> = self.to_host.0.borrow_mut().drain(..).collect();
        let (mut decoder, mut rest, mut payloads) = (Decoder::<512>::new(), &answer[..], vec![]);
        while let (Some(payload), behind) = decoder.push(rest) {
            payloads.push(payload.to_vec());
            rest = behind;
        }
        assert_eq!(decoder.dropped(), 0, "a board sends whole frames only");
        payloads
    }
}

/// A host with a session.
pub struct Host {
    pub head: Head,
}

impl Host {
    pub fn new(session: u32) -> Self {
        let sequence = 0xFFFE;
        Self {
            head: Head { session, sequence },
        }
    }

    /// The frame of the next request.
    pub fn next(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.head.sequence = self.head.sequence.wrapping_add(1);
        frame(&self.head, request)
    }

    /// Asks, and looks at the answer.
    pub fn ask<S: OperatorSet, O>(
        &mut self,
        device: &mut RigDevice<'_, S>,
        line: &Line<'_>,
        request: &Request<'_>,
        look: impl FnOnce(Answer<'_>) -> O,
    ) -> O {
        let frame = self.next(request);
        let payloads = line.exchange(device, &frame);
        assert_eq!(payloads.len(), 1, "{request:?}");
        let (head, answer) = decode(&payloads[0]).unwrap();
        assert_eq!(head, self.head);
        look(answer)
    }

    /// Begins the session.
    pub fn hello<S: OperatorSet>(&mut self, device: &mut RigDevice<'_, S>, line: &Line<'_>) {
        let hello = Request::Hello {
            protocol: PROTOCOL,
            take_over: false,
        };
        self.ask(device, line, &hello, |answer| {
            assert!(
                matches!(answer, Ok(niwaki_wire::Reply::Hello { .. })),
                "{answer:?}"
            );
        });
    }

    /// Uploads an update as far as it is taken.
    pub fn upload<S: OperatorSet>(
        &mut self,
        device: &mut RigDevice<'_, S>,
        line: &Line<'_>,
        update: &[u8],
    ) -> Result<(), niwaki_wire::Error> {
        let (manifest, model) = update.split_at(Manifest::BYTES);
        let begin = Request::UploadBegin { manifest };
        self.ask(device, line, &begin, |answer| answer.map(drop))?;
        let mut offset = 0;
        for bytes in model.chunks(100) {
            let chunk = Request::UploadChunk { offset, bytes };
            self.ask(device, line, &chunk, |answer| answer.map(drop))?;
            offset += bytes.len() as u32;
        }
        self.ask(device, line, &Request::UploadEnd, |answer| answer.map(drop))
    }
}

/// The frame of a request.
pub fn frame(head: &Head, request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; 512];
    encode(head, request, &mut buffer).unwrap().to_vec()
}

/// A model behind an unsigned manifest.
pub fn update(model: &[u8]) -> Vec<u8> {
    let manifest = Manifest::of(1, model).unwrap();
    [&manifest.to_bytes(), model].concat()
}

/// A model's bytes, aligned.
pub fn words(artifact: &[u8]) -> Vec<u32> {
    let (whole, rest) = artifact.as_chunks::<4>();
    assert!(rest.is_empty(), "sections end at multiples of 16");
    whole.iter().map(|four| u32::from_le_bytes(*four)).collect()
}

/// What a host gives for one sample of the fixture: the output, then the digests.
pub fn expected(artifact: &[u8], sample: [u8; 8]) -> (Vec<u8>, Vec<u8>) {
    let artifact = words(artifact);
    let model = niwaki::Model::<All>::new(niwaki::as_bytes(&artifact)).unwrap();
    let mut arena = [0u32; ARENA.div_ceil(4)];
    let mut session = niwaki::Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    let (a, b) = sample.split_at(4);
    session.input_mut(0).unwrap().copy_from_slice(a);
    session.input_mut(1).unwrap().copy_from_slice(b);
    let mut digests = Vec::new();
    session
        .run_digests(&mut |_, digest| digests.extend(digest.0.to_le_bytes()))
        .unwrap();
    (session.output(0).unwrap().to_vec(), digests)
}
