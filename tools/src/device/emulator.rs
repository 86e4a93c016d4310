//! A board that QEMU emulates, with the application in it.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::Line;
use crate::homes::project_root;

/// Boards that QEMU emulates, by their folders in `firmware/boards`.
pub const BOARDS: [&str; 8] = [
    "microbit",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
    "netduinoplus2",
    "riscv-virt",
];

/// How long an emulator may take to connect.
const PATIENCE: Duration = Duration::from_secs(60);

/// An emulator at work, which ends with this value.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
}

impl Emulator {
    /// Starts a board with an image, and gives the line to its UART.
    ///
    /// # Errors
    ///
    /// When QEMU is not there, or does not like the board or the image.
    pub fn start(board: &str, image: &Path) -> Result<(Self, Box<dyn Line>)> {
        ensure!(
            BOARDS.contains(&board),
            "QEMU emulates no board `{board}`: it has {}",
            BOARDS.join(", ")
        );
        ensure!(
            image.is_file(),
            "{} is not there: `cargo xtask firmware {board}` builds one",
            image.display()
        );
        // The emulator connects to a port that is taken already: no other program can get it.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let uart = format!("tcp:{},nodelay=on", listener.local_addr()?);
        // One instruction a nanosecond, whatever the host does: the board's clock counts
        // instructions, and a run costs the same every time.
        let (program, machine) = match board {
            "riscv-virt" => ("qemu-system-riscv32", &["-M", "virt", "-bios", "none"][..]),
            _ => ("qemu-system-arm", &["-M", board][..]),
        };
        let child = Command::new(program)
            .args(machine)
            .args(["-display", "none", "-monitor", "none"])
            .args(["-icount", "shift=0", "-serial", &uart])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {program}: `apt-get install --no-install-recommends \
                     qemu-system-arm qemu-system-misc`"
                )
            })?;
        let mut emulator = Self { child };
        listener.set_nonblocking(true)?;
        let start = Instant::now();
        loop {
            if let Ok((line, _)) = listener.accept() {
                line.set_nonblocking(false)?;
                line.set_nodelay(true)?;
                return Ok((emulator, Box::new(line)));
            }
            if emulator.child.try_wait()?.is_some() {
                bail!("the emulator has ended: {}", emulator.complaint());
            }
            ensure!(start.elapsed() < PATIENCE, "the emulator does not connect");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Builds the image of a board's application, and gives its path.
    ///
    /// # Errors
    ///
    /// When there is no such board, or it does not build.
    pub fn build(board: &str) -> Result<PathBuf> {
        let output = Command::new("cargo")
            .args(["xtask", "firmware", board])
            .current_dir(project_root())
            .output()
            .context("cannot start cargo, which builds the image; give one with --image")?;
        ensure!(
            output.status.success(),
            "the image does not build: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let path = String::from_utf8(output.stdout)?;
        Ok(path
            .lines()
            .last()
            .context("the build named no image")?
            .into())
    }

    /// What it has said before it ended.
    fn complaint(&mut self) -> String {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut said);
        }
        said.trim().to_owned()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
