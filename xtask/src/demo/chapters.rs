//! The chapters in the order of the story. It must not know how they are shown.

use anyhow::Result;

use super::story::Story;

mod activated;
mod added;
mod configured;
mod deployed;
mod events;
mod killed;
mod misread;
mod past;
mod refused;
mod swapped;
mod twice;

/// One chapter: it does something, and fails unless the outcome is as told.
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    pub(crate) tell: fn(&mut Story) -> Result<()>,
}

/// Each chapter counts on the versions that those before it have left.
pub(crate) const CHAPTERS: &[Chapter] = &[
    Chapter { title: "An agent is deployed", tell: deployed::tell },
    Chapter { title: "It is configured", tell: configured::tell },
    Chapter { title: "It is activated", tell: activated::tell },
    Chapter { title: "What the rules forbid is refused", tell: refused::tell },
    Chapter { title: "A command sent twice counts once", tell: twice::tell },
    Chapter { title: "The service is killed, and nothing is lost", tell: killed::tell },
    Chapter { title: "The agent as it was", tell: past::tell },
    Chapter { title: "All that ever happened", tell: events::tell },
    Chapter { title: "A new domain, without a restart", tell: added::tell },
    Chapter { title: "A second version goes live under load", tell: swapped::tell },
    Chapter { title: "A version that misreads the past is refused", tell: misread::tell },
];
