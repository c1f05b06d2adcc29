//! Bytes that are almost right. Knows nothing of who reads them.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

/// How long one reader is given bytes where `AGENT_FUZZ_SECONDS` does not say.
const TIME: Duration = Duration::from_secs(8);
/// Cases between two looks at the clock.
const CASES_AT_ONCE: u32 = 32;
/// Changes of one input at most.
const CHANGES_MAX: usize = 12;
/// Longest piece that a change inserts, removes or doubles.
const PIECE_MAX: usize = 64;
/// What parsers tend to mistake.
const TELLING: [&[u8]; 12] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x80\x80\x80\x80\x10",
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"\"",
    b"{",
    b"[",
    b"\\ud800",
    b"\r\n",
    b"\n\n",
];

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Double(Index, usize),
    Cut(Index),
    Tell(Index, Index),
}

/// The files of a corpus.
pub(crate) fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile_bytes/corpus").join(name);
    let files = std::fs::read_dir(&directory).expect("a corpus").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("it can be read")).collect()
}

/// Gives mutations of these inputs to a reader until its time is up; the first that makes it panic fails
/// the test, as small as it can be made.
pub(crate) fn mutate(inputs: Vec<Vec<u8>>, read: impl Fn(&[u8])) {
    let time = std::env::var("AGENT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + time.map_or(TIME, Duration::from_secs);
    for input in &inputs {
        read(input);
    }
    let config = Config { cases: CASES_AT_ONCE, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let changed = (any::<Index>(), prop::collection::vec(change(), 1..=CHANGES_MAX));
    while Instant::now() < until {
        let run = runner.run(&changed, |(which, changes)| {
            read(&changes.iter().fold(which.get(&inputs).clone(), apply));
            Ok(())
        });
        if let Err(TestError::Fail(why, (which, changes))) = run {
            let bytes = changes.iter().fold(which.get(&inputs).clone(), apply);
            panic!("{why} on {:?}, which came of {changes:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), prop::collection::vec(any::<u8>(), 1..PIECE_MAX)).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at(), 1..PIECE_MAX).prop_map(|(at, length)| Change::Remove(at, length)),
        (at(), 1..PIECE_MAX).prop_map(|(at, length)| Change::Double(at, length)),
        at().prop_map(Change::Cut),
        (at(), at()).prop_map(|(at, which)| Change::Tell(at, which)),
    ]
}

fn apply(mut bytes: Vec<u8>, change: &Change) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len();
    match change {
        Change::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Change::Set(at, byte) => bytes[at.index(length)] = *byte,
        Change::Insert(at, piece) => {
            let at = at.index(length);
            bytes.splice(at..at, piece.iter().copied());
        }
        Change::Remove(at, count) => {
            let at = at.index(length);
            bytes.drain(at..(at + count).min(length));
        }
        Change::Double(at, count) => {
            let at = at.index(length);
            let piece = bytes[at..(at + count).min(length)].to_vec();
            bytes.splice(at..at, piece);
        }
        Change::Cut(at) => bytes.truncate(at.index(length)),
        Change::Tell(at, which) => {
            let at = at.index(length);
            bytes.splice(at..at, TELLING[which.index(TELLING.len())].iter().copied());
        }
    }
    bytes
}
