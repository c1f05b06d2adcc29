//! What files and directories may not be called. It must not know what is in them.

use super::Finding;

/// Names that say nothing about what is inside, so that everything ends up there.
const DRAWERS: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

pub(super) fn check(path: &str) -> Option<Finding> {
    let message = if path == "mod.rs" || path.ends_with("/mod.rs") {
        "is a `mod.rs`: name the file after its module".to_owned()
    } else {
        let drawer = path.split('/').find(|part| {
            let stem = part.split('.').next().unwrap_or_default();
            DRAWERS.contains(&stem)
        })?;
        format!("`{drawer}` says nothing about what is inside: name it after its concept")
    };
    Some(Finding { place: path.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn drawers_and_mod_rs_are_found() {
        assert!(check("host/src/store/mod.rs").is_some());
        assert!(check("host/src/utils.rs").is_some());
        assert!(check("tests/common/nats.rs").is_some());
        assert!(check("host/src/model.rs").is_none());
        assert!(check("docs/common-questions.md").is_none());
    }
}
