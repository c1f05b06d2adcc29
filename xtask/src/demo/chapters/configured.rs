//! Chapter: the agent gets settings.

use anyhow::Result;

use crate::demo::story::{AGENT_ID, Story, must_have_stored};

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "Every command names the agent it is for; those of one agent are carried out one after another. This one \
         changes settings, and only those it names.",
    )?;
    let payload = format!(r#"{{"agent_id": "{AGENT_ID}", "changes": {{"language": "en", "answers_per_minute": 20}}}}"#);
    let answer = story.send("update_configuration", &[], &payload)?;
    must_have_stored(&answer, 2, "configuration_changed")?;
    story.held("the next event, the next version")
}
