//! Everything a decision may depend on that is neither state nor the command. Holds what the
//! host handed over and has no source of its own.

use crate::Timestamp;

/// The circumstances of one command, the same whenever that command is decided again except
/// for [`version`](Context::version) and [`time`](Context::time).
///
/// The host makes it; in tests and native programs it is built by hand:
///
/// ```
/// use agent_guest::{Context, Timestamp};
///
/// let context = Context::new("cmd-1", "c1", 4, Timestamp::from_millis(0)).with_actor("ada");
/// assert_eq!(context.actor(), Some("ada"));
/// assert_eq!(context.correlation_id(), "cmd-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    command_id: String,
    aggregate_id: String,
    version: u64,
    time: Timestamp,
    /// `None` stands for the command's id, so that the usual case costs no copy.
    correlation_id: Option<String>,
    actor: Option<String>,
    seed: (u64, u64),
}

impl Context {
    /// The context of a command: its id, the aggregate's id, how many events the aggregate
    /// has, and the time. The correlation is the command's id, there is no actor, the seed is 0.
    #[must_use]
    pub fn new(command_id: impl Into<String>, aggregate_id: impl Into<String>, version: u64, time: Timestamp) -> Self {
        Self {
            command_id: command_id.into(),
            aggregate_id: aggregate_id.into(),
            version,
            time,
            correlation_id: None,
            actor: None,
            seed: (0, 0),
        }
    }

    /// The same at this version.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// The same at this time.
    #[must_use]
    pub fn with_time(mut self, time: Timestamp) -> Self {
        self.time = time;
        self
    }

    /// The same with this correlation id.
    #[must_use]
    pub fn with_correlation_id(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }

    /// The same with this actor.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// The same with this seed.
    #[must_use]
    pub fn with_seed(mut self, seed: (u64, u64)) -> Self {
        self.seed = seed;
        self
    }

    /// The command's id, unique within the aggregate.
    #[must_use]
    pub fn command_id(&self) -> &str {
        &self.command_id
    }

    /// The aggregate's id.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        &self.aggregate_id
    }

    /// How many events the aggregate has; 0 for one that does not exist yet.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The host's clock, never earlier than the aggregate's last event.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What ties together the messages of one undertaking.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        self.correlation_id.as_deref().unwrap_or(&self.command_id)
    }

    /// Who sent the command, as the client claims.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// 128 bits that are the same whenever this command of this aggregate is decided: the
    /// source of ids that a domain makes.
    #[must_use]
    pub fn seed(&self) -> (u64, u64) {
        self.seed
    }
}
