//! Chapter: SIGKILL, and a new process that knows everything.

use anyhow::Result;

use super::twice;
use crate::demo::answer::same;
use crate::demo::story::Story;

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "The service keeps agents in memory, but only as a cache of the stored events. So it may die at any \
         moment. First, the state before:",
    )?;
    let before = story.state(&[])?;
    let parts = ["/version", "/state/status", "/state/configuration/settings"];
    story.show_parts(&before, &parts)?;
    story.kill_service_and_start_again()?;
    let after = story.state(&[])?;
    story.show_parts(&after, &parts)?;
    same("the version after the restart", after.at("/version")?, before.at("/version")?)?;
    same("the state after the restart", after.at("/state")?, before.at("/state")?)?;
    story.held("the state is the same, to the last field")?;
    story.words("The new process also remembers the command that has been carried out before:")?;
    twice::must_be_the_first_outcome_again(&twice::send(story)?)?;
    story.held("still a duplicate, across processes")
}
