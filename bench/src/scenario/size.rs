//! How large what is shipped is. It must not know what is in it.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::Scenario;
use crate::options::Plan;
use crate::results::{Figure, Goal, Outcome, Unit};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "size", about: "What is shipped: the service's binary and the agent component", run };

const MB: f64 = 1e6;

fn run(plan: &Plan) -> Result<Outcome> {
    let size = |file: &Path| -> Result<Figure> {
        let metadata = file.metadata().with_context(|| format!("cannot look at {}", file.display()))?;
        Ok(Figure::once(Unit::Bytes, metadata.len() as f64))
    };
    let goals = vec![
        Goal::at_most(30.0 * MB, "size of `agent-service`", size(&plan.service)?),
        Goal::at_most(0.4 * MB, "size of `agent.wasm`", size(&plan.plugin)?),
    ];
    Ok(Outcome { goals, ..Outcome::default() })
}
