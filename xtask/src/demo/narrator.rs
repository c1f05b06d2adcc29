//! How the story looks on the terminal. It must not know what happens in it.

use anyhow::Result;

use crate::terminal::{Style, Terminal};

/// Wide enough for sentences, narrow enough for half a screen.
const WIDTH: usize = 78;

const INDENT: &str = "   ";

#[derive(Clone, Copy)]
pub(crate) struct Narrator {
    terminal: Terminal,
}

impl Narrator {
    pub(crate) fn new() -> Self {
        Self { terminal: Terminal::stdout() }
    }

    pub(crate) fn chapter(self, number: usize, title: &str) -> Result<()> {
        self.heading(&format!("{number}. {title}"))
    }

    pub(crate) fn heading(self, text: &str) -> Result<()> {
        self.terminal.line("")?;
        self.terminal.line(&self.terminal.paint(Style::Title, text))
    }

    /// A paragraph, wrapped.
    pub(crate) fn words(self, text: &str) -> Result<()> {
        for line in wrapped(text, WIDTH - INDENT.len()) {
            self.terminal.line(&format!("{INDENT}{line}"))?;
        }
        Ok(())
    }

    /// A command as the reader would type it.
    pub(crate) fn command(self, line: &str) -> Result<()> {
        self.terminal.line("")?;
        let shown = self.terminal.paint(Style::Command, &format!("$ {line}"));
        self.indented(&shown)
    }

    /// What a command printed.
    pub(crate) fn output(self, text: &str) -> Result<()> {
        self.indented(&self.terminal.paint(Style::Faint, text))
    }

    /// Something that was checked and held.
    pub(crate) fn held(self, text: &str) -> Result<()> {
        let mark = self.terminal.paint(Style::Good, "✓");
        self.terminal.line(&format!("{INDENT}{mark} {text}"))
    }

    pub(crate) fn hints(self, hints: &[(&str, &str)]) -> Result<()> {
        let column = hints.iter().map(|(what, _)| what.len()).max().unwrap_or_default() + 2;
        for (what, meaning) in hints {
            let padding = " ".repeat(column - what.len());
            self.terminal.line(&format!("{INDENT}{}{padding}{meaning}", self.terminal.paint(Style::Command, what)))?;
        }
        Ok(())
    }

    fn indented(self, text: &str) -> Result<()> {
        text.lines().try_for_each(|line| self.terminal.line(&format!("{INDENT}{line}")))
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn words_are_wrapped_at_the_width_and_never_cut() {
        assert_eq!(wrapped("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("extraordinary it is", 5), ["extraordinary", "it is"]);
        assert!(wrapped(" ", 5).is_empty());
    }
}
