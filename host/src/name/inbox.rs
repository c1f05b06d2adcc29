//! The names of the durable lane: its subjects and streams, and where outcomes may go. Knows
//! nothing of what travels.

use super::{Address, AggregateId, Name, Subjects};

impl Subjects {
    /// Everything of the durable lane.
    pub fn inbox(&self) -> String {
        format!("{}.inbox.>", self.domain)
    }

    /// A command's subject in the durable lane, with the id in it or without.
    pub fn inbox_command(&self, id: Option<&AggregateId>, verb: &Name) -> String {
        match id {
            Some(id) => format!("{}.inbox.{}.{}", self.domain, id, verb),
            None => format!("{}.inbox.{}", self.domain, verb),
        }
    }

    /// Everything that the durable lane has parked.
    pub fn dead(&self) -> String {
        format!("{}.dead.>", self.domain)
    }

    /// What is parked of one aggregate.
    pub fn dead_of(&self, id: &AggregateId) -> String {
        format!("{}.dead.{}.*", self.domain, id)
    }

    /// The subject of one parked command.
    pub fn dead_command(&self, id: &AggregateId, verb: &Name) -> String {
        format!("{}.dead.{}.{}", self.domain, id, verb)
    }

    /// Reads the subject of a command in the durable lane.
    pub fn parse_inbox<'a>(&self, subject: &'a str) -> Option<Address<'a>> {
        match self.kind_and_address(subject)? {
            ("inbox", id, verb) => Some(Address::Command { id, verb }),
            _ => None,
        }
    }

    /// Reads the subject of a parked command: its id and its verb.
    pub fn parse_dead<'a>(&self, subject: &'a str) -> Option<(&'a str, &'a str)> {
        match self.kind_and_address(subject)? {
            ("dead", Some(id), verb) => Some((id, verb)),
            _ => None,
        }
    }
}

/// The stream of a domain's durable lane: `<DOMAIN>_INBOX`.
pub fn inbox_stream_of(domain: &Name) -> String {
    format!("{}_INBOX", domain.as_str().to_ascii_uppercase())
}

/// The stream of what a domain's durable lane has parked: `<DOMAIN>_DEAD`.
pub fn dead_stream_of(domain: &Name) -> String {
    format!("{}_DEAD", domain.as_str().to_ascii_uppercase())
}

/// Whether a text can be published to: a subject of plain tokens, one line, not overly long.
pub fn is_publishable(subject: &str) -> bool {
    const BYTES_MAX: usize = 256;
    let plain = |token: &str| {
        !token.is_empty()
            && !matches!(token, "*" | ">")
            && !token.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    subject.len() <= BYTES_MAX && subject.split('.').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_the_durable_lane_are_read_back() {
        let subjects = Subjects::new(&Name::new("agent").expect("a name"));
        let (id, verb) = (AggregateId::new("a1").expect("an id"), Name::new("deploy").expect("a name"));
        let with_id = Address::Command { id: Some("a1"), verb: "deploy" };
        assert_eq!(subjects.parse_inbox(&subjects.inbox_command(Some(&id), &verb)), Some(with_id));
        let without = Address::Command { id: None, verb: "deploy" };
        assert_eq!(subjects.parse_inbox(&subjects.inbox_command(None, &verb)), Some(without));
        assert_eq!(subjects.parse_dead(&subjects.dead_command(&id, &verb)), Some(("a1", "deploy")));
        for other in ["agent.commands.a1.deploy", "agent.dead.a1.deploy", "agent.inbox", "agent.inbox.a.b.c"] {
            assert_eq!(subjects.parse_inbox(other), None, "{other}");
        }
        assert_eq!(subjects.parse_dead("agent.dead.deploy"), None);
        assert_eq!(subjects.parse("agent.inbox.a1.deploy"), None);
    }

    #[test]
    fn what_would_break_the_protocol_is_not_published_to() {
        for good in ["a", "_INBOX.abc.1", "replies.agent-7"] {
            assert!(is_publishable(good), "{good}");
        }
        for bad in ["", "a.", ".a", "a..b", "a b", "a\r\nPUB x 0", "a.*", "a.>", &"x".repeat(257)] {
            assert!(!is_publishable(bad), "{bad}");
        }
    }
}
