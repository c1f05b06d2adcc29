//! An agent's life: deployed, active, suspended, offline, decommissioned.

use agent_guest::Timestamp;
use plugin_agent::value::Status;
use serde_json::json;

use crate::{ID, agent_in, deploy_payload, deployed, send, send_to_none};

const ALL: [Status; 5] = [Status::Deployed, Status::Active, Status::Suspended, Status::Offline, Status::Decommissioned];

#[test]
fn an_agent_is_deployed() {
    send_to_none("deploy", deploy_payload()).then([deployed()]).then_state(|agent| {
        let record = agent.record.as_ref().expect("deployed");
        assert_eq!((record.agent_id.as_str(), record.status), (ID, Status::Deployed));
    });
}

#[test]
fn an_agent_is_deployed_once() {
    for status in ALL {
        send(agent_in(status), "deploy", deploy_payload()).then_rejected("already_deployed");
    }
}

#[test]
fn only_deploy_speaks_to_an_agent_that_does_not_exist() {
    for (verb, payload) in crate::later_commands() {
        send_to_none(verb, payload).then_rejected("agent_not_found");
    }
}

#[test]
fn nothing_follows_decommissioning() {
    for (verb, payload) in crate::later_commands() {
        let refused = send(agent_in(Status::Decommissioned), verb, payload);
        assert_eq!(refused.message(), "agent is decommissioned");
        refused.then_rejected("agent_decommissioned");
    }
}

/// The whole table: five states, four ways out of each.
#[test]
fn transitions_are_exactly_those_of_the_table() {
    let allowed = |from: Status, to: Status| match to {
        Status::Active => [Status::Deployed, Status::Suspended, Status::Offline].contains(&from),
        Status::Suspended => from == Status::Active,
        Status::Offline => [Status::Active, Status::Suspended].contains(&from),
        _ => from != Status::Decommissioned,
    };
    let targets = [
        ("activate", Status::Active),
        ("suspend", Status::Suspended),
        ("go_offline", Status::Offline),
        ("decommission", Status::Decommissioned),
    ];
    for from in ALL {
        for (verb, to) in targets {
            assert_eq!(from.may_become(to), allowed(from, to), "{from} to {to}");
            let decided = send(agent_in(from), verb, json!({ "reason": "because" }));
            if allowed(from, to) {
                let view = decided.then_events(1).view();
                assert_eq!(view["status"], json!(to.to_string()), "{from} to {to}");
            } else if from == Status::Decommissioned {
                decided.then_rejected("agent_decommissioned");
            } else {
                assert_eq!(decided.message(), format!("agent is {from} and cannot become {to}"));
                decided.then_rejected("invalid_transition");
            }
        }
        assert!(!from.may_become(Status::Deployed), "{from} to Deployed");
    }
}

#[test]
fn a_suspension_needs_a_reason() {
    for reason in ["", "  \t"] {
        send(agent_in(Status::Active), "suspend", json!({ "reason": reason })).then_rejected("empty_change");
    }
    send(agent_in(Status::Active), "suspend", json!({})).then_invalid("reason");
    send(agent_in(Status::Active), "suspend", json!({ "reason": null })).then_invalid("reason");
}

#[test]
fn times_come_from_the_context() {
    let later = agent_in(Status::Deployed).at(Timestamp::from_millis(1_795_469_648_123));
    send(later, "activate", json!({ "activated_by": "ada" })).then_json(&[(
        "activated",
        json!({
            "type": "AgentActivated", "agent_id": ID,
            "activated_at": "2026-11-23T21:34:08.123Z", "activated_by": "ada",
        }),
    )]);
}
