//! What the pipeline asks of a plugin: pure data in, pure data out. Knows nothing of
//! WebAssembly, of NATS or of where state is kept.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::name::{AggregateId, IdFormat, Name, printable};

/// Most events one command may cause: what one atomic batch of JetStream holds.
pub const EVENTS_PER_COMMAND_MAX: usize = 1_000;

/// One loaded version of a plugin.
pub trait Generation: Send + Sync {
    /// What the plugin says it is.
    fn description(&self) -> &Description;

    /// What the code is: the SHA-256 of the component's bytes.
    fn digest(&self) -> Digest;

    /// A fresh instance, for one shard's thread.
    ///
    /// # Errors
    /// [`PluginError`] where no instance can be had: out of slots, or it fails to start.
    fn instantiate(&self) -> Result<Box<dyn Instance>, PluginError>;
}

/// A running copy of a plugin that keeps live aggregates in its own memory.
///
/// After a [`PluginError`] the instance is lost with all its aggregates.
pub trait Instance {
    /// A new aggregate without events.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn create(&mut self, id: &AggregateId) -> Result<Handle, PluginError>;

    /// An aggregate from a snapshot; the inner error is the plugin's refusal to read it.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn restore(
        &mut self,
        id: &AggregateId,
        state_schema: u32,
        state: &[u8],
    ) -> Result<Result<Handle, String>, PluginError>;

    /// Decides on a command. Changes nothing.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn decide(
        &mut self,
        aggregate: Handle,
        context: &Context<'_>,
        verb: &Name,
        payload: &[u8],
    ) -> Result<Decision, PluginError>;

    /// Applies events in order; the inner error is an event the plugin cannot apply, after
    /// which the aggregate must be released.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn evolve(&mut self, aggregate: Handle, events: &[DomainEvent]) -> Result<Result<(), EvolveError>, PluginError>;

    /// The state in the plugin's own format.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn snapshot(&mut self, aggregate: Handle) -> Result<Vec<u8>, PluginError>;

    /// The state for queries, checked to be a JSON object.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn view(&mut self, aggregate: Handle) -> Result<Vec<u8>, PluginError>;

    /// Lets an aggregate go.
    ///
    /// # Errors
    /// [`PluginError`]: the instance is lost.
    fn release(&mut self, aggregate: Handle) -> Result<(), PluginError>;
}

/// A live aggregate of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(pub u32);

/// What a plugin says it is, checked.
#[derive(Debug, Clone)]
pub struct Description {
    /// The domain's name.
    pub domain: Name,
    /// The plugin's version.
    pub version: String,
    /// Number of the state's shape.
    pub state_schema: u32,
    /// The payload field that holds the aggregate's id.
    pub id_field: String,
    /// What an id looks like.
    pub id_format: IdFormat,
    /// The commands, by verb.
    pub commands: Vec<MessageType>,
    /// The events.
    pub events: Vec<MessageType>,
}

impl Description {
    /// The verb's name, where the domain has it.
    pub fn verb(&self, verb: &str) -> Option<&Name> {
        self.commands.iter().map(|c| &c.name).find(|name| name.as_str() == verb)
    }

    /// The names of all verbs.
    pub fn verbs(&self) -> impl Iterator<Item = &Name> {
        self.commands.iter().map(|command| &command.name)
    }

    /// The event's name, where the domain has it.
    pub fn event(&self, event: &str) -> Option<&Name> {
        self.events.iter().map(|e| &e.name).find(|name| name.as_str() == event)
    }
}

/// A command or event type of a domain.
#[derive(Debug, Clone)]
pub struct MessageType {
    /// Its name in subjects.
    pub name: Name,
    /// Its meaning, for people.
    pub description: String,
    /// JSON Schema of its payload.
    pub schema: serde_json::Value,
}

/// Everything a decision may depend on beside state and command.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The command's id.
    pub command_id: &'a str,
    /// The aggregate's id.
    pub aggregate_id: &'a AggregateId,
    /// How many events the aggregate has.
    pub version: u64,
    /// The host's clock, never earlier than the aggregate's last event.
    pub time: Timestamp,
    /// Ties together the messages of one undertaking.
    pub correlation_id: &'a str,
    /// Who sent the command, as the client claims.
    pub actor: Option<&'a str>,
    /// 128 bits, the same whenever this command of this aggregate is decided.
    pub seed: (u64, u64),
}

/// What a plugin makes of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Facts to record; none means there is nothing to do.
    Events(Vec<DomainEvent>),
    /// Understood and refused.
    Rejected {
        /// Stable token.
        reason: String,
        /// In words.
        message: String,
    },
    /// Not understood.
    Invalid {
        /// Path of the field at fault, empty for the whole.
        field: String,
        /// In words.
        message: String,
    },
}

/// A fact as the plugin states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEvent {
    /// Which event.
    pub name: Name,
    /// A JSON object.
    pub payload: Bytes,
}

/// An event that the plugin cannot apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvolveError {
    /// Position in the list handed over.
    pub index: usize,
    /// Why.
    pub message: String,
}

/// The plugin failed to answer, or broke its contract. The instance is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// It trapped.
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    /// It did not answer within its deadline.
    #[error("the plugin did not answer within {0} ms")]
    DeadlineExceeded(u64),
    /// It asked for more memory than it may have.
    #[error("the plugin asked for more than its {0} bytes of memory")]
    MemoryExceeded(usize),
    /// It answered with something its contract does not allow.
    #[error("the plugin broke its contract: {0}")]
    ContractBroken(String),
    /// The instance was lost to a failure of another aggregate in it.
    #[error("the plugin's instance was lost to the failure of another aggregate")]
    InstanceLost,
    /// No instance could be made.
    #[error("no instance of the plugin could be made: {0}")]
    NoInstance(String),
}

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut bytes = [0; 32];
        let hexadecimal = text.strip_prefix("sha256:").unwrap_or(text);
        hex::decode_to_slice(hexadecimal, &mut bytes).map_err(|_| InvalidDigest(printable(text)))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no digest: it takes 64 hexadecimal digits, with `sha256:` before them or without")]
pub struct InvalidDigest(String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl Author {
    /// The digest in the plugin's text, where it has one.
    pub fn digest(&self) -> Option<Digest> {
        self.plugin.rsplit_once(";sha256=").and_then(|(_, digest)| digest.parse().ok())
    }
}

/// The code that decides: what events say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// `<name>/<version>;sha256=<hex>`.
    pub plugin: Arc<str>,
    /// The activation number.
    pub activation: u64,
}
