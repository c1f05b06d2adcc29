//! Chapter: a second domain, while the service runs.

use anyhow::Result;

use crate::demo::story::{Story, must_have_stored};

/// The counter of this chapter and of those after it.
pub(super) const COUNTER_ID: &str = "visitors";

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(
        "The service watches its plugin directory. A second plugin is put there now: the rules of the domain \
         \"counter\", in less than 40 lines of Rust. Nobody restarts anything.",
    )?;
    let mut news = story.listen()?;
    story.put_plugin("counter.wasm", "counter.wasm")?;
    let live = story.next_news(&mut news, "live")?;
    story.held(&live.headline())?;
    let payload = format!(r#"{{"counter_id": "{COUNTER_ID}", "by": 2}}"#);
    let answer = story.send_to("counter", "increment", &[], &payload)?;
    must_have_stored(&answer, 1, "incremented")?;
    story.held("the new domain answers, with subjects and a stream of its own")
}
