//! What a fleet is to run for one domain, and how that changes. Knows nothing of where it is kept.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::Digest;

/// Components of a domain that are denied at the same time; beyond them the oldest are forgotten,
/// so that an entry stays far below what one message holds.
const DENIED_MAX: usize = 64;
/// Longest reason in characters, for the same sake.
const WHY_CHARS_MAX: usize = 240;

/// What the fleet is to run for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The component.
    pub digest: Digest,
    /// The number under which it goes live; only ever grows.
    pub activation: u64,
    /// What was to run before, where that is known and not denied.
    #[serde(default)]
    pub previous: Option<Digest>,
    /// Whether it may go live though it gives other states than the live code.
    #[serde(default)]
    pub accept_drift: bool,
    /// Whether it is a way back, which no gate may refuse.
    #[serde(default)]
    pub rollback: bool,
    /// What must not go live, until it is activated again.
    #[serde(default)]
    pub denied: Vec<Denied>,
    /// Why it is so, in words.
    #[serde(default)]
    pub why: String,
    /// Who had it so.
    #[serde(default)]
    pub by: String,
    /// Since when, RFC 3339.
    #[serde(default)]
    pub at: String,
}

/// A component that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The component.
    pub digest: Digest,
    /// Why, in words.
    pub why: String,
}

impl Wanted {
    /// What is wanted once `digest` is activated.
    pub(super) fn activated(standing: Option<Self>, digest: Digest, accept_drift: bool, at_least: u64) -> Self {
        let (last, mut denied) = standing.as_ref().map_or((0, Vec::new()), |s| (s.activation, s.denied.clone()));
        denied.retain(|one| one.digest != digest);
        let previous = standing.and_then(|standing| {
            // Activated once more, it is still the one before that one would go back to.
            if standing.digest == digest { standing.previous } else { Some(standing.digest) }
        });
        Self {
            digest,
            activation: last.max(at_least).saturating_add(1),
            previous,
            accept_drift,
            rollback: false,
            denied,
            why: "activated".into(),
            by: String::new(),
            at: String::new(),
        }
    }

    /// What is wanted once this is undone, under a number above `at_least`, for a reason that denies
    /// it or for none; `None` where nothing is known to go back to.
    pub(super) fn rolled_back(self, deny: Option<&str>, at_least: u64) -> Option<Self> {
        let digest = self.previous?;
        let mut denied = self.denied;
        if let Some(why) = deny {
            denied.retain(|one| one.digest != self.digest);
            denied.push(Denied { digest: self.digest, why: cut(why) });
            denied.drain(..denied.len().saturating_sub(DENIED_MAX));
        }
        let why =
            deny.map_or_else(|| "rolled back by an operator".to_owned(), |why| cut(&format!("rolled back: {why}")));
        Some(Self {
            digest,
            activation: self.activation.max(at_least).saturating_add(1),
            // What failed is nothing to go back to.
            previous: deny.is_none().then_some(self.digest),
            // It has run, and is wanted back whatever the other code has made of the states.
            accept_drift: true,
            rollback: true,
            denied,
            why,
            by: String::new(),
            at: String::new(),
        })
    }

    /// The same with whose doing it is, and when.
    pub(super) fn signed(self, by: &str, at: Timestamp) -> Self {
        Self { by: cut(by), at: at.to_rfc3339(), ..self }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(WHY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([0xaa; 32]);
    const B: Digest = Digest([0xbb; 32]);
    const C: Digest = Digest([0xcc; 32]);

    fn activated(standing: Option<Wanted>, digest: Digest) -> Wanted {
        Wanted::activated(standing, digest, false, 0)
    }

    #[test]
    fn numbers_grow_above_what_hosts_have_seen() {
        let first = Wanted::activated(None, A, true, 7);
        assert_eq!((first.activation, first.previous, first.accept_drift), (8, None, true));
        let second = Wanted::activated(Some(first), B, false, 3);
        assert_eq!((second.activation, second.previous, second.accept_drift), (9, Some(A), false));
        assert_eq!(activated(Some(second), B).previous, Some(A), "activated twice");
    }

    #[test]
    fn an_operator_goes_back_and_forth() {
        let second = activated(Some(activated(None, A)), B);
        let back = second.rolled_back(None, 0).expect("a previous one");
        assert_eq!((back.digest, back.activation, back.previous), (A, 3, Some(B)));
        assert_eq!((back.why.as_str(), back.accept_drift), ("rolled back by an operator", true));
        let forth = back.rolled_back(None, 0).expect("a previous one");
        assert_eq!((forth.digest, forth.activation, forth.previous), (B, 4, Some(A)));
        assert_eq!(forth.rolled_back(None, 9).expect("a previous one").activation, 10, "above what hosts have seen");
        assert_eq!(activated(None, A).rolled_back(None, 0), None);
    }

    #[test]
    fn what_failed_is_denied_until_it_is_activated_again() {
        let second = activated(Some(activated(None, A)), B);
        let back = second.rolled_back(Some("4 failures in probation"), 0).expect("a previous one");
        assert_eq!((back.digest, back.previous, back.why.as_str()), (A, None, "rolled back: 4 failures in probation"));
        assert_eq!(back.denied, [Denied { digest: B, why: "4 failures in probation".into() }]);
        assert_eq!(activated(Some(back.clone()), C).denied.len(), 1);
        assert_eq!(activated(Some(back), B).denied, []);
    }

    #[test]
    fn an_entry_stays_small() {
        let mut wanted = activated(None, A);
        for n in 0..100_u8 {
            wanted = activated(Some(wanted), Digest([n; 32]));
            wanted =
                wanted.rolled_back(Some(&"x".repeat(10_000)), 0).expect("a previous one").signed("me", Timestamp(0));
        }
        assert_eq!(wanted.denied.len(), DENIED_MAX);
        assert!(wanted.denied.iter().all(|one| one.digest.0[0] >= 36), "the oldest are forgotten first");
        assert!(serde_json::to_vec(&wanted).expect("JSON").len() < 32 << 10);
    }

    #[test]
    fn it_is_read_back_from_its_json() {
        let wanted = activated(Some(activated(None, A)), B).signed("op@host", Timestamp(0));
        let json = serde_json::to_string(&wanted).expect("JSON");
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let expected = format!(
            r#"{{"digest":"{b}","activation":2,"previous":"{a}","accept_drift":false,"rollback":false,"denied":[],"why":"activated","by":"op@host","at":"1970-01-01T00:00:00.000Z"}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Wanted>(&json).expect("an entry"), wanted);
    }
}
