//! Which stream a domain has, by the settings. Knows nothing of streams that stand.

use super::Service;
use crate::name::{Name, stream_of};

/// The domain whose stream has a setting of its own.
pub const AGENT_DOMAIN: &str = "agent";

impl Service {
    /// The stream of a domain's events.
    pub fn stream_of(&self, domain: &Name) -> String {
        if domain.as_str() == AGENT_DOMAIN { self.stream_name.clone() } else { stream_of(domain) }
    }
}
