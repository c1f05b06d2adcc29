//! The values that commands, events and state are made of. Shapes only; what may be done with
//! them is `decide.rs`.

mod capability;
mod configuration;
mod lifecycle;
mod metadata;
mod permission;
mod tool;

use serde_json::{Map, Value};

pub use capability::{Capability, Port};
pub use configuration::{Configuration, InitialConfiguration};
pub use lifecycle::Status;
pub use metadata::{AgentType, Metadata};
pub use permission::Permission;
pub(crate) use permission::covers;
pub use tool::{Parameter, Tool};

/// A JSON object of the client's own making, with its keys in order.
pub type Object = Map<String, Value>;

/// A value that stands in an agent under an id.
pub(crate) trait Identified {
    /// The id it stands under.
    fn id(&self) -> &str;
}
