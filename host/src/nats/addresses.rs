//! Addresses of servers, and the login that one may bear: it goes to the server and nowhere else,
//! since the client library shows addresses in its log and does not log in by them.

use std::borrow::Cow;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

use super::NatsError;
use crate::config::{Urls, without_login};

/// Where the servers are, and who we are where the addresses say it.
pub(super) struct Addresses {
    pub(super) servers: Vec<ServerAddr>,
    pub(super) login: Option<Login>,
}

/// Who we are.
#[derive(PartialEq, Eq)]
pub(super) enum Login {
    /// A user with a password.
    User(String, String),
    /// Whoever has this token.
    Token(String),
}

impl Addresses {
    /// Reads the setting.
    ///
    /// # Errors
    /// [`NatsError::Setting`] where it names no server, something that is no address, or two logins.
    pub(super) fn read(urls: &Urls) -> Result<Self, NatsError> {
        let unusable = |why: String| NatsError::Setting { setting: "NATS_URL", why };
        let (mut servers, mut login) = (Vec::new(), None);
        for url in urls.each() {
            let no_address =
                |why: &dyn std::fmt::Display| unusable(format!("`{}` is no address: {why}", without_login(url)));
            let address: ServerAddr = url.parse().map_err(|error: std::io::Error| no_address(&error))?;
            let found = login_of(&address);
            if found.is_some() && login.is_some() && found != login {
                return Err(unusable("its addresses bear different logins: one user is needed for all servers".into()));
            }
            login = login.or(found);
            let mut bare = address.into_inner();
            if bare.set_username("").and_then(|()| bare.set_password(None)).is_err() {
                return Err(no_address(&"it names no host"));
            }
            servers.push(ServerAddr::from_url(bare).map_err(|error| no_address(&error))?);
        }
        if servers.is_empty() { Err(unusable("it names no server".into())) } else { Ok(Self { servers, login }) }
    }
}

fn login_of(address: &ServerAddr) -> Option<Login> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned);
    let user = decoded(address.username()?);
    Some(
        address
            .password()
            .map_or_else(|| Login::Token(user.clone()), |password| Login::User(user.clone(), decoded(password))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(urls: &str) -> Result<Addresses, NatsError> {
        Addresses::read(&Urls::from(urls.to_owned()))
    }

    #[test]
    fn a_list_of_servers_is_split() {
        let found = read("nats://one:4222, two:4223,,tls://three").expect("addresses");
        let hosts: Vec<&str> = found.servers.iter().map(ServerAddr::host).collect();
        assert_eq!(hosts, ["one", "two", "three"]);
        assert!(found.login.is_none());
        assert!(read(" , ").is_err());
    }

    #[test]
    fn a_login_is_taken_out_of_the_addresses() {
        let found = read("nats://alice:hunter%402@one:4222,nats://two").expect("addresses");
        assert!(found.login == Some(Login::User("alice".into(), "hunter@2".into())));
        assert!(found.servers.iter().all(|server| !server.has_user_pass()));
        assert!(!format!("{:?}", found.servers).contains("hunter"));
        assert!(read("nats://t0ken@one").expect("addresses").login == Some(Login::Token("t0ken".into())));
    }

    #[test]
    fn an_address_that_is_none_is_named_without_its_login() {
        for urls in
            ["nats://alice:hunter2@one:port", "http://alice:hunter2@one", "nats://a:hunter2@one,nats://b:hunter3@two"]
        {
            let error = read(urls).err().expect("an error").to_string();
            assert!(error.contains("NATS_URL") && !error.contains("hunter"), "{error}");
        }
    }
}
