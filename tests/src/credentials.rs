//! NATS's decentralised security as it is made for a test: an operator's accounts and their users as
//! signed claims, and the credentials file that a user gets. It must not know who uses them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// A server's configuration for one account, and credentials of a user in it.
pub struct Credentials {
    /// What goes into the server's configuration.
    pub server_config: String,
    /// The content of the user's credentials file.
    pub user: String,
}

impl Credentials {
    /// Makes all of them.
    pub fn new() -> Result<Self> {
        let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
        let claims = json!({"type": "account", "version": 2, "limits": limits(true)});
        let server_config = server_config(&BTreeMap::from([("test", (&account, claims))]))?;
        let user_claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let user_token = token(&account, &user, "test", &user_claims)?;
        Ok(Self { server_config, user: file(&user_token, &user)? })
    }
}

/// What an account may use, of JetStream all or nothing.
pub fn limits(jetstream: bool) -> Value {
    let storage = if jetstream { -1 } else { 0 };
    json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
    })
}

/// The configuration of a server whose operator has these accounts, and one for the system itself.
pub fn server_config(accounts: &BTreeMap<&str, (&KeyPair, Value)>) -> Result<String> {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let operator_token = token(&operator, &operator, "test", &json!({"type": "operator", "version": 2}))?;
    let system_token = token(&operator, &system, "SYS", &json!({"type": "account", "version": 2}))?;
    let mut preload = format!("{}: {system_token}\n", system.public_key());
    for (name, (key, claims)) in accounts {
        preload += &format!("{}: {}\n", key.public_key(), token(&operator, key, name, claims)?);
    }
    let system = system.public_key();
    Ok(format!(
        "operator: {operator_token}\nresolver: MEMORY\nsystem_account: {system}\nresolver_preload {{\n{preload}}}\n"
    ))
}

/// The credentials file of a user.
pub fn file(token: &str, key: &KeyPair) -> Result<String> {
    Ok(format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        key.seed()?
    ))
}

/// Claims about `subject`, signed by `issuer`.
pub fn token(issuer: &KeyPair, subject: &KeyPair, name: &str, claims: &Value) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": "TEST", "iat": now, "iss": issuer.public_key(), "name": name, "sub": subject.public_key(),
        "nats": claims,
    });
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&header), encode(&body));
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}
