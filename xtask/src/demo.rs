//! `cargo xtask demo`: the story of one agent, told on a real server and a real service. It
//! must not know what happens in a chapter.

use anyhow::{Context, Result};

use crate::artifacts::{self, AGENT, Profile};
use crate::nats_server::NatsServer;
use crate::service::Service;

mod answer;
mod chapters;
mod load;
mod narrator;
mod story;

use chapters::CHAPTERS;
use narrator::Narrator;
use story::Story;

/// Tells every chapter; ends with an error as soon as something is not as told.
pub(crate) fn run() -> Result<()> {
    let binary = artifacts::host(Profile::Dev)?;
    let plugins = artifacts::plugins()?;
    let home = tempfile::Builder::new()
        .prefix("agent-service-demo-")
        .tempdir()
        .context("cannot make a temporary directory for the demonstration")?;
    let plugin_dir = home.path().join("plugins");
    artifacts::place(&plugins.join(AGENT.file), &plugin_dir.join(AGENT.file))?;

    let narrator = Narrator::new();
    let server = NatsServer::start()?;
    let service = Service {
        binary,
        nats_url: server.client_url().to_owned(),
        plugin_dir,
        log: Some(home.path().join("service.log")),
    };
    let mut story = Story::begin(narrator, service, plugins)?;
    for (number, chapter) in CHAPTERS.iter().enumerate() {
        narrator.chapter(number + 1, chapter.title)?;
        (chapter.tell)(&mut story)
            .map_err(|error| story.with_service_log(error))
            .with_context(|| format!("chapter {}, \"{}\"", number + 1, chapter.title))?;
    }
    story.end()?;
    say_how_to_go_on(narrator)
}

fn say_how_to_go_on(narrator: Narrator) -> Result<()> {
    narrator.heading("All of it was as told. How to go on:")?;
    narrator.hints(&[
        ("cargo xtask dev", "the same server and service, kept running; plugins reload as you save them"),
        ("cargo xtask test", "everything that must hold, checked"),
        ("README.md", "settings, and how to write a plugin of your own in one screen"),
        ("docs/", "the book: operating the service, writing plugins"),
    ])
}
