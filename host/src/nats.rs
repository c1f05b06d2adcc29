//! The connection to NATS: which servers, who we are, how long to try.

mod addresses;
mod certificates;
mod permissions;
mod reply;
mod validity;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream;
pub use async_nats::jetstream::Context as JetStream;
pub use async_nats::{Client, HeaderMap};
use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::Instant;

use self::addresses::{Addresses, Login};
pub use self::permissions::{Refusal, unless_refused};
pub use self::reply::reply_headers;
pub use self::validity::{Certificate, certificates};
use crate::config::Connection;

/// How long one request waits for its answer where nothing else is said.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the connection is probed: a dead one is noticed within two of these.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Messages of one subscription that wait to be taken; more would be dropped by the client library
/// without a word to whoever sent them. In one turn it reads its buffer 128 times before it lets
/// others run: with this buffer no more than 1 MiB, far fewer messages than may wait.
const SUBSCRIPTION_MESSAGES_MAX: usize = 32_768;
const READ_BUFFER_BYTES: u16 = 8 << 10;
/// Messages to be sent that wait for the connection: answers to all that one turn has brought.
const OUTGOING_MESSAGES_MAX: usize = 16_384;
/// How long the seed of an nkey is.
const SEED_CHARS: usize = 58;
/// How long one server may take to accept.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Waits between first attempts: doubled each time, up to the longest. A lost connection is
/// tried again as the client library does by itself: at once, then ever slower up to 4 s.
const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(2);

/// What is called with each line that the server says against what is sent to it.
pub type Listener = Arc<dyn Fn(String) + Send + Sync>;

/// Connects, trying for as long as the settings say. A connection lost later comes back by itself.
///
/// # Errors
/// [`NatsError`] at once where settings or credentials are wrong, else after the time is up.
pub async fn connect(settings: &Connection, name: &str) -> Result<Client, NatsError> {
    connect_with(settings, name, None).await
}

/// The same, where what the server says against us goes to a listener and not into the log.
///
/// # Errors
/// The same.
pub async fn connect_heard(settings: &Connection, name: &str, listener: Listener) -> Result<Client, NatsError> {
    connect_with(settings, name, Some(listener)).await
}

async fn connect_with(settings: &Connection, name: &str, listener: Option<Listener>) -> Result<Client, NatsError> {
    let Addresses { servers, login } = Addresses::read(&settings.nats_url)?;
    certificates::check(settings)?;
    let url = settings.nats_url.to_string();
    let give_up = Instant::now() + settings.nats_connect_timeout;
    let mut delay = DELAY_MIN;
    loop {
        let mut options = options(settings, login.as_ref(), name).await?;
        if let Some(listener) = listener.clone() {
            options = options.event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    if let ServerError::Other(why) = &error {
                        permissions::overheard(why);
                    }
                    listener(error.to_string());
                }
                std::future::ready(())
            });
        }
        let error = match options.connect(servers.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if let Some(why) = certificates::failure(&error, settings) {
            return Err(NatsError::Certificates { url, why });
        }
        if is_final(&error) {
            return Err(NatsError::Refused { url, why: causes(&error) });
        }
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NatsError::Unreachable { url, why: causes(&error) });
        }
        tracing::warn!(url, error = causes(&error), "NATS cannot be reached yet");
        tokio::time::sleep(delay.min(left)).await;
        delay = (delay * 2).min(DELAY_MAX);
    }
}

/// Waits until the server has taken all that went out over a connection before, subscriptions too.
/// The client library's own flush only sees to it that it goes out. Where no answer comes in time,
/// the connection is away and will subscribe anew when it is back.
pub async fn settled(client: &Client) {
    let round_trip = async {
        let inbox = client.new_inbox();
        let mut answer = client.subscribe(inbox.clone()).await.ok()?;
        client.publish(inbox, Bytes::new()).await.ok()?;
        answer.next().await
    };
    if tokio::time::timeout(REQUEST_TIMEOUT, round_trip).await.is_err() {
        tracing::warn!("NATS does not answer on a new connection: requests may find nobody for a moment");
    }
}

/// Whether the connection stands.
pub fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// How often it was made: once at first, and once each time that it came back.
pub fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// JetStream as the connection settings name it.
pub fn jetstream(client: Client, connection: &Connection) -> JetStream {
    match connection.js_domain() {
        "" => jetstream::new(client),
        domain => jetstream::with_domain(client, domain),
    }
}

/// What the subjects of JetStream's API begin with, as the connection settings name it.
pub fn api_prefix(connection: &Connection) -> String {
    match connection.js_domain() {
        "" => "$JS.API".to_owned(),
        domain => format!("$JS.{domain}.API"),
    }
}

/// Headers of a message.
pub fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    pairs.iter().for_each(|(name, value)| headers.insert(*name, *value));
    headers
}

async fn options(settings: &Connection, login: Option<&Login>, name: &str) -> Result<ConnectOptions, NatsError> {
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(&settings.nats_inbox_prefix)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .connection_timeout(ATTEMPT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_MESSAGES_MAX)
        .read_buffer_capacity(READ_BUFFER_BYTES)
        .client_capacity(OUTGOING_MESSAGES_MAX)
        .max_reconnects(None)
        // Ours are checked when they are made, and a reply's came over the wire.
        .skip_subject_validation(true)
        .event_callback(|event| async move { log(&event) });
    if let Some(file) = &settings.nats_creds {
        let read = options.credentials_file(file).await;
        options = read.map_err(|error| unusable("NATS_CREDS", file, &error))?;
    }
    if let Some(file) = &settings.nats_nkey {
        let seed = tokio::fs::read_to_string(file).await.map_err(|error| unusable("NATS_NKEY", file, &error))?;
        options = options.nkey(seed.trim().to_owned());
    }
    match (&settings.nats_user, &settings.nats_password, login) {
        (Some(user), Some(password), _) => {
            options = options.user_and_password(user.clone(), password.reveal().to_owned());
        }
        (_, _, Some(Login::User(user, password))) => {
            options = options.user_and_password(user.clone(), password.clone());
        }
        (_, _, Some(Login::Token(token))) => options = options.token(token.clone()),
        _ => {}
    }
    if let Some(ca) = &settings.nats_tls_ca {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let (Some(certificate), Some(key)) = (&settings.nats_tls_cert, &settings.nats_tls_key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

/// A file that cannot be read. Where it names none but is the secret itself, it is not shown.
fn unusable(setting: &'static str, file: &Path, error: &std::io::Error) -> NatsError {
    let file = file.display().to_string();
    let why = match file.contains("-----BEGIN") || (file.starts_with('S') && file.len() == SEED_CHARS) {
        true => "it takes the name of a file, not what is in it".to_owned(),
        false => format!("{file}: {error}"),
    };
    NatsError::Setting { setting, why }
}

/// Whether another attempt cannot help.
fn is_final(error: &ConnectError) -> bool {
    use ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse, Tls};
    matches!(error.kind(), Authentication | AuthorizationViolation | ServerParse | Tls)
}

/// An error with its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}

fn log(event: &Event) {
    match event {
        Event::ServerError(ServerError::Other(why)) if permissions::heard(why) => {}
        Event::Connected => {
            permissions::begin_anew();
            tracing::info!("NATS connected");
        }
        Event::Disconnected => tracing::warn!("NATS disconnected, trying again until it is back"),
        Event::SlowConsumer(_) => tracing::error!("requests came faster than they were taken and some were dropped"),
        other => tracing::warn!(event = %other, "NATS"),
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// A setting cannot be used.
    #[error("setting {setting} cannot be used: {why}")]
    Setting {
        /// Its name in the environment.
        setting: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate of ours or of the servers' will not do.
    #[error("NATS at {url}: {why}")]
    Certificates {
        /// The servers.
        url: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The servers do not take us.
    #[error(
        "NATS at {url} refuses the connection ({why}): check NATS_CREDS, NATS_NKEY, NATS_USER, NATS_PASSWORD and the NATS_TLS settings"
    )]
    Refused {
        /// The servers.
        url: String,
        /// Why.
        why: String,
    },
    /// Nothing answers.
    #[error(
        "NATS at {url} cannot be reached ({why}): is nats-server running there? NATS_URL names another, NATS_CONNECT_TIMEOUT says how long to try"
    )]
    Unreachable {
        /// The servers.
        url: String,
        /// Why.
        why: String,
    },
}
