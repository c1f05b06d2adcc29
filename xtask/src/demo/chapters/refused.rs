//! Chapter: a transition that the domain forbids.

use anyhow::Result;

use crate::demo::story::{AGENT_ID, Story};

/// What the service's command line exits with when the domain refuses.
const EXIT_REJECTED: i32 = 3;

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "An active agent cannot be activated. A refusal is an answer like any other: it has a code, a reason \
         that programs can rely on, words for people, and leaves no trace in the store.",
    )?;
    let answer = story.send("activate", &[], &format!(r#"{{"agent_id": "{AGENT_ID}"}}"#))?;
    answer.must_exit_with(EXIT_REJECTED)?;
    answer.must_be("/status", "error")?;
    answer.must_be("/code", "rejected")?;
    answer.must_be("/reason", "invalid_transition")?;
    answer.must_be("/version", 3)?;
    story.held("refused by the plugin; the agent is still at version 3, and scripts see exit code 3")
}
