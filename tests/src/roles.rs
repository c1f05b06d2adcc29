//! The roles of `deploy/nats/roles`: a server that knows them, as users of its configuration or as an
//! operator's tokens, and each of them logged in. It must not know what a role may do.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use async_nats::ConnectOptions;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::nats_server::NatsServer;

use crate::cli::Cli;
use crate::credentials::{self, limits, token};
use crate::deployment::{shipped, shipped_path};
use crate::doctor::Doctor;
use crate::host::{Host, HostBuilder};
use crate::nats::Nats;
use crate::user::User;

/// The one agent that `agent-client.json` is about.
pub const ONE_AGENT: &str = "0190a5d2-7c1e-7b8a-9f00-1234567890ab";

/// A role, and the user of it in the files.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    file: &'static str,
    account: &'static str,
    user: &'static str,
    variable: &'static str,
    /// What its replies' subjects begin with.
    pub inbox: &'static str,
}

const fn role(
    file: &'static str,
    account: &'static str,
    user: &'static str,
    variable: &'static str,
    inbox: &'static str,
) -> Role {
    Role { file, account, user, variable, inbox }
}

/// A host.
pub const HOST: Role = role("host", "AGENT", "host", "AGENT_SERVICE_NKEY", "_INBOX.host");
/// An operator.
pub const OPERATOR: Role = role("operator", "AGENT", "operator", "OPERATOR_NKEY", "_INBOX.operator");
/// A client of all agents.
pub const CLIENT: Role = role("client", "AGENT", "alice", "ALICE_NKEY", "_INBOX.client.alice");
/// A client of [`ONE_AGENT`].
pub const AGENT_CLIENT: Role = role("agent-client", "AGENT", "bob", "BOB_NKEY", "_INBOX.client.bob");
/// A client of the durable lane.
pub const DURABLE_CLIENT: Role = role("durable-client", "AGENT_DURABLE", "carol", "CAROL_NKEY", "_INBOX.durable.carol");
/// A reader of events.
pub const READER: Role = role("reader", "AGENT_READERS", "dave", "DAVE_NKEY", "_INBOX.reader.dave");
/// A publisher of plugins.
pub const PUBLISHER: Role = role("publisher", "AGENT_PUBLISHERS", "erin", "ERIN_NKEY", "_INBOX.publisher.erin");

/// All of them.
pub const ALL: [Role; 7] = [HOST, OPERATOR, CLIENT, AGENT_CLIENT, DURABLE_CLIENT, READER, PUBLISHER];

/// Accounts beside the one of the streams, and the files of what they import.
const OUTSIDE: [(&str, &str); 3] = [
    ("AGENT_DURABLE", "durable-imports"),
    ("AGENT_READERS", "readers-imports"),
    ("AGENT_PUBLISHERS", "publishers-imports"),
];

/// By which name accounts outside speak to JetStream.
pub const OUTSIDE_DOMAIN: &str = "agent";

/// How users are known to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By its configuration.
    Users,
    /// By tokens that their accounts have signed, one signing key for each role.
    Tokens,
}

/// Both ways.
pub const FORMS: [Form; 2] = [Form::Users, Form::Tokens];

/// The keys of all of them, and files of theirs.
pub struct Roles {
    form: Form,
    keys: BTreeMap<&'static str, KeyPair>,
    dir: TempDir,
}

impl Roles {
    /// Makes all of them, and a server that knows them, with a client that is an operator.
    pub async fn start(form: Form) -> Result<(Self, Nats)> {
        Self::start_with(form, &[]).await
    }

    /// The same with these texts of the files replaced.
    pub async fn start_with(form: Form, replaced: &[(String, String)]) -> Result<(Self, Nats)> {
        let keys = ALL.iter().map(|role| (role.file, KeyPair::new_user())).collect();
        let roles = Self { form, keys, dir: TempDir::with_prefix("agent-service-roles-")? };
        fs::create_dir(roles.dir.path().join("roles"))?;
        for entry in fs::read_dir(shipped_path("nats/roles"))? {
            let name = entry?.file_name();
            let file = format!("nats/roles/{}", name.to_string_lossy());
            let text = replaced.iter().fold(shipped(&file)?, |text, (from, to)| text.replace(from, to));
            fs::write(roles.dir.path().join("roles").join(&name), text)?;
        }
        let server = match form {
            Form::Users => roles.with_users()?,
            Form::Tokens => roles.with_tokens()?,
        };
        let nats = Nats::connect(server, roles.login(OPERATOR)?).await?;
        Ok((roles, nats))
    }

    /// Somebody in this role, connected.
    pub async fn connect(&self, nats: &Nats, role: Role) -> Result<User> {
        User::connect(self.login(role)?, &nats.url()).await
    }

    /// A host in its role.
    pub fn host(&self, nats: &Nats) -> Result<HostBuilder> {
        let (setting, file) = self.file(HOST);
        Ok(Host::builder(nats)?.env(setting, file.display()).env("NATS_INBOX_PREFIX", HOST.inbox))
    }

    /// Who looks with a host's own settings.
    pub fn doctor(&self, nats: &Nats) -> Result<Doctor> {
        let (setting, file) = self.file(HOST);
        Ok(Doctor::new(nats)?.env(setting, file.display()).env("NATS_INBOX_PREFIX", HOST.inbox))
    }

    /// The command line of somebody in this role.
    pub fn cli(&self, nats: &Nats, role: Role) -> Cli {
        let (setting, file) = self.file(role);
        let cli = Cli::new(nats).env(setting, file.display()).env("NATS_INBOX_PREFIX", role.inbox);
        if role.account == "AGENT" { cli } else { cli.env("NATS_JS_DOMAIN", OUTSIDE_DOMAIN) }
    }

    fn login(&self, role: Role) -> Result<ConnectOptions> {
        let text = fs::read_to_string(self.file(role).1)?;
        let options = match self.form {
            Form::Users => ConnectOptions::with_nkey(text),
            Form::Tokens => ConnectOptions::with_credentials(&text)?,
        };
        Ok(options.custom_inbox_prefix(role.inbox))
    }

    /// The setting and the file by which a role logs in.
    fn file(&self, role: Role) -> (&'static str, PathBuf) {
        let setting = if self.form == Form::Users { "NATS_NKEY" } else { "NATS_CREDS" };
        (setting, self.dir.path().join(role.file))
    }

    fn key(&self, role: Role) -> Result<&KeyPair> {
        self.keys.get(role.file).context("a key for each role")
    }

    fn with_users(&self) -> Result<NatsServer> {
        // The harness's own file lies in a directory beside this one; `include` takes relative paths only.
        let beside = self.dir.path().file_name().context("a directory has a name")?.to_string_lossy();
        let mut server = NatsServer::builder().settings(&format!("include \"../{beside}/roles/accounts.conf\""));
        for role in ALL {
            fs::write(self.file(role).1, self.key(role)?.seed()?)?;
            server = server.env(role.variable, &self.key(role)?.public_key());
        }
        server.env("NATS_SYSTEM_NKEY", &KeyPair::new_user().public_key()).start()
    }

    fn with_tokens(&self) -> Result<NatsServer> {
        let keys: BTreeMap<&str, KeyPair> =
            OUTSIDE.iter().map(|(name, _)| *name).chain(["AGENT"]).map(|name| (name, KeyPair::new_account())).collect();
        let agent = &keys["AGENT"];
        let mut accounts = BTreeMap::from([(
            "AGENT",
            (agent, json!({"type": "account", "version": 2, "limits": limits(true), "exports": self.exports()?})),
        )]);
        for (name, file) in OUTSIDE {
            let imports = self.imports(file, agent, &keys[name])?;
            let claims = json!({"type": "account", "version": 2, "limits": limits(false), "imports": imports});
            accounts.insert(name, (&keys[name], claims));
        }
        for role in ALL {
            let signing = KeyPair::new_account();
            let scope = json!({
                "kind": "user_scope", "key": signing.public_key(), "role": role.file, "template": self.template(role)?,
            });
            let (account, claims) = accounts.get_mut(role.account).context("an account for each role")?;
            if !claims["signing_keys"].is_array() {
                claims["signing_keys"] = json!([]);
            }
            claims["signing_keys"].as_array_mut().context("a list")?.push(scope);
            let user = json!({
                "type": "user", "version": 2, "issuer_account": account.public_key(),
                "tags": [format!("agent:{ONE_AGENT}")],
            });
            let key = self.key(role)?;
            fs::write(self.file(role).1, credentials::file(&token(&signing, key, role.user, &user)?, key)?)?;
        }
        NatsServer::builder().settings(&credentials::server_config(&accounts)?).start()
    }

    /// What a role may, for any user of it.
    fn template(&self, role: Role) -> Result<Value> {
        let name = format!(".{}.>", role.user);
        let file = self.read(role.file)?.to_string();
        let text = match role.user == role.file {
            true => file,
            false => file.replace(&name, ".{{name()}}.>").replace(ONE_AGENT, "{{tag(agent)}}"),
        };
        let permissions: Value = serde_json::from_str(&text)?;
        Ok(json!({
            "pub": permissions["publish"], "sub": permissions["subscribe"], "subs": -1, "data": -1, "payload": -1,
        }))
    }

    fn exports(&self) -> Result<Vec<Value>> {
        let file = self.read("exports")?;
        let exports = file["exports"].as_array().context("exports")?.iter();
        Ok(exports
            .map(|export| {
                let (kind, subject) = kind_of(export);
                let mut claims = json!({"name": subject, "subject": subject, "type": kind, "token_req": true});
                if export["response_type"] == "stream" {
                    claims["response_type"] = json!("Stream");
                }
                claims
            })
            .collect())
    }

    fn imports(&self, file: &str, exporter: &KeyPair, importer: &KeyPair) -> Result<Vec<Value>> {
        let file = self.read(file)?;
        let imports = file["imports"].as_array().context("imports")?.iter();
        imports
            .map(|import| {
                let (kind, from) = kind_of(import);
                let subject = from["subject"].as_str().context("a subject")?;
                let allowed = json!({"type": "activation", "version": 2, "subject": subject, "kind": kind});
                let local = import["to"].as_str().unwrap_or(subject);
                Ok(json!({
                    "name": subject, "subject": subject, "local_subject": local, "account": exporter.public_key(), "type": kind,
                    "token": token(exporter, importer, subject, &allowed)?,
                }))
            })
            .collect()
    }

    fn read(&self, name: &str) -> Result<Value> {
        let file = self.dir.path().join("roles").join(format!("{name}.json"));
        serde_json::from_str(&fs::read_to_string(&file)?).with_context(|| format!("in {}", file.display()))
    }
}

/// Whether it is about a service or a stream, and what is said of it.
fn kind_of(item: &Value) -> (&'static str, &Value) {
    match &item["service"] {
        Value::Null => ("stream", &item["stream"]),
        service => ("service", service),
    }
}
