//! The domain's rejections: stable tokens for programs, and their words.

use agent_guest::Refusal;

use crate::value::Status;

pub(crate) fn agent_not_found() -> Refusal {
    Refusal::rejected("agent_not_found", "no such agent, deploy it first")
}

pub(crate) fn already_deployed() -> Refusal {
    Refusal::rejected("already_deployed", "agent is already deployed")
}

pub(crate) fn agent_decommissioned() -> Refusal {
    Refusal::rejected("agent_decommissioned", "agent is decommissioned")
}

pub(crate) fn empty_change(what: &str) -> Refusal {
    Refusal::rejected("empty_change", format!("no {what} given"))
}

pub(crate) fn invalid_transition(from: Status, to: Status) -> Refusal {
    Refusal::rejected("invalid_transition", format!("agent is {from} and cannot become {to}"))
}

pub(crate) fn not_present(what: &str) -> Refusal {
    Refusal::rejected("not_present", format!("agent has none of the {what} given"))
}

pub(crate) fn no_change(what: &str) -> Refusal {
    Refusal::rejected("no_change", format!("agent already has the {what} exactly as given"))
}

/// A `not_present` that knows better: the agent has it, but through something wider.
pub(crate) fn held_by_wildcard(id: &str, held: &str) -> Refusal {
    Refusal::rejected("not_present", format!("agent has {id} only through {held}, revoke that instead"))
}
