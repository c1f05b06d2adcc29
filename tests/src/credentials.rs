//! An operator, an account and a user as NATS's decentralised security has them: signed claims,
//! and the credentials file that a user gets. It must not know who uses them.

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
        let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
        // JetStream insists on an account for the system itself beside those that use it.
        let system = KeyPair::new_account();
        let operator_claims = json!({"type": "operator", "version": 2});
        let account_claims = json!({"type": "account", "version": 2, "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        }});
        let user_claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let operator_token = token(&operator, &operator, &operator_claims)?;
        let account_token = token(&operator, &account, &account_claims)?;
        let system_token = token(&operator, &system, &json!({"type": "account", "version": 2}))?;
        let user_token = token(&account, &user, &user_claims)?;
        Ok(Self {
            server_config: format!(
                "operator: {operator_token}\nresolver: MEMORY\nsystem_account: {1}\n\
                 resolver_preload: {{ {0}: {account_token}, {1}: {system_token} }}\n",
                account.public_key(),
                system.public_key()
            ),
            user: format!(
                "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
                user.seed()?
            ),
        })
    }
}

/// Claims about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = json!({
        "jti": "TEST", "iat": now, "iss": issuer.public_key(), "name": "test", "sub": subject.public_key(),
        "nats": claims,
    });
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&header), encode(&body));
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}
