//! Gates over a recorded log, and the code that they hold against each other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::activation::Activation;
use crate::domain::{Digest, Generation};
use crate::gate::{Budget, Gate, Report};
use crate::store::Unavailable;
use crate::testing::counter::Counter;
pub(super) use crate::testing::recorded::{Recorded, id};

/// Far longer than any gate of these tests takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Recorded {
    /// Holds a candidate against live code, with time and room enough.
    pub(super) fn gate(&self, candidate: Counter, live: Option<Counter>) -> Report {
        self.gate_with(candidate, live, |_| {}).expect("the log answers")
    }

    /// The same with other settings.
    pub(super) fn gate_with<'a>(
        &self,
        candidate: Counter,
        live: Option<Counter>,
        settings: impl FnOnce(&mut Gate<'a>),
    ) -> Result<Report, Unavailable> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut gate = Gate {
            candidate: Arc::new(candidate),
            candidate_reads: BTreeSet::new(),
            live: live.map(|live| Arc::new(Activation::new(Arc::new(live), 1, BTreeSet::new()))),
            events: Arc::new(self.events.clone()),
            snapshots: Arc::new(self.snapshots.clone()),
            recent: Vec::new(),
            budget: Budget { time: PATIENCE, aggregates: 1_000 },
            runtime: runtime.handle().clone(),
            progress: &|_| {},
        };
        settings(&mut gate);
        gate.run()
    }
}

/// Code that does the same as the first version.
pub(super) fn candidate() -> Counter {
    Counter::of_code("candidate", 1)
}

/// The same that has raised its state schema, and reads the older one.
pub(super) fn raised_candidate() -> Counter {
    Counter::of_code("candidate", 2).with(|quirks| quirks.other_schemas = true)
}

/// What code is live.
pub(super) fn live() -> Option<Counter> {
    Some(Counter::new())
}

/// The digest of the code that is live.
pub(super) fn live_digest() -> Digest {
    Counter::new().digest()
}
