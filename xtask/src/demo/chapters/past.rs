//! Chapter: the state at an earlier version.

use anyhow::Result;

use crate::demo::story::Story;

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story
        .words("Events are never changed, so any earlier state can be had again, for example before the activation:")?;
    let then = story.state(&["--at-version", "2"])?;
    story.show_parts(&then, &["/version", "/state/status", "/state/permissions"])?;
    then.must_be("/version", 2)?;
    then.must_be("/state/status", "Deployed")?;
    then.must_be("/state/configuration/settings/language", "en")?;
    then.must_be("/state/permissions", serde_json::json!({}))?;
    story.held("at version 2 the agent was configured, not yet active, and had no permissions")
}
