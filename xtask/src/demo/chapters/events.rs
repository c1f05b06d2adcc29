//! Chapter: the list of the agent's events.

use anyhow::Result;
use serde_json::{Value, json};

use crate::demo::answer::same;
use crate::demo::story::Story;

/// What the chapters before this one have made happen.
const TOLD: &[&str] = &["deployed", "configuration_changed", "activated", "permissions_granted"];

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "The events themselves, as they are stored: in JetStream under agent.events.>, CloudEvents that any \
         NATS client can read and follow.",
    )?;
    let events = story.events()?.documents;
    let field = |event: &Value, name: &str| event.get(name).cloned().unwrap_or_default();
    let lines: Vec<String> = events
        .iter()
        .map(|event| {
            format!(
                "version {}  {}  {:21}  by {}",
                field(event, "version"),
                field(event, "time").as_str().unwrap_or_default(),
                field(event, "type").as_str().unwrap_or_default(),
                field(event, "actor").as_str().unwrap_or("nobody in particular"),
            )
        })
        .collect();
    story.show_lines(&lines)?;
    let found: Vec<Value> = events.iter().map(|event| json!([field(event, "version"), field(event, "type")])).collect();
    let told: Vec<Value> = TOLD.iter().enumerate().map(|(index, event)| json!([index + 1, event])).collect();
    same("the list of events", &Value::from(found), &Value::from(told))?;
    story.held("four events: nothing refused, nothing twice, no gap")
}
