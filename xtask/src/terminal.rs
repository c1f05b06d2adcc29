//! Words for people: lines, colours where they are wanted, nothing else. It must not know
//! what is being told.

use std::env;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};

/// Standard output or standard error, with colours if it is a terminal that shows them.
#[derive(Clone, Copy)]
pub(crate) struct Terminal {
    stream: Stream,
    coloured: bool,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// How a piece of text looks. Without colours, all look alike, so no meaning may rest on it.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Title,
    Command,
    Good,
    Bad,
    Faint,
}

impl Terminal {
    pub(crate) fn stdout() -> Self {
        Self { stream: Stream::Out, coloured: wants_colours(io::stdout().is_terminal()) }
    }

    pub(crate) fn stderr() -> Self {
        Self { stream: Stream::Err, coloured: wants_colours(io::stderr().is_terminal()) }
    }

    pub(crate) fn line(self, text: &str) -> Result<()> {
        match self.stream {
            Stream::Out => writeln!(io::stdout(), "{text}").context("cannot write to standard output"),
            Stream::Err => writeln!(io::stderr(), "{text}").context("cannot write to standard error"),
        }
    }

    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        let code = match style {
            Style::Title => "1",
            Style::Command => "36",
            Style::Good => "32",
            Style::Bad => "31",
            Style::Faint => "2",
        };
        // Line by line, so that a pager or a copied line keeps its colour to itself.
        let lines: Vec<String> = text.lines().map(|line| format!("\x1b[{code}m{line}\x1b[0m")).collect();
        lines.join("\n")
    }

    /// What is being done, where it may take a while.
    pub(crate) fn note(self, text: &str) -> Result<()> {
        self.line(&self.paint(Style::Faint, &format!("· {text}")))
    }

    /// What went wrong. If even that cannot be written, the exit code has to do.
    pub(crate) fn failure(self, text: &str) {
        let _ = self.line(&format!("{} {text}", self.paint(Style::Bad, "failed:")));
    }
}

/// The conventions of no-color and of terminals that cannot.
fn wants_colours(is_terminal: bool) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let simple = env::var_os("TERM").is_some_and(|value| value == "dumb");
    is_terminal && !refused && !simple
}
