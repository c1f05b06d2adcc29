//! What a reader types and sees, held against what is really printed. It must not run anything.

use anyhow::{Context, Result, ensure};

/// Stands for anything within a line; alone in a line, for any number of lines.
const ANYTHING: char = '…';

/// A command, and what is printed according to the page.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// What is typed.
    pub command: String,
    /// What is printed; `None` where the page does not say.
    pub printed: Option<String>,
}

/// The steps of a block: one for a whole `sh` block, one for each `$ ` of a `console` block, where `> `
/// goes on with the command.
pub fn steps(language: &str, text: &str) -> Result<Vec<Step>> {
    if language != "console" {
        // Each command must do, not the last one alone.
        return Ok(vec![Step { command: format!("set -e\n{text}\nset +e"), printed: None }]);
    }
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), printed: Some(String::new()) });
            continue;
        }
        let step = steps.last_mut().with_context(|| format!("`{line}` stands before the first command"))?;
        let printed = step.printed.get_or_insert_default();
        match line.strip_prefix("> ") {
            Some(more) if printed.is_empty() => step.command = format!("{}\n{more}", step.command),
            _ => {
                printed.push_str(line);
                printed.push('\n');
            }
        }
    }
    ensure!(!steps.is_empty(), "no command");
    Ok(steps)
}

/// Whether this was printed, according to the page.
pub fn agrees(promised: &str, printed: &str) -> bool {
    let lines =
        |text: &'_ str| -> Vec<String> { text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect() };
    lines_agree(&lines(promised), &lines(printed))
}

fn lines_agree(promised: &[String], printed: &[String]) -> bool {
    let Some((first, rest)) = promised.split_first() else { return printed.is_empty() };
    if first.trim() == ANYTHING.to_string() {
        return (0..=printed.len()).any(|skipped| lines_agree(rest, &printed[skipped..]));
    }
    printed.split_first().is_some_and(|(line, others)| line_agrees(first, line) && lines_agree(rest, others))
}

fn line_agrees(promised: &str, printed: &str) -> bool {
    let Some((head, mut rest)) = promised.split_once(ANYTHING) else { return promised == printed };
    let Some(mut left) = printed.strip_prefix(head) else { return false };
    while let Some((part, more)) = rest.split_once(ANYTHING) {
        let Some(at) = left.find(part) else { return false };
        (left, rest) = (&left[at + part.len()..], more);
    }
    left.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::{Step, agrees, steps};

    #[test]
    fn a_console_block_is_taken_apart() {
        let found = steps("console", "$ cat << EOF\n> x\n> EOF\nx\n\n> y\n$ true\n").unwrap();
        let step = |command: &str, printed: &str| Step { command: command.into(), printed: Some(printed.into()) };
        assert_eq!(found, [step("cat << EOF\nx\nEOF", "x\n\n> y\n"), step("true", "")]);
        assert!(steps("console", "text\n$ true\n").is_err());
    }

    #[test]
    fn dots_stand_for_anything_and_all_else_for_itself() {
        for (promised, printed) in [
            ("", ""),
            ("a\n", "a  \n"),
            ("ok … in …s", "ok 12 in 3.4s"),
            ("a\n…\nd", "a\nb\nc\nd"),
            ("…", ""),
            ("…z", "zz"),
        ] {
            assert!(agrees(promised, printed), "{promised} / {printed}");
        }
        for (promised, printed) in
            [("", "a"), ("a", ""), ("a …b", "a c"), ("a\n…\nd", "a\nb"), ("…ab…", "ba"), ("ab…b", "ab")]
        {
            assert!(!agrees(promised, printed), "{promised} / {printed}");
        }
    }
}
