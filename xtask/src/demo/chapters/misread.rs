//! Chapter: new code that would see the past in another way.

use anyhow::{Result, bail};

use super::added::COUNTER_ID;
use crate::demo::story::{Story, must_have_stored};

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "Version 0.1.2 has a mistake that its tests did not find: of every increment it counts one more. Nothing \
         would crash; every count ever taken would just be another one. It is put into the directory all the same:",
    )?;
    let mut news = story.listen()?;
    story.put_plugin("successors/counter-drifting.wasm", "counter.wasm")?;
    let refused = story.next_news(&mut news, "refused")?;
    let lines = refused.differences();
    let parts = format!("{COUNTER_ID}, which parts at version 1");
    let Some(at) = lines.iter().position(|line| line.starts_with(&parts)) else {
        bail!("the refusal was to show how {COUNTER_ID} differs, but shows {lines:?}");
    };
    let shown = &lines[at..lines.len().min(at + 4)];
    if !shown.iter().any(|line| line.starts_with("  - 2 ")) || !shown.iter().any(|line| line.starts_with("  + 3 ")) {
        bail!("the refusal was to show 2 and 3, but shows {shown:?}");
    }
    story
        .held(&format!("{} is refused, and the service shows why. The first of the differences:", refused.plugin()))?;
    story.show_lines(shown)?;
    story.words(&format!(
        "The service let both versions read what is recorded, event by event, and of {} counters they have another \
         count. Who wants that says so, by raising the number of the plugin's state schema. Until then the version \
         before goes on as if nothing had happened:",
        refused.detail["report"]["differing"]
    ))?;
    let payload = format!(r#"{{"counter_id": "{COUNTER_ID}", "by": 3}}"#);
    let answer = story.send_to("counter", "increment", &[], &payload)?;
    must_have_stored(&answer, 2, "incremented")?;
    let state = story.state_of("counter", COUNTER_ID, &[])?;
    story.show_parts(&state, &["/version", "/state/count"])?;
    state.must_be("/state/count", 5)?;
    story.held("2 and 3 are 5: the live version still counts, and counts right")
}
