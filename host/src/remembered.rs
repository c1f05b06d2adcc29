//! The last commands of an aggregate that stored events, as digests: what makes the same
//! command id take effect once, however late it comes again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How many commands an aggregate remembers.
pub const COMMANDS_MAX: usize = 128;

/// The last commands, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedCommands(VecDeque<RememberedCommand>);

/// One command and where its events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedCommand {
    /// First 8 bytes of SHA-256 over the command's id. A hit is checked against the
    /// events' `ce-causationid`, so a collision costs a read and nothing else.
    digest: u64,
    /// Version of its first event.
    pub first_version: u64,
    /// Sequence of its first event; those of one command follow one another.
    pub first_sequence: u64,
    /// How many events it stored.
    pub events: u32,
}

impl RememberedCommands {
    /// Looks a command up by its id.
    pub fn find(&self, command_id: &str) -> Option<RememberedCommand> {
        let digest = digest(command_id);
        self.0.iter().rev().find(|command| command.digest == digest).copied()
    }

    /// Remembers a command that stored `events` events, the first as `version` at `sequence`.
    pub fn remember(&mut self, command_id: &str, version: u64, sequence: u64, events: u32) {
        while self.0.len() >= COMMANDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(RememberedCommand {
            digest: digest(command_id),
            first_version: version,
            first_sequence: sequence,
            events,
        });
    }

    /// Remembers one event of a history read in order: a further event of the last command
    /// counts to it.
    pub fn observe(&mut self, command_id: &str, version: u64, sequence: u64) {
        match self.0.back_mut() {
            Some(last)
                if last.digest == digest(command_id) && last.first_version + u64::from(last.events) == version =>
            {
                last.events += 1;
            }
            _ => self.remember(command_id, version, sequence, 1),
        }
    }
}

fn digest(command_id: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(command_id.as_bytes()).into();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commands_are_found_and_older_ones_forgotten() {
        let mut commands = RememberedCommands::default();
        for n in 0..COMMANDS_MAX as u64 + 1 {
            commands.remember(&format!("c{n}"), n + 1, 10 * n, 1);
        }
        assert_eq!(commands.find("c0"), None);
        assert_eq!(commands.find("c1").map(|c| (c.first_version, c.first_sequence)), Some((2, 10)));
        assert_eq!(commands.find("c128").map(|c| c.first_version), Some(129));
        assert_eq!(commands.find("other"), None);
    }

    #[test]
    fn events_of_one_command_are_one_entry() {
        let mut commands = RememberedCommands::default();
        commands.observe("c1", 1, 4);
        commands.observe("c1", 2, 5);
        commands.observe("c2", 3, 9);
        let first = commands.find("c1").expect("remembered");
        assert_eq!((first.first_version, first.first_sequence, first.events), (1, 4, 2));
        assert_eq!(commands.find("c2").map(|c| c.events), Some(1));
    }
}
