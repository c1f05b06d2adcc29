//! Reads an archive through and counts what is in it: that of servers from 2.15 on, and the tar
//! of those before. Knows nothing of files or folders.

use std::io::{self, ErrorKind, Read};

use serde_json::Value;

use super::blocks::Blocks;
use super::entries::{Entries, MAGIC};

/// Largest description of a stream or a consumer, in bytes.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 20;
/// What ends a tar, in bytes, all of them zero.
const TAR_END_BYTES: u64 = 1_024;

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// How many messages, where the archive lists them.
    pub messages: Option<u64>,
    /// What the archive itself says of its stream, where it does.
    pub state: Option<Value>,
}

/// Reads it to its end, which gives back what it was read from.
pub(super) fn read_through<R: Read>(compressed: R) -> io::Result<(Contents, R)> {
    let mut blocks = Blocks::new(compressed);
    let mut beginning = Vec::new();
    blocks.by_ref().take(MAGIC.len() as u64).read_to_end(&mut beginning)?;
    let (contents, mut blocks) =
        if beginning == MAGIC { entries(blocks)? } else { (tar(&beginning, &mut blocks)?, blocks) };
    // After the end comes nothing, or it is not the end.
    if io::copy(&mut blocks, &mut io::sink())? > 0 {
        return Err(invalid("something follows its end"));
    }
    Ok((contents, blocks.into_inner()))
}

/// A description of the stream, its consumers, its messages in order, and an entry that is all zero.
fn entries<R: Read>(blocks: R) -> io::Result<(Contents, R)> {
    let mut entries = Entries::new(blocks);
    let first = entries.next()?;
    if first.name != "state.json" {
        return Err(invalid("it does not begin with the state of its stream"));
    }
    let state: Value = serde_json::from_slice(&entries.bytes(DESCRIPTION_BYTES_MAX)?)
        .map_err(|_| invalid("the state of its stream cannot be read"))?;
    let number = |name: &str| state.get(name).and_then(Value::as_u64).unwrap_or_default();
    for _ in 0..number("consumer_count") {
        if !entries.next()?.name.starts_with("consumers/") {
            return Err(invalid("a consumer is missing"));
        }
    }
    let (mut last, mut messages) = (number("first_seq").saturating_sub(1), 0);
    loop {
        let entry = entries.next()?;
        if entry.sequence == 0 {
            if entry.time == 0 && entry.length == 0 && entry.name.is_empty() {
                break;
            }
            return Err(invalid("a message has no sequence"));
        }
        // Where the last message is replaced while it is read, the server gives the one in its place.
        if entry.sequence <= last || last > number("last_seq") {
            return Err(invalid("its messages are not in order"));
        }
        last = entry.sequence;
        messages += 1;
    }
    Ok((Contents { messages: Some(messages), state: Some(state) }, entries.into_inner()))
}

/// The files that a server kept, one after the other.
fn tar(beginning: &[u8], blocks: &mut impl Read) -> io::Result<Contents> {
    let mut source = Ending { source: beginning.chain(blocks), zeros: 0 };
    let mut described = false;
    let mut archive = tar::Archive::new(&mut source);
    // As they lie there: a long name is an entry like any other, and is not taken into memory.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        described |= entry.path_bytes().as_ref() == b"meta.inf";
        let size = entry.size();
        if io::copy(&mut entry, &mut io::sink())? != size {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it is cut short"));
        }
    }
    io::copy(&mut source, &mut io::sink())?;
    if source.zeros < TAR_END_BYTES {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "it is cut short: its end is missing"));
    }
    if described { Ok(Contents::default()) } else { Err(invalid("it is no archive of a stream")) }
}

/// Counts the zeros at the end of what was read.
struct Ending<R> {
    source: R,
    zeros: u64,
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let zeros = buffer[..read].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == read { self.zeros + zeros as u64 } else { zeros as u64 };
        Ok(read)
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::blocks::compressed;
    use super::super::entries::written;
    use super::*;

    const STATE: &[u8] = br#"{"messages":2,"first_seq":3,"last_seq":9,"consumer_count":1}"#;

    fn whole() -> Vec<Vec<u8>> {
        vec![
            MAGIC.to_vec(),
            written("state.json", 1, 0, STATE),
            written("consumers/c", 1, 0, b"{}"),
            written("agent.events.a.b", 1, 3, b"one"),
            written("agent.events.a.c", 2, 7, b"two"),
            written("", 0, 0, b""),
        ]
    }

    fn read(archive: &[Vec<u8>]) -> io::Result<Contents> {
        Ok(read_through(compressed(&archive.concat(), 64).as_slice())?.0)
    }

    #[test]
    fn a_whole_archive_is_counted() {
        let contents = read(&whole()).expect("whole");
        assert_eq!(contents.messages, Some(2));
        assert_eq!(contents.state.expect("a state")["last_seq"], 9);
    }

    #[test]
    fn what_is_missing_or_misplaced_is_found() {
        for missing in 0..6 {
            let mut archive = whole();
            archive.remove(missing);
            // A message that is missing shows in the count.
            let found = read(&archive).map_or(true, |contents| contents.messages != Some(2));
            assert!(found, "without part {missing}");
        }
        let mut swapped = whole();
        swapped.swap(3, 4);
        assert!(read(&swapped).is_err());
        let mut longer = whole();
        longer.push(written("agent.events.a.d", 3, 8, b"three"));
        assert!(read(&longer).is_err());
    }

    #[test]
    fn a_last_message_that_was_replaced_while_it_was_read_is_no_damage() {
        let after = |sequences: &[u64]| {
            let mut archive = whole();
            let end = archive.pop().expect("an end");
            archive.extend(sequences.iter().map(|sequence| written("agent.events.a.d", 3, *sequence, b"three")));
            archive.push(end);
            read(&archive)
        };
        assert_eq!(after(&[12]).expect("the one in its place").messages, Some(3));
        assert!(after(&[12, 13]).is_err(), "nothing comes after the last");
    }

    fn tar_of(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_cksum();
            builder.append_data(&mut header, name, &b"abc"[..]).expect("a tar in memory");
        }
        builder.into_inner().expect("a tar in memory")
    }

    #[test]
    fn the_tar_of_older_servers_is_read() {
        let whole = tar_of(&["meta.inf", "msgs/1.blk"]);
        let read = |tar: &[u8]| read_through(compressed(tar, 512).as_slice()).map(|(contents, _)| contents);
        assert_eq!(read(&whole).expect("whole"), Contents::default());
        // The end of a block is no end of the tar.
        for cut in (0..whole.len()).step_by(512) {
            assert!(read(&whole[..cut]).is_err(), "cut to {cut}");
        }
        assert!(read(&tar_of(&["notes.txt"])).is_err());
    }

    proptest! {
        #[test]
        fn a_cut_is_always_found(cut: prop::sample::Index) {
            let stream = compressed(&whole().concat(), 16);
            let cut = cut.index(stream.len());
            prop_assert!(read_through(&stream[..cut]).is_err());
        }

        #[test]
        fn a_flipped_bit_is_found_or_changes_nothing(at: prop::sample::Index, bit in 0..8_u8) {
            let mut stream = compressed(&whole().concat(), 1_000);
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
            if let Ok((contents, _)) = read_through(stream.as_slice()) {
                prop_assert_eq!(contents.messages, Some(2));
            }
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), magic: bool) {
            let bytes = if magic { [MAGIC.as_slice(), &bytes].concat() } else { bytes };
            let _ = read_through(compressed(&bytes, 500).as_slice());
        }
    }
}
