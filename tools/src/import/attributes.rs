//! Attributes of an ONNX node.

use anyhow::{Context as _, Result, bail, ensure};
use tract_onnx::pb;

use super::Context;
use crate::graph::{Constant, WindowAttributes};

/// Largest stride, dilation, padding and kernel: with it no product of two overflows.
const LARGEST: usize = (1 << 31) - 1;

impl Context<'_> {
    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&pb::AttributeProto> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.ints.clone())
    }

    pub(super) fn floats(&self, name: &str) -> Option<Vec<f32>> {
        self.attribute(name).map(|a| a.floats.clone())
    }

    pub(super) fn strings(&self, name: &str) -> Option<Vec<String>> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        self.attribute(name)
            .map(|a| a.strings.iter().map(text).collect())
    }

    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.attribute(name)
            .map(|a| String::from_utf8_lossy(&a.s).into_owned())
    }

    /// The number in input `i`, which has to be a constant of one element; `None` when it is left
    /// out.
    pub(super) fn number(&self, i: usize, what: &str) -> Result<Option<f64>> {
        let Some(id) = self.optional_input(i) else {
            return Ok(None);
        };
        let number = match self.graph.constant(id) {
            Some(Constant::F32(values)) => values.iter().next().map(|&v| f64::from(v)),
            Some(other) => other
                .to_i64()
                .and_then(|v| v.first().copied())
                .map(|v| v as f64),
            None => bail!(
                "its {what} (input {i}, `{}`) is computed at run time; a constant is accepted",
                self.graph.values[id].name
            ),
        };
        let number = number.with_context(|| format!("its {what} (input {i}) is empty"))?;
        Ok(Some(number))
    }

    /// Refuses attributes that this importer does not know: what they mean would be lost.
    pub(super) fn only_attributes(&self, known: &[&str]) -> Result<()> {
        for attribute in &self.node.attribute {
            ensure!(
                known.contains(&attribute.name.as_str()),
                "attribute `{}` is not supported; accepted: {}",
                attribute.name,
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            );
        }
        Ok(())
    }

    /// Non-negative sizes, one for each spatial axis.
    pub(super) fn sizes(&self, name: &str, axes: usize, default: usize) -> Result<Vec<usize>> {
        let Some(values) = self.ints(name) else {
            return Ok(vec![default; axes]);
        };
        ensure!(
            values.len() == axes,
            "attribute `{name}` has {} values for {axes} axes",
            values.len()
        );
        values
            .iter()
            .map(|&v| match usize::try_from(v) {
                Ok(v) if v >= default && v <= LARGEST => Ok(v),
                _ => bail!(
                    "attribute `{name}` is {values:?}; values from {default} to {LARGEST} are accepted"
                ),
            })
            .collect()
    }

    /// The window that the attributes say, `auto_pad` left aside, over at most `most` axes.
    fn explicit_window(
        &self,
        spatial: &[usize],
        kernel: Vec<usize>,
        most: usize,
    ) -> Result<WindowAttributes> {
        let axes = spatial.len();
        ensure!(
            (1..=most).contains(&axes),
            "{axes} spatial axes are not supported, one to {most} are"
        );
        ensure!(
            kernel.len() == axes && kernel.iter().all(|k| (1..=LARGEST).contains(k)),
            "kernel {kernel:?} does not fit {axes} spatial axes"
        );
        let pads = self.sizes("pads", 2 * axes, 0)?;
        Ok(WindowAttributes {
            kernel,
            strides: self.sizes("strides", axes, 1)?,
            dilations: self.sizes("dilations", axes, 1)?,
            pads_begin: pads[..axes].to_vec(),
            pads_end: pads[axes..].to_vec(),
        })
    }

    /// The window of a convolution or pool over one to three `spatial` axes, and its output's sizes, by
    /// ONNX's rules for `auto_pad` and `ceil_mode`.
    pub(super) fn window(
        &self,
        spatial: &[usize],
        kernel: Vec<usize>,
    ) -> Result<(WindowAttributes, Vec<usize>)> {
        let mut window = self.explicit_window(spatial, kernel, 3)?;
        let ceil = self.int("ceil_mode", 0) != 0;
        let auto_pad = self.string("auto_pad").unwrap_or_else(|| "NOTSET".into());
        let mut output = Vec::new();
        for (axis, &size) in spatial.iter().enumerate() {
            let reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
            let stride = window.strides[axis];
            match auto_pad.as_str() {
                "NOTSET" => {}
                "VALID" => (window.pads_begin[axis], window.pads_end[axis]) = (0, 0),
                "SAME_UPPER" | "SAME_LOWER" => {
                    let total = ((size.div_ceil(stride) - 1) * stride + reach).saturating_sub(size);
                    let (less, more) = (total / 2, total - total / 2);
                    let upper = auto_pad == "SAME_UPPER";
                    window.pads_begin[axis] = if upper { less } else { more };
                    window.pads_end[axis] = if upper { more } else { less };
                }
                other => bail!(
                    "auto_pad `{other}` is not supported; NOTSET, VALID, SAME_UPPER and SAME_LOWER are"
                ),
            }
            let begin = window.pads_begin[axis];
            let padded = begin + size + window.pads_end[axis];
            ensure!(
                padded >= reach,
                "a kernel that reaches over {reach} elements does not fit {padded} (axis {axis}, padding included)"
            );
            let steps = if ceil {
                // A last window that would start in the padding behind the input is left out.
                let steps = (padded - reach).div_ceil(stride);
                if steps * stride >= begin + size {
                    steps - 1
                } else {
                    steps
                }
            } else {
                (padded - reach) / stride
            };
            let outside =
                (steps + 1) * stride + window.kernel[axis] * window.dilations[axis] + padded;
            ensure!(
                outside <= LARGEST,
                "strides, kernel, dilations and padding reach over {outside} elements (axis {axis}); {LARGEST} are supported"
            );
            output.push(steps + 1);
        }
        Ok((window, output))
    }

    /// The window of a transposed convolution over `spatial` axes, and its output's sizes, by
    /// ONNX's rules for `output_shape`, `output_padding` and `auto_pad`.
    pub(super) fn transposed_window(
        &self,
        spatial: &[usize],
        kernel: Vec<usize>,
    ) -> Result<(WindowAttributes, Vec<usize>)> {
        let axes = spatial.len();
        ensure!(!spatial.contains(&0), "its input has no elements");
        let mut window = self.explicit_window(spatial, kernel, 2)?;
        let extra = self.sizes("output_padding", axes, 0)?;
        let auto_pad = self.string("auto_pad").unwrap_or_else(|| "NOTSET".into());
        let wanted = self.wanted_output(spatial, &window.strides, &auto_pad)?;
        if auto_pad == "VALID" {
            window.pads_begin.fill(0);
            window.pads_end.fill(0);
        }
        let mut output = Vec::new();
        for (axis, &size) in spatial.iter().enumerate() {
            let reach = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
            let whole = (size - 1) * window.strides[axis] + reach + extra[axis];
            if let Some(wanted) = &wanted {
                // Of all sizes that a stride passes over, the one that is meant; SAME goes further.
                let most = whole + window.strides[axis] - 1;
                ensure!(
                    wanted[axis] <= most || auto_pad.starts_with("SAME"),
                    "attribute `output_shape` is {} (axis {axis}); at most {most} is accepted",
                    wanted[axis]
                );
                let total = whole.saturating_sub(wanted[axis]);
                let (less, more) = (total / 2, total - total / 2);
                let upper = auto_pad == "SAME_UPPER";
                window.pads_begin[axis] = if upper { less } else { more };
                window.pads_end[axis] = if upper { more } else { less };
                output.push(wanted[axis]);
            } else {
                let cut = window.pads_begin[axis] + window.pads_end[axis];
                ensure!(
                    whole > cut,
                    "pads of {cut} leave nothing of {whole} elements (axis {axis})"
                );
                output.push(whole - cut);
            }
            let outside = whole
                .saturating_add(output[axis].saturating_mul(window.strides[axis]))
                .saturating_add(window.kernel[axis] * window.dilations[axis]);
            ensure!(
                outside <= LARGEST,
                "strides, kernel, dilations and output reach over {outside} elements (axis {axis}); {LARGEST} are supported"
            );
        }
        Ok((window, output))
    }

    /// The sizes that a transposed convolution is to have, by `output_shape` or `auto_pad`; `None`
    /// when they follow from its pads.
    fn wanted_output(
        &self,
        spatial: &[usize],
        strides: &[usize],
        auto_pad: &str,
    ) -> Result<Option<Vec<usize>>> {
        let axes = spatial.len();
        if let Some(given) = self.ints("output_shape") {
            ensure!(
                given.len() >= axes,
                "attribute `output_shape` has {} values for {axes} axes",
                given.len()
            );
            // Some exporters write batch and channels in front.
            let all = self.sizes("output_shape", given.len(), 1)?;
            return Ok(Some(all[given.len() - axes..].to_vec()));
        }
        match auto_pad {
            "SAME_UPPER" | "SAME_LOWER" => {
                let pairs = spatial.iter().zip(strides);
                Ok(Some(pairs.map(|(size, stride)| size * stride).collect()))
            }
            "NOTSET" | "VALID" => Ok(None),
            other => bail!(
                "auto_pad `{other}` is not supported; NOTSET, VALID, SAME_UPPER and SAME_LOWER are"
            ),
        }
    }
}
