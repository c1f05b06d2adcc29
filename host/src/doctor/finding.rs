//! What a check comes to: how bad it is, what was seen, and what to do. Knows nothing of what is
//! checked, nor of how it is shown.

use serde::Serialize;

/// How bad it is, from the best up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It was not looked at; why not is said.
    Skipped,
    /// It works, and will surprise somebody or end badly later.
    Warning,
    /// It keeps the service, or a part of it, from working.
    Failure,
}

impl Grade {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One thing that a check saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// How bad it is.
    pub grade: Grade,
    /// The domain, stream or file that it is about, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What was seen, or why it was not looked at.
    pub seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What a check saw, as the check itself says it: its name is added where it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) grade: Grade,
    pub(super) about: Option<String>,
    pub(super) text: String,
    pub(super) remedy: Option<String>,
}

impl Seen {
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self::new(Grade::Ok, text.into(), None)
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self::new(Grade::Skipped, why.into(), None)
    }

    pub(super) fn warning(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Grade::Warning, text.into(), Some(remedy.into()))
    }

    pub(super) fn failure(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Grade::Failure, text.into(), Some(remedy.into()))
    }

    pub(super) fn about(self, what: impl Into<String>) -> Self {
        Self { about: Some(what.into()), ..self }
    }

    pub(super) fn by(self, check: &'static str) -> Finding {
        let Self { grade, about, text, remedy } = self;
        Finding { check, grade, about, seen: text, remedy }
    }

    fn new(grade: Grade, text: String, remedy: Option<String>) -> Self {
        Self { grade, about: None, text, remedy }
    }
}
