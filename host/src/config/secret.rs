//! Settings that are, or may bear, a secret: neither logs nor errors show more of them than is none.
//! Knows nothing of what they open.

use std::fmt;

/// Stands where a secret was.
const HIDDEN: &str = "…";

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Addresses of servers, comma-separated, which may bear a login: `nats://user:password@host:4222`.
/// Shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct Urls(String);

impl Urls {
    /// Each address as it was given.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').map(str::trim).filter(|url| !url.is_empty())
    }
}

impl From<String> for Urls {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.each().map(without_login).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address without its login, if it has one. What has no port where one belongs is shown as little:
/// a password with a comma in it was cut there.
pub fn without_login(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let host = if host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { HIDDEN };
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_logins() {
        let urls =
            Urls::from("nats://alice:p@ss@one:4222, token@two,tls://three ,four:4222,nats://[::1]:4222".to_owned());
        let shown = "nats://one:4222,two,tls://three,four:4222,nats://[::1]:4222";
        assert_eq!((urls.to_string(), format!("{urls:?}")), (shown.to_owned(), shown.to_owned()));
    }

    #[test]
    fn a_password_that_was_cut_is_not_shown() {
        assert_eq!(Urls::from("nats://alice:hun,ter2@one:4222".to_owned()).to_string(), "nats://…,one:4222");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", Some(Secret::from("hunter2".to_owned())));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
