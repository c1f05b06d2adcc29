//! Chapter: new code for a domain while commands come in.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::demo::answer::same;
use crate::demo::load::{CLIENTS, Counter, Load};
use crate::demo::story::Story;

/// Answers that are waited for before and after the swap, so that both versions have work.
const BEFORE_AND_AFTER: usize = 100;

/// What events say of the code that decided them begins so.
const OLD: &str = "counter/0.1.0;";
const NEW: &str = "counter/0.1.1;";

pub(super) fn tell(story: &mut Story) -> Result<()> {
    story.words(&format!(
        "{CLIENTS} clients now increment counters, one command after the other, and while they do, the plugin's file \
         is replaced by a second version, 0.1.1. Before it may decide anything, the service lets it read what is \
         recorded and compares what both versions make of it."
    ))?;
    let mut news = story.listen()?;
    let load = Load::start(story.nats_url())?;
    load.wait_for_more(BEFORE_AND_AFTER)?;
    story.put_plugin("successors/counter-refactored.wasm", "counter.wasm")?;
    let live = story.next_news(&mut news, "live")?;
    story.held(&live.headline())?;
    load.wait_for_more(BEFORE_AND_AFTER)?;
    let counters = load.finish()?;
    let all: u64 = counters.iter().map(|counter| counter.increments).sum();
    story.held(&format!("{all} commands were sent meanwhile, and every one of them was answered with ok"))?;

    story.words("And this is what is stored. Of the first client's counter, the events around the swap:")?;
    let events = story.events_of("counter")?.documents;
    for counter in &counters {
        let history: Vec<&Value> = events.iter().filter(|event| event["id"] == counter.id.as_str()).collect();
        let swap = must_be_without_gap(counter, &history)?;
        if counter.id == counters[0].id {
            story.show_lines(&around(&history, swap))?;
        }
    }
    story.held("in every counter's events no version is missing and none is there twice")?;
    story.held("from the swap on, all were decided by the new version: the old one never came after it")
}

/// Fails unless the events are numbered from 1 without gap, as many as were answered for, first of
/// the old and then of the new version. Tells how many are of the old one.
fn must_be_without_gap(counter: &Counter, history: &[&Value]) -> Result<usize> {
    let of = format!("of the counter {}", counter.id);
    let versions: Vec<Value> = history.iter().map(|event| event["version"].clone()).collect();
    let told: Vec<Value> = (1..=counter.increments).map(Value::from).collect();
    same(&format!("the list of versions {of}"), &Value::from(versions), &Value::from(told))?;
    let decided_by =
        |event: &Value, version: &str| event["plugin"].as_str().is_some_and(|code| code.starts_with(version));
    let swap = history.iter().position(|event| decided_by(event, NEW));
    let swap = swap.with_context(|| format!("no event {of} was decided by the new version"))?;
    if swap == 0 {
        bail!("no event {of} was decided by the old version");
    }
    let (old, new) = history.split_at(swap);
    if !old.iter().all(|event| decided_by(event, OLD)) || !new.iter().all(|event| decided_by(event, NEW)) {
        bail!("the events {of} are not first of the old and then of the new version");
    }
    Ok(swap)
}

/// The two events before and after.
fn around(history: &[&Value], swap: usize) -> Vec<String> {
    let shown = &history[swap.saturating_sub(2)..history.len().min(swap + 2)];
    let line = |event: &&Value| {
        let code = event["plugin"].as_str().and_then(|code| code.split(';').next()).unwrap_or_default();
        format!(
            "version {:4}  {}  decided by {}",
            event["version"].to_string(),
            text(&event["type"]),
            code.replace('/', " ")
        )
    };
    shown.iter().map(line).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Counter, around, must_be_without_gap};

    fn events(codes: &[&str]) -> Vec<Value> {
        let event =
            |(index, code): (usize, &&str)| json!({"version": index + 1, "type": "incremented", "plugin": code});
        codes.iter().enumerate().map(event).collect()
    }

    fn check(increments: u64, history: &[Value]) -> Result<usize, String> {
        let counter = Counter { id: "client-1".to_owned(), increments };
        let history: Vec<&Value> = history.iter().collect();
        must_be_without_gap(&counter, &history).map_err(|error| error.to_string())
    }

    #[test]
    fn a_history_without_gap_passes_and_any_other_does_not() {
        let (old, new) = ("counter/0.1.0;sha256=a", "counter/0.1.1;sha256=b");
        let good = events(&[old, old, new, new]);
        assert_eq!(check(4, &good), Ok(2));
        assert!(check(5, &good).unwrap_err().contains("list of versions"));
        assert!(check(3, &[good[0].clone(), good[2].clone(), good[3].clone()]).is_err());
        assert!(check(4, &events(&[old, new, old, new])).unwrap_err().contains("first of the old"));
        assert!(check(2, &events(&[old, old])).unwrap_err().contains("by the new"));
        assert!(check(2, &events(&[new, new])).unwrap_err().contains("by the old"));
        assert_eq!(
            around(&good.iter().collect::<Vec<_>>(), 2)[1..3],
            [
                "version 2     incremented  decided by counter 0.1.0",
                "version 3     incremented  decided by counter 0.1.1"
            ]
        );
    }
}
