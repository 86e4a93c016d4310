//! The arena over time as a picture: operators from left to right, addresses from the bottom to
//! the top, one box a tensor.

use std::fmt::Write as _;

use super::{Life, Timeline};
use crate::text::thousands;

/// Height of the arena.
const HEIGHT: f64 = 460.0;
/// Room on the left for addresses.
const LEFT: f64 = 84.0;
/// Room on the right.
const RIGHT: f64 = 24.0;
/// Room above for the heading.
const ABOVE: f64 = 64.0;
/// Room below for the names of operators.
const BELOW: f64 = 170.0;
/// Width of one operator: as much as fits in this, within these bounds.
const WIDTH: f64 = 1500.0;
const NARROWEST: f64 = 16.0;
const WIDEST: f64 = 90.0;
/// Size of the text in boxes, and what one of its characters takes at most.
const FONT: f64 = 11.0;
const CHARACTER: f64 = 6.7;
/// Colours of boxes, see [`STYLE`].
const COLOURS: usize = 6;

/// Colours for a light and for a dark page: the box is a wash of its outline's colour.
const STYLE: &str = "
  text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; }
  .heading { font-size: 14px; font-weight: 600; }
  .page { fill: #ffffff; }
  .axis { stroke: #57606a; stroke-width: 1; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .peak { fill: #cf222e; fill-opacity: 0.1; }
  .peak-line { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 5 3; }
  .peak-text { fill: #a40e26; }
  .tensor { fill-opacity: 0.22; stroke-width: 1.2; }
  .c0 { fill: #0969da; stroke: #0969da; }
  .c1 { fill: #1a7f37; stroke: #1a7f37; }
  .c2 { fill: #9a6700; stroke: #9a6700; }
  .c3 { fill: #8250df; stroke: #8250df; }
  .c4 { fill: #bf3989; stroke: #bf3989; }
  .c5 { fill: #1b7c83; stroke: #1b7c83; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .axis { stroke: #9198a1; }
    .grid { stroke: #30363d; }
    .peak { fill: #ff7b72; fill-opacity: 0.14; }
    .peak-line { stroke: #ff7b72; }
    .peak-text { fill: #ffa198; }
    .tensor { fill-opacity: 0.28; }
    .c0 { fill: #58a6ff; stroke: #58a6ff; }
    .c1 { fill: #3fb950; stroke: #3fb950; }
    .c2 { fill: #d29922; stroke: #d29922; }
    .c3 { fill: #bc8cff; stroke: #bc8cff; }
    .c4 { fill: #f778ba; stroke: #f778ba; }
    .c5 { fill: #56d4dd; stroke: #56d4dd; }
  }
";

/// Draws a timeline as an SVG document, with a title.
pub fn draw(timeline: &Timeline, title: &str) -> String {
    let picture = Picture::of(timeline);
    let (width, height) = (
        LEFT + picture.column * picture.columns as f64 + RIGHT,
        ABOVE + HEIGHT + BELOW,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
        escaped(title)
    );
    picture.heading(&mut svg, title);
    picture.addresses(&mut svg);
    picture.operators(&mut svg);
    for (index, life) in timeline.lives.iter().enumerate() {
        picture.tensor(&mut svg, index, life);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Text as XML has it. What no XML document may hold becomes a replacement character: names come
/// from files of unknown origin.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A text of at most so many characters: its end, which tells the names of one model apart.
fn shortened(text: &str, characters: usize) -> String {
    let count = text.chars().count();
    if count <= characters {
        return text.to_owned();
    }
    let tail = text.chars().skip(count - characters.saturating_sub(1));
    std::iter::once('…').chain(tail).collect()
}

/// The scales of a picture.
struct Picture<'t> {
    timeline: &'t Timeline,
    /// Times: operators, and one before and behind them for the caller.
    columns: usize,
    /// Width of one.
    column: f64,
    /// Height of a byte.
    byte: f64,
}

impl<'t> Picture<'t> {
    fn of(timeline: &'t Timeline) -> Self {
        let columns = timeline.moments.len() + 2;
        Self {
            timeline,
            columns,
            column: (WIDTH / columns as f64).clamp(NARROWEST, WIDEST),
            byte: HEIGHT / timeline.arena_bytes.max(1) as f64,
        }
    }

    fn x(&self, time: usize) -> f64 {
        LEFT + self.column * time as f64
    }

    fn y(&self, address: usize) -> f64 {
        ABOVE + HEIGHT - self.byte * address as f64
    }

    fn heading(&self, svg: &mut String, title: &str) {
        let _ = writeln!(
            svg,
            "<text class=\"heading\" x=\"{LEFT}\" y=\"24\">{}</text>",
            escaped(title)
        );
        let Some(peak) = self.timeline.peak else {
            return;
        };
        let moment = &self.timeline.moments[peak];
        let _ = writeln!(
            svg,
            "<text class=\"peak-text\" x=\"{LEFT}\" y=\"42\">arena {} bytes; the peak is at operator {peak}, {} {}</text>",
            thousands(self.timeline.arena_bytes as u64),
            moment.kind,
            escaped(&shortened(&moment.name, 60))
        );
        let (left, top) = (self.x(peak + 1), self.y(self.timeline.arena_bytes));
        let right = self.x(self.columns);
        let _ = writeln!(
            svg,
            "<rect class=\"peak\" x=\"{left:.1}\" y=\"{ABOVE}\" width=\"{:.1}\" height=\"{HEIGHT}\"/>\n\
             <line class=\"peak-line\" x1=\"{LEFT}\" y1=\"{top:.1}\" x2=\"{right:.1}\" y2=\"{top:.1}\"/>",
            self.column
        );
    }

    /// Lines at round addresses.
    fn addresses(&self, svg: &mut String) {
        let arena = self.timeline.arena_bytes;
        // From 1, 2, 4, … bytes the step that gives four to eight lines.
        let mut step = 1;
        while arena / step > 8 {
            step *= 2;
        }
        let right = self.x(self.columns);
        for address in (0..=arena).step_by(step) {
            let y = self.y(address);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                thousands(address as u64)
            );
        }
        let bottom = self.y(0);
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom:.1}\" x2=\"{right:.1}\" y2=\"{bottom:.1}\"/>\n\
             <line class=\"axis\" x1=\"{LEFT}\" y1=\"{ABOVE}\" x2=\"{LEFT}\" y2=\"{bottom:.1}\"/>"
        );
    }

    /// The kinds of operators, below their columns.
    fn operators(&self, svg: &mut String) {
        let kinds = self.timeline.moments.iter().enumerate();
        let kinds = kinds.map(|(i, moment)| format!("{i} {}", moment.kind));
        let names = std::iter::once("inputs".to_owned())
            .chain(kinds)
            .chain(std::iter::once("outputs".to_owned()));
        let y = self.y(0) + 10.0;
        for (time, name) in names.enumerate() {
            let x = self.x(time) + self.column / 2.0 + 4.0;
            let class = match self.timeline.peak {
                Some(peak) if peak + 1 == time => " class=\"peak-text\"",
                _ => "",
            };
            let _ = writeln!(
                svg,
                "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" \
                 transform=\"rotate(-60 {x:.1} {y:.1})\">{}</text>",
                escaped(&shortened(&name, 24))
            );
        }
    }

    /// A tensor's box, with what fits of its name and size; all of it shows under the pointer.
    fn tensor(&self, svg: &mut String, index: usize, life: &Life) {
        let (x, y) = (self.x(life.first), self.y(life.end()));
        let width = self.x(life.last + 1) - x;
        let height = self.byte * life.bytes as f64;
        let size = format!("{} B", thousands(life.bytes as u64));
        let _ = writeln!(
            svg,
            "<g><title>{}: {}, {size} at {}</title>\n\
             <rect class=\"tensor c{}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            escaped(&life.name),
            escaped(&life.shape),
            life.offset,
            index % COLOURS,
            x + 1.0,
            width - 2.0
        );
        // Along the longer side.
        let turned = height > width;
        // Turned text stays in the first column: the next one's box begins behind it.
        let (along, across, middle) = match turned {
            true => (height, self.column, self.column / 2.0),
            false => (width, height, width / 2.0),
        };
        let room = ((along - 8.0) / CHARACTER).max(0.0) as usize;
        let name = shortened(&life.name, room);
        let lines: &[&str] = match (across / (FONT + 2.0)) as usize {
            0 => &[],
            1 => &[&name],
            _ => &[&name, &size],
        };
        let (x, y) = (x + middle, y + height / 2.0);
        let turn = match turned {
            true => format!(" transform=\"rotate(-90 {x:.1} {y:.1})\""),
            false => String::new(),
        };
        for (i, line) in lines.iter().enumerate() {
            if room < 4 || line.chars().count() > room {
                continue;
            }
            let shift = (i as f64 - (lines.len() as f64 - 1.0) / 2.0) * (FONT + 2.0) + 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\"{turn}>{}</text>",
                y + shift,
                escaped(line)
            );
        }
        svg.push_str("</g>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, shortened};
    use crate::text::thousands;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(
            escaped("</text><script a=\"1\" b='&'>"),
            "&lt;/text&gt;&lt;script a=&quot;1&quot; b=&apos;&amp;&apos;&gt;"
        );
        assert_eq!(
            escaped("a\0b\u{1b}\nc\u{ffff}"),
            "a\u{fffd}b\u{fffd} c\u{fffd}"
        );
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("model/block/conv", 5), "…conv");
        assert_eq!(shortened("conv", 4), "conv");
        assert_eq!(shortened("conv", 0), "…");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
