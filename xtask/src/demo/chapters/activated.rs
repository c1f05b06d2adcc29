//! Chapter: the agent begins its work.

use anyhow::Result;

use crate::demo::story::{AGENT_ID, Story, must_have_stored};

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "Who sends a command may say so; the event will bear the name. Then a query: what has become of the agent \
         by now?",
    )?;
    let answer = story.send("activate", &["--actor", "you"], &format!(r#"{{"agent_id": "{AGENT_ID}"}}"#))?;
    must_have_stored(&answer, 3, "activated")?;
    let state = story.state(&[])?;
    story.show_parts(&state, &["/version", "/state/status", "/state/configuration/settings"])?;
    state.must_be("/version", 3)?;
    state.must_be("/state/status", "Active")?;
    state.must_be("/state/configuration/settings/language", "en")?;
    story.held("three events in, the state is what they add up to")
}
