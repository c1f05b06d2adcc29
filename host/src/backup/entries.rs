//! The archive that servers from 2.15 on make of a stream: entry after entry, each with a name,
//! a sequence and a time before its bytes. Knows nothing of what entries mean.

use std::io::{self, ErrorKind, Read};

/// What such an archive begins with.
pub(super) const MAGIC: &[u8; 8] = b"NATSARC1";
/// Longest name: a subject, and those are far shorter.
const NAME_BYTES_MAX: u64 = 1 << 20;

/// What stands before an entry's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) time: i64,
    pub(super) sequence: u64,
    /// How many bytes follow.
    pub(super) length: u64,
}

/// The entries of an archive, after its magic bytes.
pub(super) struct Entries<R> {
    source: R,
    /// Bytes of the entry before that nobody has read.
    unread: u64,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, unread: 0 }
    }

    /// The next entry; an end is an error, since the last entry says that it is the last.
    pub(super) fn next(&mut self) -> io::Result<Entry> {
        self.skip_unread()?;
        let name_length = self.unsigned()?;
        let zigzag = self.unsigned()?;
        let time = i64::from_le_bytes(((zigzag >> 1) ^ 0_u64.wrapping_sub(zigzag & 1)).to_le_bytes());
        let sequence = self.unsigned()?;
        let (headers, payload) = (self.unsigned()?, self.unsigned()?);
        let length = headers.checked_add(payload).filter(|length| i64::try_from(*length).is_ok());
        let Some(length) = length.filter(|_| name_length <= NAME_BYTES_MAX) else {
            return Err(io::Error::new(ErrorKind::InvalidData, "an entry has an impossible length"));
        };
        let mut name = Vec::new();
        self.source.by_ref().take(name_length).read_to_end(&mut name)?;
        if name.len() as u64 != name_length {
            return Err(cut_short());
        }
        let name =
            String::from_utf8(name).map_err(|_| io::Error::new(ErrorKind::InvalidData, "an entry has no name"))?;
        self.unread = length;
        Ok(Entry { name, time, sequence, length })
    }

    /// The bytes of the entry that came last, at most so many.
    pub(super) fn bytes(&mut self, max: u64) -> io::Result<Vec<u8>> {
        if self.unread > max {
            return Err(io::Error::new(ErrorKind::InvalidData, "an entry is larger than it can be"));
        }
        let mut bytes = Vec::new();
        self.source.by_ref().take(self.unread).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.unread {
            return Err(cut_short());
        }
        self.unread = 0;
        Ok(bytes)
    }

    /// What is read from.
    pub(super) fn into_inner(self) -> R {
        self.source
    }

    fn skip_unread(&mut self) -> io::Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let skipped = io::copy(&mut self.source.by_ref().take(unread), &mut io::sink())?;
        if skipped == unread { Ok(()) } else { Err(cut_short()) }
    }

    /// An unsigned number, seven bits a byte, the lowest first.
    fn unsigned(&mut self) -> io::Result<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let mut byte = [0];
            self.source.read_exact(&mut byte).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => cut_short(),
                _ => error,
            })?;
            let bits = u64::from(byte[0] & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(io::Error::new(ErrorKind::InvalidData, "an entry has an impossible number"))
    }
}

fn cut_short() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it is cut short: its end is missing")
}

/// An entry with its bytes, for tests.
#[cfg(test)]
pub(super) fn written(name: &str, time: i64, sequence: u64, bytes: &[u8]) -> Vec<u8> {
    fn number(mut value: u64, into: &mut Vec<u8>) {
        while value >= 0x80 {
            into.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        into.push(value as u8);
    }
    let zigzag = u64::from_le_bytes(((time << 1) ^ (time >> 63)).to_le_bytes());
    let mut entry = Vec::new();
    for value in [name.len() as u64, zigzag, sequence, 0, bytes.len() as u64] {
        number(value, &mut entry);
    }
    entry.extend(name.as_bytes());
    entry.extend(bytes);
    entry
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(name in ".{0,40}", time: i64, sequence: u64, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let written = [written(&name, time, sequence, &bytes), written("", 0, 0, b"")].concat();
            let mut entries = Entries::new(written.as_slice());
            let length = bytes.len() as u64;
            prop_assert_eq!(entries.next().expect("an entry"), Entry { name, time, sequence, length });
            prop_assert_eq!(entries.bytes(200).expect("its bytes"), bytes);
            prop_assert_eq!(entries.next().expect("the end").length, 0);
            prop_assert!(entries.next().is_err());
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut entries = Entries::new(bytes.as_slice());
            while entries.next().is_ok() {}
        }
    }
}
