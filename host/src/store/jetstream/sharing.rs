//! Whether the server that judges a stream's appends may be given batches of several aggregates. Up to
//! 2.14.3 it mixes up the subjects whose last sequence they expect (nats-server#8376): mostly it refuses
//! what is right, and it may take what is not. Up to 2.14 one replica commits what is left of a batch whose
//! message it cannot store, and acknowledges the whole. Knows nothing of batches themselves.

use serde_json::Value;

/// The first level of JetStream's API that no server with these faults has.
const LEVEL: u64 = 5;

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
        Self::Never
    }
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
        for (version, level) in [("2.12.0", "2"), ("2.12.15", "3"), ("2.14.0", "4"), ("2.14.5", "4"), ("hello", "4")] {
            assert_eq!(told(version, level), Sharing::Never, "{version}");
        }
        assert_eq!(Sharing::of(&json!({})), Sharing::Never, "a server that does not say what it is");
    }

    #[test]
    fn servers_without_it_are_too_and_the_batch_demands_one() {
        for (version, level) in [("2.15.1", "5"), ("2.16.0", "6"), ("3.0.0", "7")] {
            assert_eq!(told(version, level), Sharing::If(Demand::Level("5")), "{version}");
        }
    }
}
