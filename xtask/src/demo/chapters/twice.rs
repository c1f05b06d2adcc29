//! Chapter: a command with an id is sent again.

use anyhow::Result;

use crate::demo::answer::{Answer, same};
use crate::demo::story::{AGENT_ID, Story, must_have_stored};

/// The version after the one command of this chapter that counts.
const VERSION: u64 = 4;

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "Networks lose answers, so clients ask again. A command that bears an id (the header Nats-Msg-Id) has \
         the effect of one, however often it arrives.",
    )?;
    let first = send(story)?;
    must_have_stored(&first, VERSION, "permissions_granted")?;
    first.must_be("/duplicate", false)?;
    let second = send(story)?;
    must_be_the_first_outcome_again(&second)?;
    same("the second list of events", second.at("/events")?, first.at("/events")?)?;
    story.held("the second answer is the first one again, marked as a duplicate")
}

/// The same command as ever, byte for byte.
pub(super) fn send(story: &Story) -> Result<Answer> {
    let permission = r#"{"id": "archive.read", "description": "look things up"}"#;
    let payload = format!(r#"{{"agent_id": "{AGENT_ID}", "permissions": [{permission}]}}"#);
    story.send("grant_permissions", &["--msg-id", "grant-1"], &payload)
}

pub(super) fn must_be_the_first_outcome_again(answer: &Answer) -> Result<()> {
    must_have_stored(answer, VERSION, "permissions_granted")?;
    answer.must_be("/duplicate", true)
}
