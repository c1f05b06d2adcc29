//! Chapter: a command makes an agent.

use anyhow::Result;

use crate::demo::story::{AGENT_ID, Story, must_have_stored};

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "A command is a wish, and a NATS request: here to agent.commands.deploy. The service asks the plugin, \
         stores what the plugin decides as events in JetStream, and answers once they are safely stored.",
    )?;
    let payload = format!(
        r#"{{
  "agent_id": "{AGENT_ID}",
  "agent_type": "AI",
  "metadata": {{
    "name": "Ada",
    "description": "answers questions about the archive",
    "version": "1.0.0",
    "owner_id": "0197f3c2-0000-7000-8000-00000000000a",
    "tags": ["archive"]
  }}
}}"#
    );
    let answer = story.send("deploy", &[], &payload)?;
    must_have_stored(&answer, 1, "deployed")?;
    answer.must_be("/id", AGENT_ID)?;
    story.held("one event is stored, so the agent is at version 1")
}
