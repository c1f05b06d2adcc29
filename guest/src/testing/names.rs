//! The rules for names that the host enforces at load, so that a test finds them first.

use crate::describe::Description;

/// Longest domain, verb or event name, in characters.
const NAME_CHARS_MAX: usize = 32;

/// Most commands, and most events, of one domain.
const TYPES_MAX: usize = 256;

/// Checks that every name of a domain is one that the host takes:
/// `[a-z][a-z0-9_]{0,31}` for domain, commands and events. [`given`](super::given) does this by
/// itself.
///
/// # Panics
/// With the names that break the rule, and where the domain has no commands or no events.
pub fn names_conform(described: &Description) {
    let lists = [("commands", &described.commands), ("events", &described.events)];
    for (what, types) in lists {
        assert!(
            (1..=TYPES_MAX).contains(&types.len()),
            "domain `{}` has {} {what}, make it an enum of 1 to {TYPES_MAX} variants",
            described.domain,
            types.len(),
        );
    }
    let messages = described.commands.iter().chain(&described.events);
    let wrong: Vec<&str> =
        messages.map(|of| of.name.as_str()).chain([described.domain.as_str()]).filter(|name| !is_name(name)).collect();
    assert!(
        wrong.is_empty(),
        "names must be [a-z][a-z0-9_]{{0,31}}, these are not: {}; \
         #[serde(rename_all = \"snake_case\")] on the enums is the usual remedy",
        wrong.join(", "),
    );
    assert!(!described.id_field.is_empty(), "ID_FIELD is empty, name the payload field that holds the aggregate's id",);
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_lower_case_and_short() {
        for good in ["a", "go_offline", "v2", &"a".repeat(32)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Reset", "_a", "2a", "a-b", "a.b", "ä", &"a".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
