//! The file that a Pico's boot loader takes: UF2, as <https://github.com/microsoft/uf2> describes it.

use std::collections::BTreeMap;

/// Bytes of flash in a block: a page of what the boot loader writes.
const PAGE: usize = 256;

/// Bytes of a block.
const BLOCK: usize = 512;

const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const MAGIC_END: u32 = 0x0ab1_6f30;

/// The header says which family of chips the block is for.
const FAMILY_PRESENT: u32 = 0x2000;

/// The UF2 file that writes each run of bytes to its address. What a page has beside them becomes 0.
pub(crate) fn write(parts: &[(u32, &[u8])], family: u32) -> Vec<u8> {
    let mut pages: BTreeMap<u32, [u8; PAGE]> = BTreeMap::new();
    for (start, bytes) in parts {
        for (address, &byte) in (*start..).zip(*bytes) {
            let at = address % PAGE as u32;
            pages.entry(address - at).or_insert([0; PAGE])[at as usize] = byte;
        }
    }
    let count = pages.len() as u32;
    let mut file = Vec::with_capacity(pages.len() * BLOCK);
    for (number, (address, page)) in (0u32..).zip(pages) {
        let head = [
            MAGIC[0],
            MAGIC[1],
            FAMILY_PRESENT,
            address,
            PAGE as u32,
            number,
            count,
            family,
        ];
        file.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        file.extend(page);
        // The rest of a block is there for flash with larger pages.
        file.resize((number as usize + 1) * BLOCK - 4, 0);
        file.extend(MAGIC_END.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, write};

    fn word(file: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn runs_are_cut_into_pages_and_pages_are_numbered() {
        // One run over the border of two pages, another one in the second.
        let file = write(&[(0x1000_00fe, &[1, 2, 3]), (0x1000_0110, &[4])], 0xe48b_ff56);
        assert_eq!(file.len(), 2 * BLOCK);
        for (block, address) in [(0, 0x1000_0000), (1, 0x1000_0100)] {
            let at = block * BLOCK;
            assert_eq!(word(&file, at), 0x0a32_4655);
            assert_eq!(word(&file, at + 4), 0x9e5d_5157);
            assert_eq!(word(&file, at + 12), address);
            assert_eq!(word(&file, at + 16), 256);
            assert_eq!([word(&file, at + 20), word(&file, at + 24)], [block as u32, 2]);
            assert_eq!(word(&file, at + 28), 0xe48b_ff56);
            assert_eq!(word(&file, at + 508), 0x0ab1_6f30);
        }
        assert_eq!(file[32 + 0xfe..32 + 0x100], [1, 2]);
        assert_eq!(file[BLOCK + 32..BLOCK + 34], [3, 0]);
        assert_eq!(file[BLOCK + 32 + 0x10], 4);
    }
}
