//! `credentials`: the files that say who we are can be read, are what they should be, and hold for a
//! while. Nothing here repeats what is in them.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::certificates::until;
use super::facts::Site;
use super::finding::Seen;
use crate::clock::Timestamp;
use crate::signature::SigningKey;

/// The bit of a mode that lets everybody read.
const ALL_READ: u32 = 0o004;

pub(super) fn credentials(site: &Site<'_>) -> Vec<Seen> {
    let settings = site.connection;
    let mut seen = Vec::new();
    for (setting, file, judge) in [
        ("NATS_CREDS", &settings.nats_creds, creds as fn(&str) -> Seen),
        ("NATS_NKEY", &settings.nats_nkey, nkey as fn(&str) -> Seen),
    ] {
        let Some(file) = file else { continue };
        seen.push(of_file(file, judge).about(setting));
    }
    match (seen.is_empty(), settings.nats_user.is_some()) {
        (false, _) => seen,
        (true, true) => vec![Seen::ok("a user and a password are set")],
        (true, false) => vec![Seen::skipped("none are set")],
    }
}

fn of_file(file: &Path, judge: fn(&str) -> Seen) -> Seen {
    let read = std::fs::metadata(file).and_then(|about| Ok((about, std::fs::read_to_string(file)?)));
    match read {
        Err(error) => Seen::failure(
            format!("{} cannot be read: {error}", file.display()),
            "name a file that is there, and let the service's user read it",
        ),
        Ok((about, _)) if everybody_reads(&about) => Seen::warning(
            format!("{} is a secret that every user of this machine can read", file.display()),
            format!("chmod o-r {}", file.display()),
        ),
        Ok((_, text)) => judge(&text),
    }
}

fn everybody_reads(about: &Metadata) -> bool {
    about.mode() & ALL_READ != 0
}

fn nkey(text: &str) -> Seen {
    match SigningKey::read(text) {
        Ok(key) => Seen::ok(format!("the seed of {}", key.public_key())),
        Err(error) => Seen::failure(error.to_string(), "put a user's seed into it"),
    }
}

/// A credentials file holds a user's claims, which may end, and its seed.
fn creds(text: &str) -> Seen {
    const REMEDY: &str = "have new credentials made: `nsc generate creds`";
    let Some(claims) = claims(text) else {
        return Seen::failure("it holds no claims of a user, -----BEGIN NATS USER JWT-----", REMEDY);
    };
    if let Err(error) = SigningKey::read(text) {
        return Seen::failure(error.to_string(), REMEDY);
    }
    expiry(&claims, REMEDY)
}

fn expiry(claims: &Value, remedy: &str) -> Seen {
    match claims["exp"].as_u64().filter(|seconds| *seconds > 0) {
        None => Seen::ok("they do not expire"),
        Some(seconds) => until("they", Timestamp(seconds.saturating_mul(1_000)), remedy),
    }
}

/// The claims in the first token of a file.
fn claims(text: &str) -> Option<Value> {
    let begin = text.lines().position(|line| line.contains("BEGIN NATS USER JWT"))?;
    let token = text.lines().nth(begin + 1)?.trim();
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    fn grade(body: &str) -> Option<Grade> {
        let token = URL_SAFE_NO_PAD.encode(body);
        let file = format!("-----BEGIN NATS USER JWT-----\nhead.{token}.signature\n------END NATS USER JWT------\n");
        claims(&file).map(|claims| expiry(&claims, "make new ones").grade)
    }

    #[test]
    fn claims_that_ended_are_a_failure() {
        assert_eq!(grade(r#"{"exp": 1}"#), Some(Grade::Failure));
        assert_eq!(grade(r#"{"exp": 32503680000}"#), Some(Grade::Ok));
        assert_eq!(grade(r#"{"name": "a"}"#), Some(Grade::Ok));
        assert_eq!(grade("no JSON"), None);
    }
}
