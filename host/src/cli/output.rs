//! Standard output and standard error: text for people, coloured where they see colours,
//! JSON for programs. Knows nothing of what is printed.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};

/// What went well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What did not.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What one looks for first.
pub(super) const NAME: Style = AnsiColor::Cyan.on_default();
/// What one reads last.
pub(super) const ASIDE: Style = Style::new().dimmed();
/// Headings.
pub(super) const HEADING: Style = Style::new().bold();

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs, a document a line
    Json,
}

/// Where `--json` has another meaning.
#[derive(Debug, Args)]
pub(super) struct OutputForm {
    /// Form of the output [default: text on a terminal, else json]
    #[arg(long, value_name = "FORM", value_enum)]
    output: Option<Format>,
}

/// How to print.
#[derive(Debug, Args)]
pub(super) struct OutputFlags {
    #[command(flatten)]
    form: OutputForm,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl OutputForm {
    pub(super) fn open(&self) -> Output {
        let terminal = || if io::stdout().is_terminal() { Format::Text } else { Format::Json };
        Output { format: self.output.unwrap_or_else(terminal) }
    }
}

impl OutputFlags {
    pub(super) fn open(&self) -> Output {
        if self.json { Output { format: Format::Json } } else { self.form.open() }
    }
}

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    format: Format,
}

impl Output {
    /// Whether programs read it.
    pub(super) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a JSON document on one line.
    pub(super) fn document(self, json: &[u8]) -> io::Result<()> {
        // A plugin may lay out its JSON as it likes. Valid JSON has line breaks between its
        // tokens only, so that a space does as well.
        let mut line: Vec<u8> = json.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }).collect();
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()
    }

    /// Prints text, its colours only where they show.
    pub(super) fn text(self, text: &str) -> io::Result<()> {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.trim_end().as_bytes())?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    }
}

/// Prints bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Tells of trouble on standard error.
pub(super) fn trouble(message: &str) {
    // With standard error closed there is nobody left to tell.
    let _ = writeln!(anstream::stderr().lock(), "{BAD}error:{BAD:#} {message}");
}

/// A remark on standard error that is neither answer nor trouble.
pub(super) fn remark(message: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{ASIDE}{message}{ASIDE:#}");
}

/// A line on standard error that tells how far something is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aside {
    is_terminal: bool,
}

impl Aside {
    pub(super) fn stderr() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    pub(super) fn is_terminal(self) -> bool {
        self.is_terminal
    }

    /// Writes the line in the place of the one before; below it where that cannot be had.
    pub(super) fn rewrite(self, line: &str) {
        let mut stderr = io::stderr().lock();
        // What cannot be told of progress is told by the end.
        let _ = match self.is_terminal {
            true => write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush()),
            false => writeln!(stderr, "{line}"),
        };
    }

    /// Leaves a terminal's line empty.
    pub(super) fn clear(self) {
        if self.is_terminal {
            self.rewrite("");
        }
    }
}

/// Foreign text without what a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_told_nothing_by_strangers() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{9b}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\nd");
    }
}
