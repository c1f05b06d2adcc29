//! What a plugin author writes: one domain, as a pure trait over plain data. Knows nothing
//! of bytes, of the component interface or of the host.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Context, Refusal};

/// One event-sourced domain. The implementing type is the state of one aggregate.
///
/// Everything here is pure: the same state, context and command give the same answer, on
/// every host and in every replay. So:
///
/// - time, actor and a seed for ids come from the [`Context`], never from `std`;
/// - collections whose order can be seen in events, views or snapshots are `BTreeMap` and
///   `BTreeSet`; the order of a `HashMap` is an accident that must not reach the log.
///
/// The state itself is `Serialize + DeserializeOwned`: snapshots are its JSON. A field added
/// later needs `#[serde(default)]`; where an old snapshot would no longer be read as the same
/// state, raise [`STATE_SCHEMA`](Domain::STATE_SCHEMA).
pub trait Domain: Default + Serialize + DeserializeOwned + 'static {
    /// The domain's name, the first token of every subject: `[a-z][a-z0-9_]{0,31}`.
    const NAME: &'static str;

    /// The field of a command's payload that holds the aggregate's id, e.g. `counter_id`. The
    /// host reads and checks it; a command type need not declare it.
    const ID_FIELD: &'static str;

    /// What an id must look like; the host checks it before the plugin is called.
    const ID_FORMAT: IdFormat = IdFormat::Token;

    /// Number of the state's shape, written beside every snapshot.
    const STATE_SCHEMA: u32 = 1;

    /// The commands: an enum in serde's default (externally tagged) form. The serde name of a
    /// variant is the verb in subjects (`#[serde(rename_all = "snake_case")]`), the variant's
    /// content is the payload. Unit, struct and newtype variants will do.
    type Command: DeserializeOwned + JsonSchema;

    /// The events, in the same form; names are past tense. What was once stored must stay
    /// readable for ever: add optional fields, never rename or remove.
    type Event: Serialize + DeserializeOwned + JsonSchema;

    /// An aggregate without events: by default the type's `Default`.
    fn new(id: &str) -> Self {
        let _ = id;
        Self::default()
    }

    /// Decides on a command: the events it leads to, none if there is nothing to do, or why
    /// not. Changes nothing.
    ///
    /// # Errors
    /// [`Refusal::Rejected`] for a command that was understood and refused,
    /// [`Refusal::Invalid`] for a field whose value makes no sense.
    fn decide(&self, context: &Context, command: Self::Command) -> Result<Vec<Self::Event>, Refusal>;

    /// Applies one event: the only thing that changes state, live and in replay alike.
    ///
    /// # Errors
    /// An event is a fact, so the only reason to fail is a history that cannot be: an event of
    /// an aggregate that this state says was never created. The host then parks the aggregate.
    fn evolve(&mut self, event: Self::Event) -> Result<(), String>;

    /// What a query shows; must serialise as a JSON object. By default the state itself.
    fn view(&self) -> impl Serialize {
        self
    }

    /// Reads a snapshot that was written under the state schema number `schema`. By default
    /// only the own number is read; override it to read older ones too.
    ///
    /// # Errors
    /// Why the snapshot cannot be read. The host then replays the events, so declining is safe
    /// and guessing is not.
    fn restore(id: &str, schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        let _ = id;
        if schema != Self::STATE_SCHEMA {
            return Err(format!("snapshot has state schema {schema}, this plugin reads {}", Self::STATE_SCHEMA));
        }
        serde_json::from_slice(snapshot).map_err(|error| format!("snapshot not readable: {error}"))
    }
}

/// What a plugin is released as. Implemented by [`export!`](crate::export).
pub trait Released {
    /// The plugin's own version, a semantic version: that of the author's `Cargo.toml`, or the one given.
    const VERSION: &'static str;

    /// The schemas of its commands and events, as [`schemas::text`](crate::schemas::text) writes
    /// them. Without, the component derives them from the types each time it is asked.
    const SCHEMAS: Option<&'static str> = None;
}

/// What an aggregate's id must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdFormat {
    /// 1 to 64 characters of `A-Z a-z 0-9 _ -`.
    Token,
    /// A UUID, lower case and hyphenated.
    Uuid,
}

impl IdFormat {
    /// The same as a regular expression, as JSON Schema's `pattern` wants it.
    #[must_use]
    pub const fn pattern(self) -> &'static str {
        match self {
            Self::Token => "^[A-Za-z0-9_-]{1,64}$",
            Self::Uuid => "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        }
    }
}
