//! The file as a whole: magic, length, versions, SHA-256, and where its sections lie.

use niwaki::artifact::{Header, MAGIC, Record, Words};
use niwaki::{FORMAT_VERSION, LoadError, NUMERICS_VERSION, Section};

use super::{Break, Row, Verdict, base, first_of, header, raw, table};

pub fn rows() -> Vec<Row> {
    let mut rows = beginning();
    rows.extend(versions());
    rows.extend(digest());
    rows.extend(sections());
    rows.extend(addresses());
    rows.extend(order());
    rows
}

/// Magic and length.
fn beginning() -> Vec<Row> {
    let whole = base().file().len() as u32;
    let cut = |needed, found| Err(LoadError::Truncated { needed, found });
    let not_ours = (0..MAGIC.len()).map(|at| {
        let file = raw(|file| file[at] ^= 0x20);
        (format!("byte {at}"), file, Err(LoadError::NotAnArtifact))
    });
    let short = [0, 1, 7, 8, 40, 119, 120, whole - 1].map(|len| {
        let verdict = match len {
            0..8 => Err(LoadError::NotAnArtifact),
            8..120 => cut(120, len),
            _ => cut(whole, len),
        };
        let file = raw(|file| file.truncate(len as usize));
        (format!("its first {len} bytes"), file, verdict)
    });
    let mut rows = table("magic", not_ours);
    rows.extend(table("length", short));
    rows.extend(table(
        "length",
        [
            (
                "one more in the header",
                header(|header| header.file_bytes += 1),
                cut(whole + 1, whole),
            ),
            (
                "bytes of somebody else behind it",
                raw(|file| file.extend([0xff; 5])),
                Ok(()),
            ),
        ],
    ));
    rows
}

fn versions() -> Vec<Row> {
    let newest = FORMAT_VERSION;
    let supported = NUMERICS_VERSION;
    let format = |found| Err(LoadError::NewerFormat { found, newest });
    let numerics = |found| Err(LoadError::OtherNumerics { found, supported });
    let versions = [
        (0, supported, format(0)),
        (newest + 1, supported, format(newest + 1)),
        (u16::MAX, supported, format(u16::MAX)),
        (newest, 0, numerics(0)),
        (newest, supported + 1, numerics(supported + 1)),
        (newest, u16::MAX, numerics(u16::MAX)),
        // The format decides what the rest of the header means.
        (newest + 1, supported + 1, format(newest + 1)),
    ];
    let rows = versions.map(|(format, numerics, verdict)| {
        let file = header(|header| header.versions = u32::from(format) | u32::from(numerics) << 16);
        (format!("{format}, {numerics}"), file, verdict)
    });
    table("versions", rows)
}

fn digest() -> Vec<Row> {
    let damaged: Verdict = Err(LoadError::Damaged);
    let last = base().file().len() - 1;
    // Of the stored digest and of what it covers, the first bytes and the last.
    let flipped = [8, 39, 48, 119, 120, last].map(|at| {
        let file = raw(|file| file[at] ^= 1);
        (format!("a bit of byte {at}"), file, damaged)
    });
    let shorter = [0, 39, 40, last as u32 - 15].map(|len| {
        let file = raw(|file| file[44..48].copy_from_slice(&len.to_le_bytes()));
        (format!("length {len} in the header"), file, damaged)
    });
    let mut rows = table("digest", flipped);
    rows.extend(table("digest", shorter));
    rows
}

fn sections() -> Vec<Row> {
    let whole = base().file().len() as u32;
    let mut rows = Vec::new();
    for section in Section::ALL {
        let places = [
            ("at the file's start", [0, 0]),
            ("in the header", [112, 0]),
            ("at no multiple of 16", [129, 0]),
            ("at a multiple of 8", [136, 0]),
            ("one byte too long", [128, whole - 127]),
            ("behind the end", [whole + 16, 0]),
            ("longer than any file", [128, u32::MAX]),
            ("around the end of 32 bits", [u32::MAX - 15, 16]),
        ];
        let places = places.map(|(what, place)| {
            let file = header(|header| header.sections[section as usize] = place);
            (what, file, Err(LoadError::Section(section)))
        });
        rows.extend(table(section.name(), places));
    }
    let place =
        |section: Section, place| header(|header| header.sections[section as usize] = place);
    rows.extend(table(
        "sections",
        [
            (
                "one that is the whole file",
                place(Section::Data, [128, whole - 128]),
                Ok(()),
            ),
            (
                "an empty one at the file's end",
                place(Section::Provenance, [whole, 0]),
                Ok(()),
            ),
            (
                "a file that ends inside its header",
                raw(|file| {
                    let mut header = Header::read(&mut Words::new(&file[40..])).unwrap();
                    header.file_bytes = 64;
                    header.seal(&mut file[..64]);
                }),
                Err(LoadError::Section(Section::Tensors)),
            ),
        ],
    ));
    rows
}

/// Where the bytes lie in memory.
fn addresses() -> impl Iterator<Item = Row> {
    (0..8).map(|shift| {
        let verdict = if shift % niwaki::ALIGNMENT == 0 {
            Ok(())
        } else {
            Err(LoadError::Misaligned)
        };
        Row {
            shift,
            ..Row::new(format!("shifted by {shift} bytes"), base().file(), verdict)
        }
    })
}

/// Each check relies on those before it.
fn order() -> Vec<Row> {
    let newer = LoadError::NewerFormat {
        found: 99,
        newest: FORMAT_VERSION,
    };
    let other = LoadError::OtherNumerics {
        found: 99,
        supported: NUMERICS_VERSION,
    };
    let cut = LoadError::Truncated {
        needed: u32::MAX,
        found: base().file().len() as u32,
    };
    let section = LoadError::Section(Section::Tensors);
    let breaks: [Break<Vec<u8>>; 6] = [
        (|file| file[0] ^= 1, Err(LoadError::NotAnArtifact)),
        (|file| file[40] = 99, Err(newer)),
        (|file| file[42] = 99, Err(other)),
        (|file| file[44..48].fill(0xff), Err(cut)),
        (|file| file[8] ^= 1, Err(LoadError::Damaged)),
        (|_| (), Err(section)),
    ];
    let mut rows = first_of("file", &breaks, |edit| {
        let mut file = header(|header| header.sections[0] = [0; 2]);
        edit(&mut file);
        file
    });
    rows.iter_mut().for_each(|row| row.shift = 1);
    rows
}

#[test]
fn a_file_is_refused_as_a_whole() {
    super::check(&rows());
}
