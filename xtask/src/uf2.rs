//! UF2, the files that the boot loader of a Raspberry Pi Pico takes as if it were a USB stick. The
//! format: <https://github.com/microsoft/uf2>.

use anyhow::{Context as _, Result, ensure};
use object::read::elf::{ElfFile32, FileHeader as _, ProgramHeader as _};
use object::{Endianness, elf};

/// The chip's family, by which its boot loader knows that a file is for it.
pub(crate) const RP2040: u32 = 0xe48b_ff56;
/// The same of an RP2350 that runs Arm code in secure state.
pub(crate) const RP2350_ARM_S: u32 = 0xe48b_ff59;

const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const MAGIC_END: u32 = 0x0ab1_6f30;
/// The word behind the counts is a family.
const HAS_FAMILY: u32 = 0x2000;

/// Bytes of a block, and of those the ones that go into flash. They are behind eight words.
const BLOCK: usize = 512;
const PAGE: usize = 256;

/// The image in an ELF file as UF2.
///
/// # Errors
///
/// When it is no ELF file for a machine of 32 bits, or loads nothing.
pub(crate) fn from_elf(bytes: &[u8], family: u32) -> Result<Vec<u8>> {
    let file = ElfFile32::<Endianness>::parse(bytes)?;
    let endian = file.endian();
    let mut pages = std::collections::BTreeMap::<usize, [u8; PAGE]>::new();
    for segment in file.elf_header().program_headers(endian, bytes)? {
        if segment.p_type(endian) != elf::PT_LOAD {
            continue;
        }
        let data = segment.data(endian, bytes);
        let data = data.ok().context("a segment lies outside of the file")?;
        let start = segment.p_paddr(endian) as usize;
        for (at, &byte) in (start..).zip(data) {
            // Erased flash is between segments.
            let page = pages.entry(at / PAGE).or_insert([0xff; PAGE]);
            if let Some(to) = page.get_mut(at % PAGE) {
                *to = byte;
            }
        }
    }
    ensure!(!pages.is_empty(), "the image has nothing to load");
    let count = pages.len() as u32;
    let blocks = pages.into_iter().zip(0..).flat_map(|((page, data), i)| {
        let address = (page * PAGE) as u32;
        let [magic, magic_behind] = MAGIC;
        let head = [
            magic,
            magic_behind,
            HAS_FAMILY,
            address,
            PAGE as u32,
            i,
            count,
            family,
        ];
        let mut block = head.map(u32::to_le_bytes).concat();
        block.extend(data);
        block.resize(BLOCK - size_of_val(&MAGIC_END), 0);
        block.extend(MAGIC_END.to_le_bytes());
        block
    });
    Ok(blocks.collect())
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, PAGE, RP2040, from_elf};

    /// An ELF file for a machine of 32 bits that loads `data` at `address`.
    fn elf_of(address: u32, data: &[u8]) -> Vec<u8> {
        const HEADER: u16 = 52;
        const SEGMENT: u16 = 32;
        let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let half = |bytes: &mut Vec<u8>, halves: &[u16]| {
            bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        };
        let word = |bytes: &mut Vec<u8>, words: &[u32]| {
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        };
        // An executable for Arm; version, entry, and where the headers of segments and sections are.
        half(&mut bytes, &[2, 40]);
        word(&mut bytes, &[1, 0, HEADER.into(), 0, 0]);
        half(&mut bytes, &[HEADER, SEGMENT, 1, 0, 0, 0]);
        let len = data.len() as u32;
        // Where it runs is not where it is stored, as for the first values of variables.
        let (offset, runs) = (u32::from(HEADER + SEGMENT), 0x2000_0000);
        word(&mut bytes, &[1, offset, runs, address, len, len, 4, 1]);
        bytes.extend(data);
        bytes
    }

    #[test]
    fn every_byte_has_its_place_in_a_block() {
        let data: Vec<u8> = (0..300u32).map(|i| i as u8).collect();
        let uf2 = from_elf(&elf_of(0x1000_0080, &data), RP2040).unwrap();
        let (blocks, rest) = uf2.as_chunks::<BLOCK>();
        assert!(rest.is_empty());
        assert_eq!(blocks.len(), 2);
        let word = |block: &[u8; BLOCK], at: usize| {
            u32::from_le_bytes(block[at..at + 4].try_into().unwrap())
        };
        let mut flash: Vec<u8> = Vec::new();
        for (i, block) in blocks.iter().enumerate() {
            assert_eq!(&block[..4], b"UF2\n");
            assert_eq!(word(block, 4), 0x9e5d_5157);
            assert_eq!(word(block, 8), 0x2000);
            assert_eq!(word(block, 12), 0x1000_0000 + 256 * i as u32);
            assert_eq!(word(block, 16), 256);
            assert_eq!([word(block, 20), word(block, 24)], [i as u32, 2]);
            assert_eq!(word(block, 28), RP2040);
            assert_eq!(word(block, 508), 0x0ab1_6f30);
            flash.extend(&block[32..32 + PAGE]);
        }
        assert_eq!(flash[0x80..0x80 + 300], data);
        assert!(flash[..0x80].iter().all(|&byte| byte == 0xff));
        assert!(flash[0x80 + 300..].iter().all(|&byte| byte == 0xff));
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(from_elf(b"UF2\n", RP2040).is_err());
        assert!(from_elf(&elf_of(0x1000_0000, &[]), RP2040).is_err());
    }
}
