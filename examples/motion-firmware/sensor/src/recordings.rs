//! Recorded windows, as `examples/motion` has them.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::path::Path;

use npyz::NpyFile;
use zip::ZipArchive;

use crate::Motion;

/// Channels and steps of a window.
const CHANNELS: usize = 6;
const STEPS: usize = 50;

/// Windows of five seconds, and the activity of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Recordings {
    /// Steps of 0.1 s.
    pub windows: Vec<[Motion; STEPS]>,
    /// Places in the list of activities.
    pub labels: Vec<u8>,
}

impl Recordings {
    /// Reads an `.npz` with `motion` float32 [N,6,50] and `y` uint8 [N].
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or does not have these arrays.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut archive = ZipArchive::new(BufReader::new(File::open(path)?))?;
        let values: Vec<f32> = NpyFile::new(archive.by_name("motion.npy")?)?.into_vec()?;
        let labels: Vec<u8> = NpyFile::new(archive.by_name("y.npy")?)?.into_vec()?;
        let (windows, rest) = values.as_chunks::<{ CHANNELS * STEPS }>();
        if !rest.is_empty() || windows.len() != labels.len() {
            let text = "motion has to be [N,6,50], and y [N]";
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        Ok(Self {
            windows: windows.iter().map(to_motions).collect(),
            labels,
        })
    }
}

/// From channel by channel to step by step.
fn to_motions(window: &[f32; CHANNELS * STEPS]) -> [Motion; STEPS] {
    std::array::from_fn(|step| {
        let value = |channel| window.get(channel * STEPS + step).copied();
        let values = |first| std::array::from_fn(|i| value(first + i).unwrap_or_default());
        Motion {
            acceleration: values(0),
            rate: values(3),
        }
    })
}
