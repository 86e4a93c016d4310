//! A debugger's side of GDB's remote protocol, as far as a stack is measured with it: memory,
//! registers, breakpoints. See "GDB Remote Serial Protocol" in GDB's manual.

use std::fmt::Write as _;
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Bytes of one read or write: QEMU's packets have 4096 characters.
const CHUNK: usize = 1024;

/// How long a program may run between two breakpoints, and an emulator takes to start.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to an emulator that has stopped.
pub(super) struct Debugger {
    from: BufReader<TcpStream>,
    to: TcpStream,
}

impl Debugger {
    /// Connects to an emulator that has just been started and listens on `port`.
    pub(super) fn connect(port: u16) -> Result<Self> {
        let start = Instant::now();
        let to = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > Duration::from_secs(10) => {
                    return Err(error).context("the emulator does not listen to a debugger");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        to.set_read_timeout(Some(PATIENCE))?;
        let from = BufReader::new(to.try_clone()?);
        Ok(Self { from, to })
    }

    /// Register `index` of the core: 13 is the stack pointer, 15 the program counter.
    pub(super) fn register(&mut self, index: usize) -> Result<u32> {
        // All of them: QEMU gives single ones only to those who ask for its description first.
        let bytes = bytes(&self.ask("g")?)?;
        let word = bytes.as_chunks().0.get(index);
        Ok(u32::from_le_bytes(*word.context("a register is missing")?))
    }

    /// `len` bytes of memory.
    pub(super) fn read(&mut self, address: u32, len: u32) -> Result<Vec<u8>> {
        let mut memory = Vec::new();
        for at in (0..len).step_by(CHUNK) {
            let part = (len - at).min(CHUNK as u32);
            let reply = self.ask(&format!("m{:x},{part:x}", address + at))?;
            memory.extend(bytes(&reply)?);
        }
        ensure!(memory.len() == len as usize, "memory was read in part");
        Ok(memory)
    }

    /// Writes memory.
    pub(super) fn write(&mut self, address: u32, memory: &[u8]) -> Result<()> {
        for (part, at) in memory.chunks(CHUNK).zip((address..).step_by(CHUNK)) {
            let mut packet = format!("M{at:x},{:x}:", part.len());
            for byte in part {
                write!(packet, "{byte:02x}")?;
            }
            self.command(&packet)?;
        }
        Ok(())
    }

    /// Runs on until the instruction at `address` is next.
    pub(super) fn run_to(&mut self, address: u32) -> Result<()> {
        self.command(&format!("Z1,{address:x},2"))?;
        let stopped = self.ask("c")?;
        ensure!(
            stopped.starts_with("T05") || stopped.starts_with("S05"),
            "the program did not come by {address:#x}: the emulator says `{stopped}`"
        );
        let at = self.register(15)?;
        ensure!(
            at == address,
            "the program stopped at {at:#x}, not at {address:#x}"
        );
        self.command(&format!("z1,{address:x},2"))
    }

    /// Ends the emulator.
    pub(super) fn kill(mut self) -> Result<()> {
        Ok(self.to.write_all(&packet("k"))?)
    }

    /// Sends a packet that is answered by OK.
    fn command(&mut self, text: &str) -> Result<()> {
        let reply = self.ask(text)?;
        ensure!(reply == "OK", "`{text}` is answered by `{reply}`");
        Ok(())
    }

    /// Sends a packet and gives the reply.
    fn ask(&mut self, text: &str) -> Result<String> {
        self.to.write_all(&packet(text))?;
        while self.byte()? != b'$' {}
        let mut reply = String::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => reply.push(byte.into()),
            }
        }
        // The checksum: the connection is reliable.
        self.byte()?;
        self.byte()?;
        self.to.write_all(b"+")?;
        if reply.starts_with('E') {
            bail!("the emulator refuses `{text}`: {reply}");
        }
        Ok(reply)
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        let read = self.from.read_exact(&mut byte);
        read.context("the emulator does not answer")?;
        Ok(byte[0])
    }
}

/// A packet: its text between `$` and `#`, and its checksum.
fn packet(text: &str) -> Vec<u8> {
    let sum = text.bytes().fold(0u8, u8::wrapping_add);
    format!("${text}#{sum:02x}").into_bytes()
}

/// Bytes from their two hexadecimal digits each.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    ensure!(rest.is_empty(), "`{text}` has half a byte");
    let byte = |pair: &[u8; 2]| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.with_context(|| format!("`{text}` is not hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::{bytes, packet};

    #[test]
    fn a_packet_carries_its_checksum() {
        assert_eq!(packet("OK"), b"$OK#9a");
        assert_eq!(packet(""), b"$#00");
    }

    #[test]
    fn hexadecimal_is_read_and_nothing_else() {
        assert_eq!(bytes("00ff1a").unwrap(), [0, 255, 26]);
        assert!(bytes("0").is_err());
        assert!(bytes("0g").is_err());
    }
}
