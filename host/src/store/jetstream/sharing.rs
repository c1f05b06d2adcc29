//! Whether the server that judges a stream's appends may be given batches of several aggregates. Up to
//! 2.14.3 it mixes up the subjects whose last sequence they expect (nats-server#8376): mostly it refuses
//! what is right, and it may take what is not. Knows nothing of batches themselves.

use serde_json::Value;

/// The first level of JetStream's API that no server with the fault has.
const LEVEL: u64 = 5;
/// The first versions without the fault, on the lines that are older than that level.
const VERSIONS: [(u64, u64, u64); 2] = [(2, 12, 14), (2, 14, 4)];

/// What a stream's leader said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Every command has a batch of its own.
    Never,
    /// Several commands may share a batch, if the server is what the batch demands.
    If(Demand),
}

/// What a batch demands of the server that judges it: another one may have become the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing.
    Nothing,
    /// A level of JetStream's API.
    Level(&'static str),
}

impl Sharing {
    /// By a stream's configuration as its leader has just told it: it adds what it is itself.
    pub(super) fn of(config: &Value) -> Self {
        let metadata = |name: &str| config.get("metadata")?.get(name)?.as_str();
        let level = metadata("_nats.level").and_then(|level| level.parse::<u64>().ok());
        if level.is_some_and(|level| level >= LEVEL) {
            return Self::If(Demand::Level("5"));
        }
        match metadata("_nats.ver").and_then(parse) {
            Some(found) if VERSIONS.iter().any(|fixed| same_line(*fixed, found) && found >= *fixed) => {
                Self::If(Demand::Nothing)
            }
            _ => Self::Never,
        }
    }
}

fn same_line(one: (u64, u64, u64), other: (u64, u64, u64)) -> bool {
    (one.0, one.1) == (other.0, other.1)
}

/// The numbers of a version like `2.14.4` or `2.14.4-RC.1`.
fn parse(version: &str) -> Option<(u64, u64, u64)> {
    let numbers = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(version: &str, level: &str) -> Sharing {
        Sharing::of(&json!({"metadata": {"_nats.ver": version, "_nats.level": level, "_nats.req.level": "2"}}))
    }

    #[test]
    fn servers_with_the_fault_are_known() {
        for (version, level) in [("2.12.0", "2"), ("2.12.13", "3"), ("2.14.0", "4"), ("2.14.3", "4"), ("hello", "4")] {
            assert_eq!(told(version, level), Sharing::Never, "{version}");
        }
        assert_eq!(Sharing::of(&json!({})), Sharing::Never, "a server that does not say what it is");
    }

    #[test]
    fn servers_without_it_are_too_and_the_batch_says_so_where_it_can() {
        for (version, level) in [("2.12.14", "3"), ("2.14.4", "4"), ("2.14.4-RC.1", "4"), ("2.14.10", "4")] {
            assert_eq!(told(version, level), Sharing::If(Demand::Nothing), "{version}");
        }
        for (version, level) in [("2.15.1", "5"), ("2.16.0", "6"), ("3.0.0", "7")] {
            assert_eq!(told(version, level), Sharing::If(Demand::Level("5")), "{version}");
        }
    }
}
