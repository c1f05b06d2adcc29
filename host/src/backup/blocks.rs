//! The compression around a backup: an S2 stream, block by block, each checked against its
//! checksum. Holds one block at a time, whatever the bytes say. Knows nothing of what is in them.

use std::io::{self, ErrorKind, Read};

use crc::{CRC_32_ISCSI, Crc};
use minlz::s2;

/// Largest block of the format, in bytes.
const BLOCK_BYTES_MAX: usize = 4 << 20;
/// What compression may add to a block that it cannot shrink, in bytes; generously.
const OVERHEAD_BYTES_MAX: usize = BLOCK_BYTES_MAX / 6 + 64;
const CHECKSUM_BYTES: usize = 4;

const COMPRESSED: u8 = 0x00;
const PLAIN: u8 = 0x01;
/// From here on chunks are to be skipped by those who do not know them.
const SKIPPABLE_FROM: u8 = 0x80;
const IDENTIFIER: u8 = 0xff;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The bytes within an S2 stream. An end in the midst of a block is an error; one between blocks
/// cannot be told from the true end, and is for the reader of the contents to find.
pub(super) struct Blocks<R> {
    source: R,
    block: Vec<u8>,
    at: usize,
    begun: bool,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, block: Vec::new(), at: 0, begun: false }
    }

    /// What is read from.
    pub(super) fn into_inner(self) -> R {
        self.source
    }

    /// Takes the next block in; `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            let Some([kind, length @ ..]) = self.chunk_header()? else { return Ok(false) };
            let length = u32::from_le_bytes([length[0], length[1], length[2], 0]) as usize;
            if !self.begun && kind != IDENTIFIER {
                return Err(invalid("it does not begin like a compressed stream"));
            }
            match kind {
                COMPRESSED | PLAIN => {
                    self.block = self.block_of(kind, length)?;
                    self.at = 0;
                    return Ok(true);
                }
                IDENTIFIER => self.identifier(length)?,
                SKIPPABLE_FROM.. => self.skip(length)?,
                _ => return Err(invalid("a block is of an unknown kind")),
            }
        }
    }

    fn chunk_header(&mut self) -> io::Result<Option<[u8; 4]>> {
        let mut header = [0; 4];
        let mut filled = 0;
        while filled < header.len() {
            match self.source.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_short()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(header))
    }

    fn block_of(&mut self, kind: u8, length: usize) -> io::Result<Vec<u8>> {
        if !(CHECKSUM_BYTES..=CHECKSUM_BYTES + BLOCK_BYTES_MAX + OVERHEAD_BYTES_MAX).contains(&length) {
            return Err(invalid("a block has an impossible length"));
        }
        let mut checksum = [0; CHECKSUM_BYTES];
        self.source.read_exact(&mut checksum).map_err(or_cut_short)?;
        let mut stored = vec![0; length - CHECKSUM_BYTES];
        self.source.read_exact(&mut stored).map_err(or_cut_short)?;
        let block = if kind == PLAIN { stored } else { decompressed(&stored)? };
        if block.len() > BLOCK_BYTES_MAX || masked_crc(&block) != u32::from_le_bytes(checksum) {
            return Err(invalid("the checksum of a block does not hold"));
        }
        Ok(block)
    }

    fn identifier(&mut self, length: usize) -> io::Result<()> {
        let mut name = [0; 6];
        if length != name.len() {
            return Err(invalid("it does not begin like a compressed stream"));
        }
        self.source.read_exact(&mut name).map_err(or_cut_short)?;
        self.begun = matches!(&name, b"S2sTwO" | b"sNaPpY");
        if self.begun { Ok(()) } else { Err(invalid("it is compressed in another format")) }
    }

    fn skip(&mut self, length: usize) -> io::Result<()> {
        let skipped = io::copy(&mut self.source.by_ref().take(length as u64), &mut io::sink())?;
        if skipped == length as u64 { Ok(()) } else { Err(cut_short()) }
    }
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A block may be empty.
        while self.at == self.block.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let taken = buffer.len().min(self.block.len() - self.at);
        buffer[..taken].copy_from_slice(&self.block[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

fn decompressed(stored: &[u8]) -> io::Result<Vec<u8>> {
    // The length stands before the bytes, so nothing is made room for that is not there.
    let (length, _) = s2::decode_len(stored).map_err(|_| invalid("a block cannot be decompressed"))?;
    if length > BLOCK_BYTES_MAX {
        return Err(invalid("a block has an impossible length"));
    }
    s2::decode(stored).map_err(|_| invalid("a block cannot be decompressed"))
}

/// The checksum as the format has it.
fn masked_crc(block: &[u8]) -> u32 {
    CRC32C.checksum(block).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

fn cut_short() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it is cut short")
}

fn or_cut_short(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::UnexpectedEof { cut_short() } else { error }
}

/// A stream of blocks of at most so many bytes, for tests.
#[cfg(test)]
pub(super) fn compressed(bytes: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut stream = b"\xff\x06\x00\x00S2sTwO".to_vec();
    for block in bytes.chunks(block_bytes) {
        let stored = s2::encode(block);
        let length = u32::try_from(stored.len() + CHECKSUM_BYTES).expect("small").to_le_bytes();
        stream.extend([COMPRESSED, length[0], length[1], length[2]]);
        stream.extend(masked_crc(block).to_le_bytes());
        stream.extend(stored);
    }
    stream
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(stream: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Blocks::new(stream).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    proptest! {
        #[test]
        fn what_is_compressed_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), block in 1..700_usize) {
            prop_assert_eq!(read(&compressed(&bytes, block)).expect("whole"), bytes);
        }

        #[test]
        fn a_flipped_bit_never_gives_other_bytes(bytes in proptest::collection::vec(0..4_u8, 1..300), at: prop::sample::Index, bit in 0..8_u8) {
            let mut stream = compressed(&bytes, 100);
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
            // A block whose kind became one to be skipped is missing, which the contents show.
            if let Ok(read) = read(&stream) {
                prop_assert!(read.len() < bytes.len() || read == bytes);
            }
        }

        #[test]
        fn foreign_bytes_do_no_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), begins_well: bool) {
            if begins_well {
                bytes.splice(0..0, *b"\xff\x06\x00\x00S2sTwO");
            }
            let _ = read(&bytes);
        }
    }

    #[test]
    fn very_many_empty_chunks_are_no_burden() {
        let mut stream = compressed(b"", 1);
        stream.extend([0xfe, 0, 0, 0].repeat(200_000));
        stream.extend(&compressed(b"end", 3)[10..]);
        assert_eq!(read(&stream).expect("whole"), b"end");
    }

    #[test]
    fn a_block_that_claims_to_be_huge_is_refused() {
        let mut stream = compressed(b"", 1);
        // 256 MiB, by its own words.
        stream.extend([COMPRESSED, 9, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x01]);
        assert!(read(&stream).is_err());
    }
}
