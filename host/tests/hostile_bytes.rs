//! Everything that reads bytes from outside, given bytes that are almost right: it refuses them in words
//! or takes them, and never panics. A short run each time; `AGENT_FUZZ_SECONDS` makes it longer. It must
//! not test what is done with what was read.

#[path = "hostile_bytes/mutation.rs"]
mod mutation;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use agent_service::clock::Timestamp;
use agent_service::config::{Connection, Service, parse};
use agent_service::domain::Generation;
use agent_service::event::StoredEvent;
use agent_service::name::{Name, Subjects};
use agent_service::plugin::{Limits, Plugin, PluginEngine};
use agent_service::request;
use agent_service::signature::{SigningKey, sign, signatures};
use agent_service::snapshot::Snapshot;
use agent_service::store::jetstream::event_origin;
use async_nats::HeaderMap;
use bytes::Bytes;
use clap::Parser;

use self::mutation::{corpus, mutate};

/// Larger than any payload here, so that its limit is met by mutations that double it.
const PAYLOAD_BYTES_MAX: usize = 512;
/// Mutated code may turn into code that takes long.
const LIMITS: Limits = Limits {
    deadline: Duration::from_millis(200),
    memory_bytes_max: 16 << 20,
    file_bytes_max: 8 << 20,
    compile_time_max: Duration::from_secs(10),
};

static ENGINE: LazyLock<PluginEngine> = LazyLock::new(|| PluginEngine::start(LIMITS).expect("an engine"));

/// The bytes of the counter's plugin.
fn component() -> Vec<u8> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let directory = std::env::var_os("AGENT_PLUGINS").map_or(built, PathBuf::from);
    let file = directory.join("counter.wasm");
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): run `cargo xtask test`, which builds it", file.display())
    })
}

/// A message as the corpus has it: subject, headers, an empty line, payload.
struct Message {
    subject: String,
    headers: Vec<(String, String)>,
    payload: Bytes,
}

impl Message {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines().map(str::to_owned);
        let subject = lines.next().unwrap_or_default();
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim_start().to_owned()))
        });
        let headers = headers.collect();
        Self { subject, headers, payload: Bytes::copy_from_slice(bytes.get(end + 2..).unwrap_or_default()) }
    }
}

#[test]
fn requests() {
    let plugin = Plugin::load(&ENGINE, &component()).expect("the counter");
    let subjects = Subjects::new(&Name::new("counter").expect("a name"));
    mutate(corpus("requests"), |bytes| {
        let Message { subject, headers, payload } = Message::of(bytes);
        let Some(address) = subjects.parse(&subject) else { return };
        let text = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match request::read(&address, &text, payload, plugin.description(), PAYLOAD_BYTES_MAX) {
            Ok(request) => assert!(!request.id().as_str().is_empty()),
            Err(failure) => assert!(!failure.message.is_empty()),
        }
    });
}

#[test]
fn events() {
    mutate(corpus("events"), |bytes| {
        let Message { subject, headers: given, payload } = Message::of(bytes);
        let mut headers = HeaderMap::new();
        for (name, value) in &given {
            // What cannot be a header does not come over the wire either.
            if let (Ok(name), Ok(value)) =
                (name.parse::<async_nats::HeaderName>(), value.parse::<async_nats::HeaderValue>())
            {
                headers.append(name, value);
            }
        }
        let name = Subjects::event_name(&subject).unwrap_or_default().to_owned();
        let origin = event_origin(&headers);
        let event = StoredEvent { sequence: 1, name, payload, stored: Timestamp(0), after: None, origin };
        match event.written_as(1) {
            Ok((_, origin)) => assert_eq!(origin.version, 1),
            Err(why) => assert!(!why.is_empty()),
        }
    });
}

#[test]
fn snapshots() {
    let whole = Snapshot {
        version: 3,
        last_sequence: 7,
        last_event_id: uuid::Uuid::nil(),
        last_time_ms: 1_000,
        code: [7; 32],
        state_schema: 1,
        commands: Default::default(),
        state: br#"{"count":3}"#.to_vec(),
    };
    let bytes = whole.encode();
    mutate(vec![bytes.clone()], |mutated| {
        // Whatever was changed is found, so that nothing but the whole one is ever read.
        assert_eq!(Snapshot::decode(mutated).is_ok(), mutated == bytes);
    });
}

#[derive(Parser)]
struct Settings {
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    service: Service,
}

#[test]
fn settings() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    mutate(corpus("settings"), |bytes| {
        std::fs::write(file.path(), bytes).expect("it can be written");
        let arguments = ["agent-service".into(), "--config".into(), file.path().as_os_str().to_owned()];
        match parse::<Settings>(arguments) {
            Ok(settings) => {
                let _ = (settings.connection.check(), settings.service.check());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

#[test]
fn signed_components() {
    let key = nkeys::KeyPair::new_user();
    let key = SigningKey::read(&key.seed().expect("a seed")).expect("a key");
    // As short as a component can be: what is mutated is mostly the signature.
    let signed = sign(b"\0asm\x0d\0\x01\0", &key).expect("a signed component");
    mutate(vec![signed.clone()], |mutated| {
        let holds = signatures(mutated).is_ok_and(|signed| signed.check().is_ok());
        if holds {
            // Nothing was changed of what is signed; sections that are appended are part of that.
            assert!(mutated.starts_with(&signed[..8]));
        }
    });
}

#[test]
fn plugin_files() {
    mutate(vec![component()], |bytes| match Plugin::load(&ENGINE, bytes) {
        Ok(plugin) => assert_eq!(plugin.size(), bytes.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    });
}
