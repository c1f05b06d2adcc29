//! What an agent may do.

use agent_guest::{Refusal, prelude::JsonSchema};
use serde::{Deserialize, Serialize};

use super::Identified;
use crate::check;

/// One thing an agent may do.
///
/// The id is hierarchical: `resource.action` or `domain.resource.action`. A `*` at its end
/// covers everything below: `workflow.*` covers `workflow.execute` and
/// `workflow.graph.modify`, and `*` alone covers all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Permission {
    /// Dotted, such as `workflow.execute` or `workflow.*`.
    pub id: String,
    /// What it allows, in words.
    #[serde(default)]
    pub description: String,
    /// Where it holds; everywhere if nothing is said.
    #[serde(default)]
    pub scope: Option<String>,
}

impl Identified for Permission {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Permission {
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        check::permission_id("id", &self.id)?;
        check::text("description", &self.description)?;
        check::optional(check::label, "scope", self.scope.as_deref())
    }
}

/// Whether holding the permission `held` allows what `wanted` names.
pub(crate) fn covers(held: &str, wanted: &str) -> bool {
    match held.strip_suffix('*') {
        // What is left ends with the dot, so `work.*` does not cover `workflow.execute`.
        Some(above) => wanted.len() > above.len() && wanted.starts_with(above),
        None => held == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_covers_everything_below() {
        for (held, wanted) in [
            ("workflow.*", "workflow.execute"),
            ("workflow.*", "workflow.graph.modify"),
            ("workflow.*", "workflow.*"),
            ("workflow.graph.*", "workflow.graph.modify"),
            ("*", "workflow.execute"),
            ("graph.read", "graph.read"),
        ] {
            assert!(covers(held, wanted), "{held} {wanted}");
        }
    }

    #[test]
    fn a_star_covers_nothing_beside_or_above() {
        for (held, wanted) in [
            ("work.*", "workflow.execute"),
            ("workflow.*", "workflow"),
            ("workflow.*", "*"),
            ("workflow.graph.*", "workflow.execute"),
            ("graph.read", "graph.write"),
            ("graph.read", "graph.read.all"),
        ] {
            assert!(!covers(held, wanted), "{held} {wanted}");
        }
    }
}
