//! Answers that would do more than answer: the server lets everybody name any subject for them, so that a
//! role could write by way of who answers. It must not test what a role may publish itself.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::plugins::plugin;
use tests::roles::{
    AGENT_CLIENT, CLIENT, DURABLE_CLIENT, FORMS, ONE_AGENT, OPERATOR, OUTSIDE_DOMAIN, PUBLISHER, READER, Roles,
};
use tests::{Agent, Host, Message, Nats, User, eventually};

/// An agent that somebody is after, and the subjects by which they try.
struct Victim {
    agent: Agent,
    aims: [String; 5],
}

impl Victim {
    async fn deployed(alice: &User) -> Result<Self> {
        let agent = Agent::new();
        alice.ask(agent.deploy()).await?.ok()?;
        let id = &agent.id;
        let aims = [
            format!("agent.events.{id}.activated"),
            format!("agent.commands.{id}.decommission"),
            format!("agent.inbox.{id}.decommission"),
            "$JS.API.STREAM.PURGE.AGENT_EVENTS".to_owned(),
            format!("$KV.AGENT_SNAPSHOTS.{id}"),
        ];
        Ok(Self { agent, aims })
    }

    /// It is as it was, and goes on.
    async fn is_unharmed(&self, nats: &Nats, alice: &User) -> Result<()> {
        nats.inbox_is_empty("AGENT_INBOX").await?;
        ensure!(alice.ask(self.agent.state()).await?.ok()?.version()? == 1);
        alice.ask(self.agent.activate()).await?.ok()?;
        let events = nats.stored(&self.agent.id).await?;
        ensure!(events.len() == 2, "{events:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_hosts_answer_to_a_client_is_no_event_and_no_command() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let host = roles.host(&nats)?.start(&nats).await?;
        let (alice, bob) = (roles.connect(&nats, CLIENT).await?, roles.connect(&nats, AGENT_CLIENT).await?);
        let (victim, own) = (Victim::deployed(&alice).await?, Agent { id: ONE_AGENT.to_owned() });
        for aim in &victim.aims {
            alice.send_with_reply(Agent::new().deploy(), aim).await?;
            alice.send_with_reply(Agent::new().deploy().header("Agent-Reply-To", aim), "_INBOX.client.alice.x").await?;
            bob.send_with_reply(own.deploy().by_subject(ONE_AGENT), aim).await?;
            bob.send_with_reply(Message::to(format!("agent.commands.{ONE_AGENT}.no_such_thing"), "{}"), aim).await?;
        }
        alice.send_with_reply(victim.agent.state(), "agent-service.events.agent.live").await?;
        bob.ask(own.state().by_subject(ONE_AGENT)).await?.error("not_found")?;
        victim.is_unharmed(&nats, &alice).await?;
        host.logs(&["request dropped", "agent-service.events.agent.live"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn jetstreams_acknowledgement_to_a_durable_client_is_no_event_and_no_command() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        nats.stream_stands("AGENT_INBOX").await?;
        let (alice, carol) = (roles.connect(&nats, CLIENT).await?, roles.connect(&nats, DURABLE_CLIENT).await?);
        let victim = Victim::deployed(&alice).await?;
        // Carol may command every agent by the inbox; that her acknowledgement comes in there is no gain.
        let aims = victim.aims.iter().filter(|aim| !aim.starts_with("agent.inbox."));
        for aim in aims {
            let agent = Agent::new();
            carol.send_with_reply(agent.deploy().durable(), aim).await?;
            eventually("it was taken", async || alice.ask(agent.state()).await?.ok().map(drop)).await?;
        }
        victim.is_unharmed(&nats, &alice).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_reader_is_given_is_no_event_and_no_command() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        let config = json!({"durable_name": "audit", "name": "audit", "ack_policy": "explicit"});
        nats.jetstream_api(
            "CONSUMER.CREATE.AGENT_EVENTS.audit",
            &json!({"stream_name": "AGENT_EVENTS", "config": config}),
        )
        .await?;
        let (alice, dave) = (roles.connect(&nats, CLIENT).await?, roles.connect(&nats, READER).await?);
        let victim = Victim::deployed(&alice).await?;
        for aim in &victim.aims {
            alice.ask(Agent::new().deploy()).await?.ok()?;
            for ask in ["CONSUMER.MSG.NEXT.AGENT_EVENTS.audit", "CONSUMER.INFO.AGENT_EVENTS.audit"] {
                dave.send_with_reply(Message::to(format!("$JS.{OUTSIDE_DOMAIN}.API.{ask}"), "1"), aim).await?;
            }
        }
        // Behind all that: when it is answered, they have been dealt with.
        let info = dave.call(&format!("$JS.{OUTSIDE_DOMAIN}.API.CONSUMER.INFO.AGENT_EVENTS.audit"), &json!({})).await?;
        ensure!(info["delivered"]["consumer_seq"].as_u64() > Some(0), "nothing was delivered: {info}");
        dave.was_refused_nothing()?;
        victim.is_unharmed(&nats, &alice).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_publisher_has_stored_is_no_event_and_no_command() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        let file = plugin("agent")?;
        let push = ["plugin", "push", file.to_str().context("a path in UTF-8")?];
        roles.cli(&nats, OPERATOR).run(&push).await?.exit(0)?;
        let (alice, erin) = (roles.connect(&nats, CLIENT).await?, roles.connect(&nats, PUBLISHER).await?);
        let victim = Victim::deployed(&alice).await?;
        let (bucket, piece) = ("OBJ_AGENT_SERVICE_PLUGINS", "$O.AGENT_SERVICE_PLUGINS.C.mine");
        let get = format!("$JS.{OUTSIDE_DOMAIN}.API.STREAM.MSG.GET.{bucket}");
        let last = json!({"last_by_subj": piece});
        for aim in &victim.aims {
            // What it stores is of its own choice, and would be a command.
            let command = json!({"agent_id": victim.agent.id}).to_string();
            erin.send_with_reply(Message::to(piece, command), aim).await?;
            eventually("it is stored", async || {
                let stored = erin.call(&get, &last).await?;
                ensure!(stored["message"].is_object(), "{stored}");
                Ok(())
            })
            .await?;
            erin.send_with_reply(Message::to(format!("$JS.{OUTSIDE_DOMAIN}.API.DIRECT.GET.{bucket}.{piece}"), ""), aim)
                .await?;
            erin.send_with_reply(Message::to(get.as_str(), last.to_string()), aim).await?;
        }
        erin.call(&get, &last).await?;
        victim.is_unharmed(&nats, &alice).await?;
        erin.was_refused_nothing()?;
    }
    Ok(())
}

#[tokio::test]
async fn in_one_account_jetstreams_acknowledgement_spoils_a_history() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let victim = Agent::new();
    nats.ask(victim.deploy()).await?.ok()?;
    let aim = format!("agent.events.{}.activated", victim.id);
    nats.publish_with_reply(Agent::new().deploy().durable(), &aim).await?;
    eventually("the acknowledgement is stored as if it were an event", async || {
        ensure!(nats.stored(&victim.id).await?.len() == 2, "not there");
        Ok(())
    })
    .await?;
    nats.ask(victim.activate()).await?.error("plugin_failed").map(drop)
}

#[tokio::test]
async fn in_one_account_what_jetstream_delivers_is_a_command() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let victim = Agent::new();
    nats.ask(victim.deploy()).await?.ok()?;
    nats.create_stream(&json!({"name": "NOTES", "subjects": ["notes"], "allow_direct": true})).await?;
    nats.accept(Message::to("notes", "{}")).await?;
    let aim = format!("agent.commands.{}.activate", victim.id);
    nats.publish_with_reply(Message::to("$JS.API.DIRECT.GET.NOTES.notes", ""), &aim).await?;
    eventually("it is executed", async || {
        ensure!(nats.ask(victim.state()).await?.ok()?.version()? == 2, "not yet");
        Ok(())
    })
    .await
}
