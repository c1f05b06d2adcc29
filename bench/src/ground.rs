//! A fresh nats-server, a connection to it and a place for files. It must not know who else uses it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::{Client, jetstream};
use tempfile::TempDir;
use xtask::nats_server::NatsServer;

use crate::process;

/// How long a request may take: a first command reads a long history before it is answered.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A server; it ends when dropped.
pub(crate) struct Ground {
    pub(crate) client: Client,
    pub(crate) context: jetstream::Context,
    server_process: u32,
    server: NatsServer,
    home: TempDir,
}

impl Ground {
    pub(crate) async fn start() -> Result<Self> {
        let home = TempDir::with_prefix("bench-").context("cannot make a temporary directory")?;
        let pid_file = home.path().join("nats-server.pid");
        let server = NatsServer::builder().argument("--pid").argument(&pid_file).start()?;
        let server_process = std::fs::read_to_string(&pid_file)?.trim().parse().context("the server has no id")?;
        let client = connect(server.client_url()).await?;
        Ok(Self { context: jetstream::new(client.clone()), client, server_process, server, home })
    }

    pub(crate) fn url(&self) -> &str {
        self.server.client_url()
    }

    /// A directory that is gone with the server.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Processor time of the server so far.
    pub(crate) fn server_time(&self) -> Option<Duration> {
        process::processor_time(self.server_process)
    }
}

/// One more connection.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let options = async_nats::ConnectOptions::new().request_timeout(Some(ANSWER_MAX));
    options.connect(url).await.context("the server does not take the client")
}
