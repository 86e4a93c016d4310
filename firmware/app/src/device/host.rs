//! One host at a time, and each request once.

use niwaki::OperatorSet;
use niwaki_wire::{
    Answer, Error, Head, PROTOCOL, Reply, Request, decode, decode_head, encode, payload_bytes,
};

use super::answer::Core;
use super::{Board, ModelStore};

/// Seconds after which a silent host has lost the board.
const SILENCE_SECONDS: u64 = 10;

/// Bytes of the longest frame that tells a stranger why it is not served.
const REFUSAL_BYTES: usize = 40;

/// The host that has the board, and the last answer to it.
#[derive(Debug)]
pub(super) struct Host<const FRAME: usize> {
    owner: Option<Owner>,
    /// The last answer to the owner, to be sent again for a retry.
    frame: [u8; FRAME],
    len: usize,
    refusal: [u8; REFUSAL_BYTES],
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    head: Head,
    /// When it was heard last.
    heard: u64,
    /// It has written inputs.
    feeding: bool,
}

impl<const FRAME: usize> Host<FRAME> {
    pub(super) fn new() -> Self {
        const { assert!(payload_bytes(FRAME) >= 192, "no room for Reply::Info") };
        Self {
            owner: None,
            frame: [0; FRAME],
            len: 0,
            refusal: [0; REFUSAL_BYTES],
        }
    }

    /// The session of the host that feeds the model, if one does.
    pub(super) fn feeding(&self, board: &impl Board) -> Option<u32> {
        let owner = self.owner(board)?;
        owner.feeding.then_some(owner.head.session)
    }

    /// The owner, unless it has been silent for too long.
    fn owner(&self, board: &impl Board) -> Option<Owner> {
        let patience = board.per_second().saturating_mul(SILENCE_SECONDS);
        let silent = |owner: &Owner| board.now().saturating_sub(owner.heard);
        self.owner
            .filter(|owner| patience == 0 || silent(owner) <= patience)
    }

    /// Takes a message, has it answered, and gives the frame to send, if there is one.
    pub(super) fn hear<S: OperatorSet, T: ModelStore>(
        &mut self,
        payload: &[u8],
        core: &mut Core<'_, S, T>,
        board: &impl Board,
        link: (u32, u32),
    ) -> Option<&[u8]> {
        let Some((head, request)) = decode::<Request<'_>>(payload) else {
            // A request of a later version, or no request at all.
            return self.refuse(decode_head(payload)?, Error::Malformed);
        };
        let owner = self.owner(board);
        let own = owner.filter(|owner| owner.head.session == head.session);
        match (own, &request) {
            (Some(own), _) if own.head == head => {
                self.heard(head, board, own.feeding);
                return self.frame.get(..self.len);
            }
            (Some(own), _) if !is_behind(head, own.head) => return None,
            (Some(_), _) => {}
            (None, Request::Hello { protocol, .. }) if *protocol != PROTOCOL => {
                return self.refuse(head, Error::OtherProtocol { board: PROTOCOL });
            }
            (None, Request::Hello { take_over, .. }) if *take_over || owner.is_none() => {
                core.forget_host();
            }
            (None, _) => {
                let error = match owner {
                    Some(owner) => Error::Busy {
                        session: owner.head.session,
                    },
                    None => Error::NoSession,
                };
                return self.refuse(head, error);
            }
        }
        let feeding = own.is_some_and(|own| own.feeding);
        self.heard(
            head,
            board,
            feeding || matches!(request, Request::Input { .. }),
        );
        let is_goodbye = matches!(request, Request::Bye);
        self.len = 0;
        let frame = &mut self.frame;
        let mut send = |answer: &Answer<'_>| {
            self.len = encode(&head, answer, frame).map_or(0, |frame| frame.len());
        };
        match request {
            Request::Hello { .. } => send(&Ok(Reply::Hello {
                protocol: PROTOCOL,
                payload: payload_bytes(FRAME) as u16,
            })),
            Request::Bye => send(&Ok(Reply::Done)),
            request => core.answer(request, board, link, payload_bytes(FRAME), &mut send),
        }
        if is_goodbye {
            core.forget_host();
            self.owner = None;
        }
        self.frame.get(..self.len)
    }

    fn heard(&mut self, head: Head, board: &impl Board, feeding: bool) {
        self.owner = Some(Owner {
            head,
            heard: board.now(),
            feeding,
        });
    }

    /// An answer that leaves the last one to the owner as it is.
    fn refuse(&mut self, head: Head, error: Error) -> Option<&[u8]> {
        let answer: Answer<'_> = Err(error);
        encode(&head, &answer, &mut self.refusal).map(|frame| &*frame)
    }
}

/// Whether a request comes behind another one, and not late.
fn is_behind(head: Head, last: Head) -> bool {
    head.sequence.wrapping_sub(last.sequence) < 1 << 15
}
