//! The names nearly every plugin file needs, for `use agent_guest::prelude::*;`.
//!
//! The derives still need `serde` and `schemars` in the plugin's own `Cargo.toml`.

pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};

pub use crate::{Context, Domain, IdFormat, Refusal, Timestamp};
