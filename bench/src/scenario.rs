//! The scenarios, one file each, and the choice among them. It must not know what they do.

mod answers;
mod boundary;
mod bytes;
mod commands;
mod first_command;
mod many_agents;
mod memory;
mod reload;
mod replay;
mod several_events;
mod size;
mod start;
mod two_hosts;

use anyhow::{Result, bail};

use crate::options::Plan;
use crate::results::Outcome;

/// Something that is measured.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// A sentence without its point.
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Plan) -> Result<Outcome>,
}

const ALL: &[Scenario] = &[
    commands::SCENARIO,
    bytes::SCENARIO,
    reload::SCENARIO,
    boundary::SCENARIO,
    first_command::SCENARIO,
    several_events::SCENARIO,
    replay::SCENARIO,
    memory::SCENARIO,
    two_hosts::SCENARIO,
    answers::SCENARIO,
    start::SCENARIO,
    many_agents::SCENARIO,
    size::SCENARIO,
];

/// Those of these names, all where none is named, always in the same order.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|scenario| scenario.name != **name)) {
        let known: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        bail!("there is no scenario `{unknown}`: there are {}", known.join(", "));
    }
    Ok(ALL.iter().filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn scenarios_are_chosen_by_name() {
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            choose(&names).map(|chosen| chosen.iter().map(|scenario| scenario.name).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["size", "commands"]).unwrap(), ["commands", "size"]);
        assert!(chosen(&[]).unwrap().len() > 10);
        assert!(
            chosen(&["sice"]).unwrap_err().to_string().contains("there is no scenario `sice`: there are commands,")
        );
    }
}
