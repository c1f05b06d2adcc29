//! Words that may stand in no file. It must not know where they come from.

use super::{Finding, SourceFile};

/// In two halves each, or this file would find itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("TO", "DO", "do it, or leave it and the note away"),
    ("FIX", "ME", "fix it, or leave it and the note away"),
    ("/wo", "rk/", "a path of one machine means nothing on another"),
    ("crates", ".io", "name the package alone; where it comes from is cargo's to know"),
];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (first, second, remedy) in FORBIDDEN {
        let word = format!("{first}{second}");
        for (index, line) in file.text.lines().enumerate() {
            if line.contains(&word) {
                findings.push(file.finding(index + 1, &format!("`{word}`: {remedy}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::SourceFile;

    #[test]
    fn a_forbidden_word_is_found_with_its_line() {
        let text = format!("fine\n# {}{}: later\n", "TO", "DO");
        let findings = check(&SourceFile { path: "deploy/run.sh".to_owned(), text });
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "deploy/run.sh:2");
    }
}
