//! What a program has to do with pictures or sound before a model sees them, as JSON in the artifact.
//!
//! The npm package does it (`wasm/js/raw.js`); `runtime/FORMAT.md` has the formulas.

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// How an input is made of raw data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preprocess {
    /// Of the pixels of a picture.
    Image(Image),
    /// Of the samples of a sound.
    Audio(Audio),
}

/// An element is `(pixel * rescale - mean) / std`, with pixels from 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Which values a pixel has, and in which order.
    pub color: Color,
    /// The order of dimensions.
    pub layout: Layout,
    /// What pixels are multiplied by.
    #[serde(default = "one")]
    pub rescale: f64,
    /// For each value of a pixel; 0 where it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f64>,
    /// For each value of a pixel; 1 where it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f64>,
}

/// An element is a sample from -1 to 1, of one channel: the mean of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// Samples in a second.
    pub sample_rate: f64,
}

/// The values of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luminance of BT.601: (299 red + 587 green + 114 blue) / 1000.
    Gray,
}

/// The order of an image's dimensions, ONNX's or TensorFlow's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Channels, height, width.
    Nchw,
    /// Height, width, channels.
    Nhwc,
}

fn one() -> f64 {
    1.0
}

impl Preprocess {
    /// Reads it, and checks that it suits an input of this shape.
    ///
    /// # Errors
    ///
    /// When it is not such JSON, or not of this input.
    pub fn parse(json: &str, shape: &[usize]) -> Result<Self> {
        let this: Self = serde_json::from_str(json).context(
            "this is no preprocessing, as is {\"image\":{\"color\":\"rgb\",\"layout\":\"nchw\",\"rescale\":0.00392156862745098}} or {\"audio\":{\"sample_rate\":16000}}",
        )?;
        match &this {
            Self::Image(image) => image.check(shape)?,
            Self::Audio(audio) => ensure!(
                audio.sample_rate.is_finite() && audio.sample_rate > 0.0,
                "the sample rate is not above 0"
            ),
        }
        Ok(this)
    }
}

impl Image {
    fn check(&self, shape: &[usize]) -> Result<()> {
        let channels = if self.color == Color::Gray { 1 } else { 3 };
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            ensure!(
                values.is_empty() || values.len() == channels,
                "{name} has {} values, a pixel has {channels}",
                values.len()
            );
        }
        let mut numbers = self.mean.iter().chain(&self.std).chain([&self.rescale]);
        ensure!(
            numbers.all(|number| number.is_finite()) && !self.std.contains(&0.0),
            "rescale, mean and std are finite numbers, and std is not 0"
        );
        let (found, batch) = match (self.layout, shape) {
            (Layout::Nchw, [batch @ .., channels, _, _])
            | (Layout::Nhwc, [batch @ .., _, _, channels]) => (*channels, batch),
            _ => bail!("the input has {} dimensions, an image has 3", shape.len()),
        };
        ensure!(
            found == channels && batch.iter().all(|&n| n == 1),
            "the input is {shape:?}: that is no single picture with {channels} values a pixel and \
             its dimensions as `layout` says"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_suit_the_input_is_refused() {
        let image = |rest: &str| format!("{{\"image\":{{\"color\":\"rgb\",{rest}}}}}");
        let good = image("\"layout\":\"nchw\",\"mean\":[0.5,0.5,0.5]");
        assert!(Preprocess::parse(&good, &[1, 3, 8, 9]).is_ok());
        assert!(Preprocess::parse(&image("\"layout\":\"nhwc\""), &[8, 9, 3]).is_ok());
        for (json, shape) in [
            (good.as_str(), &[1, 8, 9, 3][..]),
            (&good, &[2, 3, 8, 9]),
            (&good, &[3, 72]),
            (&image("\"layout\":\"nchw\",\"std\":[1]"), &[1, 3, 8, 9]),
            (&image("\"layout\":\"nchw\",\"std\":[1,0,1]"), &[1, 3, 8, 9]),
            (&image("\"layout\":\"nchw\",\"scale\":1"), &[1, 3, 8, 9]),
            ("{\"audio\":{\"sample_rate\":0}}", &[1, 16000]),
            ("rgb", &[1, 3, 8, 9]),
        ] {
            assert!(Preprocess::parse(json, shape).is_err(), "{json} {shape:?}");
        }
    }
}
