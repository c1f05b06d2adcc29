//! What a test expects of a decision, and what holds of every decision.

use serde_json::Value;

use super::{Decision, evolve, show};
use crate::{
    Context, Domain, Refusal,
    live::{Aggregate, EncodedEvent, encode_event},
};

/// A decision that was made, waiting for the test's expectation.
#[must_use = "a decision without an expectation tests little: add .then(…)"]
pub struct Then<D> {
    /// With the events of the decision applied.
    aggregate: Aggregate<D>,
    decision: Decision,
}

impl<D: Domain> Then<D> {
    pub(super) fn new(mut aggregate: Aggregate<D>, context: Context, decision: Decision, again: &Decision) -> Self {
        assert!(
            decision == *again,
            "the same command decided twice gives two answers:\n{}\n{}",
            tell(&decision),
            tell(again),
        );
        if let Ok(events) = &decision {
            evolve(&mut aggregate, events, "decided");
        }
        survives_a_snapshot(&aggregate, context.aggregate_id());
        Self { aggregate, decision }
    }

    /// The command led to exactly these events.
    ///
    /// # Panics
    /// Where it did not.
    pub fn then(self, expected: impl IntoIterator<Item = D::Event>) -> Evolved<D> {
        let expected: Vec<_> = expected.into_iter().map(|e| encode_event(&e)).collect();
        assert!(
            self.decision.as_ref() == Ok(&expected),
            "expected: {}\n but got: {}",
            show(&expected),
            tell(&self.decision),
        );
        self.evolved()
    }

    /// The command led to these events, given as name and payload.
    ///
    /// # Panics
    /// Where it did not.
    pub fn then_json(self, expected: &[(&str, Value)]) -> Evolved<D> {
        let got: Option<Vec<_>> = self.decision.as_ref().ok().map(|events| events.iter().map(named_value).collect());
        assert!(got.as_deref() == Some(expected), "expected: {expected:#?}\n but got: {}", tell(&self.decision),);
        self.evolved()
    }

    /// The command led to this many events, whatever they say.
    ///
    /// # Panics
    /// Where it did not.
    pub fn then_events(self, count: usize) -> Evolved<D> {
        assert!(
            self.decision.as_ref().is_ok_and(|events| events.len() == count),
            "expected: {count} events\n but got: {}",
            tell(&self.decision),
        );
        self.evolved()
    }

    /// The command was accepted and there was nothing to do.
    ///
    /// # Panics
    /// Where it was refused or led to events.
    pub fn then_nothing(self) -> Evolved<D> {
        self.then([])
    }

    /// The domain refused the command for this reason.
    ///
    /// # Panics
    /// Where it did not, and where the reason is no token `[a-z][a-z0-9_]{0,63}`.
    pub fn then_rejected(self, expected: &str) -> Evolved<D> {
        assert!(is_token(expected), "`{expected}` is no reason, it must be [a-z][a-z0-9_]{{0,63}}",);
        assert!(
            matches!(&self.decision, Err(Refusal::Rejected { reason, .. }) if reason == expected),
            "expected: rejected, {expected}\n but got: {}",
            tell(&self.decision),
        );
        self.evolved()
    }

    /// The command could not be understood because of this field.
    ///
    /// # Panics
    /// Where it could, or another field was at fault.
    pub fn then_invalid(self, expected: &str) -> Evolved<D> {
        assert!(
            matches!(&self.decision, Err(Refusal::Invalid { field, .. }) if field == expected),
            "expected: invalid, field `{expected}`\n but got: {}",
            tell(&self.decision),
        );
        self.evolved()
    }

    /// The words of the refusal, for tests of messages.
    ///
    /// # Panics
    /// Where the command was accepted.
    #[must_use]
    pub fn message(&self) -> &str {
        match &self.decision {
            Err(Refusal::Rejected { message, .. } | Refusal::Invalid { message, .. }) => message,
            Ok(events) => panic!("expected: a refusal\n but got: {}", show(events)),
        }
    }

    fn evolved(self) -> Evolved<D> {
        Evolved { aggregate: self.aggregate }
    }
}

/// The aggregate after the decision, for a look at what it became.
pub struct Evolved<D> {
    aggregate: Aggregate<D>,
}

impl<D: Domain> Evolved<D> {
    /// Hands the state to a closure of assertions.
    pub fn then_state(self, check: impl FnOnce(&D)) -> Self {
        check(self.aggregate.state());
        self
    }

    /// What a query shows now.
    ///
    /// # Panics
    /// Where the view is no JSON object.
    #[must_use]
    pub fn view(&self) -> Value {
        view(&self.aggregate)
    }
}

fn survives_a_snapshot<D: Domain>(aggregate: &Aggregate<D>, id: &str) {
    let snapshot = aggregate.snapshot();
    let restored = match Aggregate::<D>::restore(id, D::STATE_SCHEMA, &snapshot) {
        Ok(restored) => restored,
        Err(error) => panic!("the state's own snapshot cannot be restored: {error}"),
    };
    let (before, after) = (view(aggregate), view(&restored));
    assert!(
        before == after,
        "the view changes when the state goes through a snapshot:\n before: {before}\n  after: {after}",
    );
}

fn view<D: Domain>(aggregate: &Aggregate<D>) -> Value {
    match serde_json::from_slice(&aggregate.view()) {
        Ok(view @ Value::Object(_)) => view,
        other => panic!("a view must be a JSON object, not {other:?}"),
    }
}

fn named_value(event: &EncodedEvent) -> (&str, Value) {
    let payload = serde_json::from_slice(&event.payload).unwrap_or_default();
    (event.name, payload)
}

fn tell(decision: &Decision) -> String {
    match decision {
        Ok(events) => show(events),
        Err(Refusal::Rejected { reason, message }) => format!("rejected, {reason}: {message}"),
        Err(Refusal::Invalid { field, message }) => format!("invalid, field `{field}`: {message}"),
    }
}

fn is_token(reason: &str) -> bool {
    reason.len() <= 64
        && reason.starts_with(|first: char| first.is_ascii_lowercase())
        && reason.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
