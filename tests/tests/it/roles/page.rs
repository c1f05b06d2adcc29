//! What docs/permissions.md says of the roles' files, and these of one another. It must not test what a
//! server makes of them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::deployment::{repository, shipped};

const SECTIONS: [(&str, &str); 7] = [
    ("Host", "host"),
    ("Client", "client"),
    ("Client of one agent", "agent-client"),
    ("Client of the durable lane", "durable-client"),
    ("Reader of events", "reader"),
    ("Publisher of plugins", "publisher"),
    ("Operator", "operator"),
];

fn file(name: &str) -> Result<Value> {
    serde_json::from_str(&shipped(&format!("nats/roles/{name}.json"))?).with_context(|| format!("in {name}.json"))
}

#[test]
fn the_page_names_every_subject_of_every_role_and_no_other() -> Result<()> {
    let page = std::fs::read_to_string(repository().join("docs/permissions.md"))?;
    for (title, name) in SECTIONS {
        let section = page.split("\n## ").find(|section| section.lines().next() == Some(title));
        let section = section.with_context(|| format!("no section {title}"))?;
        let told: BTreeSet<(&str, &str)> = section
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                Some((cells.next()?, cells.next()?.strip_prefix('`')?.strip_suffix('`')?))
            })
            .collect();
        let file = file(name)?;
        let mut given = BTreeSet::new();
        for right in ["publish", "subscribe"] {
            let subjects = file[right]["allow"].as_array().with_context(|| format!("{name}: {right}"))?;
            given.extend(subjects.iter().filter_map(|subject| Some((right, subject.as_str()?))));
        }
        ensure!(told == given, "{title}: {:?}", told.symmetric_difference(&given).collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn accounts_import_what_is_exported_to_them() -> Result<()> {
    let exports = file("exports")?;
    let exports = exports["exports"].as_array().context("exports")?;
    for (account, name) in [
        ("AGENT_DURABLE", "durable-imports"),
        ("AGENT_READERS", "readers-imports"),
        ("AGENT_PUBLISHERS", "publishers-imports"),
    ] {
        let exported = exports.iter().filter(|export| export["accounts"] == serde_json::json!([account]));
        let exported: BTreeSet<String> =
            exported.map(|export| format!("{} {}", export["service"], export["stream"])).collect();
        let imports = file(name)?;
        let imported = imports["imports"].as_array().context("imports")?.iter();
        let imported: BTreeSet<String> = imported
            .map(|import| format!("{} {}", import["service"]["subject"], import["stream"]["subject"]))
            .collect();
        ensure!(exported == imported && !exported.is_empty(), "{account}: {exported:?}, {imported:?}");
    }
    Ok(())
}
