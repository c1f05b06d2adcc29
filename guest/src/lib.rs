//! SDK for plugins of the agent service: event-sourced domains as WebAssembly components.
//!
//! A plugin author writes the state, the commands, the events, one trait and one macro line.
//! No build script, no interface file, no unsafe code; this is a whole plugin:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use agent_guest::prelude::*;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter {
//!     count: u64,
//! }
//!
//! /// The verbs `increment` and `reset`.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(rename_all = "snake_case")]
//! enum Command {
//!     Increment { by: u64 },
//!     Reset,
//! }
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(rename_all = "snake_case")]
//! enum Event {
//!     Incremented { by: u64 },
//!     WasReset,
//! }
//!
//! impl Domain for Counter {
//!     const NAME: &'static str = "counter";
//!     const ID_FIELD: &'static str = "counter_id";
//!     type Command = Command;
//!     type Event = Event;
//!
//!     fn decide(&self, _: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
//!         match command {
//!             Command::Increment { by: 0 } => Err(Refusal::rejected("zero", "adds nothing")),
//!             Command::Increment { by } => Ok(vec![Event::Incremented { by }]),
//!             Command::Reset => Ok(vec![Event::WasReset]),
//!         }
//!     }
//!
//!     fn evolve(&mut self, event: Event) -> Result<(), String> {
//!         match event {
//!             Event::Incremented { by } => self.count += by,
//!             Event::WasReset => self.count = 0,
//!         }
//!         Ok(())
//!     }
//! }
//!
//! agent_guest::export!(Counter);
//!
//! // Rules are tested natively, without a component or a host:
//! use agent_guest::testing::given;
//!
//! given::<Counter>("c1")
//!     .no_events()
//!     .when_json("increment", r#"{"by":2}"#)
//!     .then([Event::Incremented { by: 2 }]);
//! given::<Counter>("c1")
//!     .events([Event::Incremented { by: 2 }])
//!     .when_json("increment", r#"{"by":0}"#)
//!     .then_rejected("zero");
//! ```
//!
//! Build it with `crate-type = ["cdylib", "rlib"]` for the target `wasm32-wasip2`: the result
//! is a component that the service loads as it is.
//!
//! # How payloads are read and written
//!
//! - The command's serde variant name is the verb; the content of the variant is the payload.
//! - The field [`Domain::ID_FIELD`] is the host's business and need not be declared.
//! - `type` may be in the payload. For a variant that holds a struct (`Deploy(DeployAgent)`)
//!   it must then be the struct's serde name, for any other the verb, unless the variant has a
//!   field `type` of its own. (A struct with `#[serde(flatten)]` hides its name from serde and
//!   counts as an inline variant.)
//! - The payload of an event variant that holds a struct begins with the struct's serde name
//!   as `type`; that of any other is the variant's fields and nothing else.
//! - Unknown fields are ignored, so that newer clients work with older plugins.
//! - What does not decode is [`Refusal::Invalid`] with the path of the field at fault.

mod context;
mod decode;
pub mod describe;
mod domain;
mod encode;
pub mod live;
mod locate;
pub mod log;
mod payload;
pub mod prelude;
mod probe;
mod refusal;
pub mod schemas;
pub mod testing;
mod timestamp;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wit;

pub use context::Context;
pub use domain::{Domain, IdFormat, Released};
pub use refusal::Refusal;
pub use timestamp::{NotATimestamp, Timestamp};

/// Makes a type that implements [`Domain`] the plugin of this crate.
///
/// Takes the plugin's version from the `Cargo.toml` of the crate it is written in, and on
/// `wasm32` exports the component's functions. One crate exports one domain. The author's
/// crate may `#![forbid(unsafe_code)]`: the exported symbols are this macro's business.
///
/// Where several plugins come from one package, such as examples, each may say its own version:
///
/// ```
/// # use agent_guest::prelude::*;
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter {}
/// # #[derive(Deserialize, JsonSchema)]
/// # enum Command {}
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # enum Event {}
/// # impl Domain for Counter {
/// #     const NAME: &'static str = "counter";
/// #     const ID_FIELD: &'static str = "counter_id";
/// #     type Command = Command;
/// #     type Event = Event;
/// #     fn decide(&self, _: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
/// #         match command {}
/// #     }
/// #     fn evolve(&mut self, event: Event) -> Result<(), String> {
/// #         match event {}
/// #     }
/// # }
/// agent_guest::export!(Counter, version = "2.0.0");
///
/// use agent_guest::Released;
/// assert_eq!(Counter::VERSION, "2.0.0");
/// ```
///
/// A plugin with many messages can keep their schemas in a file,
/// `export!(Agent, schemas = include_str!("../schemas.json"))`: its component is a third smaller, and
/// a review shows what changes for those who send commands and read events.
/// [`testing::schemas_in_step`] writes the file and fails where it is behind the types.
#[macro_export]
macro_rules! export {
    ($domain:ty $(, schemas = $schemas:expr)?) => {
        $crate::export!($domain, version = ::core::env!("CARGO_PKG_VERSION") $(, schemas = $schemas)?);
    };
    ($domain:ty, version = $version:expr $(, schemas = $schemas:expr)?) => {
        impl $crate::Released for $domain {
            const VERSION: &'static str = $version;
            $(const SCHEMAS: Option<&'static str> = Some($schemas);)?
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Plugin = $crate::wit::Plugin<$domain>;
            $crate::wit::export_plugin!(Plugin with_types_in $crate::wit);
        };
    };
}
