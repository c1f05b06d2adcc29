//! The single deeds. Each is as plain as the language allows, so that what a test sees is
//! the host's doing and not the optimiser's.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write;

/// Bytes per step on the way to the limit.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads `false`, and nothing else.
pub(crate) fn unreadable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match <bool as serde::Deserialize>::deserialize(deserializer)? {
        false => Ok(false),
        true => Err(serde::de::Error::custom("asked not to read it")),
    }
}

/// Never comes back.
pub(crate) fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Comes back after so many turns.
pub(crate) fn turn(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

/// Takes memory until there is none.
pub(crate) fn allocate() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; CHUNK_BYTES]));
    }
}

/// Goes so many calls deep.
pub(crate) fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 {
        return 0;
    }
    // Something is left to do after the call, so that it cannot become a loop.
    black_box(recurse(depth - 1)) + 1
}

/// Logs so many lines.
pub(crate) fn log_lines(lines: u64) {
    for line in 0..lines {
        agent_guest::log::info(&format!("line {line}"));
    }
}

/// Prints so many lines.
pub(crate) fn print_lines(lines: u64) {
    let mut out = std::io::stdout().lock();
    for line in 0..lines {
        // Whether anybody reads it is nothing a plugin can know.
        let _ = writeln!(out, "printed {line}");
    }
}

/// So many bytes of text.
pub(crate) fn padding(bytes: u64) -> String {
    "x".repeat(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// What it sees of the machine: arguments and environment.
pub(crate) fn machine() -> Vec<String> {
    let variables = std::env::vars().map(|(name, value)| format!("{name}={value}"));
    std::env::args().chain(variables).collect()
}

/// The order in which a hash map with the numbers below `n` is walked.
pub(crate) fn hash_order(n: u64) -> Vec<u64> {
    let map: HashMap<u64, ()> = (0..n).map(|number| (number, ())).collect();
    map.into_keys().collect()
}
