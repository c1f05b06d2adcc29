//! A snapshot as something that the events must lead to: which event, and what is to be seen then.
//! Knows nothing of the events themselves.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Finding, Kind};
use crate::activation::Reading;
use crate::copy::Copy;
use crate::domain::PluginError;
use crate::instances::Instances;
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::{Extent, Found};

/// What a snapshot says.
pub(super) struct Expected {
    pub(super) version: u64,
    pub(super) sequence: u64,
    pub(super) event_id: Uuid,
    /// `None` where hosts would not believe its state: they replay instead.
    pub(super) view: Option<ViewDigest>,
}

/// A view without its layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ViewDigest([u8; 32]);

impl ViewDigest {
    pub(super) fn of(view: &[u8]) -> Self {
        let mut hash = Sha256::new();
        // An instance gives no view that is not JSON.
        add(&serde_json::from_slice(view).unwrap_or_default(), &mut hash);
        Self(hash.finalize().into())
    }
}

/// Objects by their keys, whatever the order in which they came.
fn add(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            hash.update(b"{");
            for (key, value) in sorted {
                hash.update(Value::from(key.as_str()).to_string());
                add(value, hash);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| add(item, hash));
            hash.update(b"]");
        }
        // The comma keeps apart what stands side by side.
        other => hash.update(format!("{other},")),
    }
}

/// What was found in the place of an aggregate's snapshot.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) expected: Option<Expected>,
    /// The aggregate that it gives, where hosts would go on from it.
    pub(super) copy: Option<Copy>,
    pub(super) finding: Option<Finding>,
    /// The instance was lost meanwhile, through whatever aggregate.
    pub(super) lost: bool,
}

impl Loaded {
    pub(super) fn of(found: Found, instances: &Instances, id: &AggregateId) -> Self {
        let snapshot = match found {
            Found::Nothing => return Self::default(),
            Found::Damaged { damage, .. } => {
                let finding = finding(Kind::SnapshotDamaged, id, 0, 0, damage.to_string());
                return Self { finding: Some(finding), ..Self::default() };
            }
            Found::Snapshot { snapshot, .. } => snapshot,
        };
        let reading = instances.activation().reading_of(&snapshot);
        let mut loaded = Self { expected: Some(Expected::of(&snapshot)), ..Self::default() };
        if reading == Reading::Never {
            return loaded;
        }
        let differs =
            |why: String| Some(finding(Kind::SnapshotDiffers, id, snapshot.version, snapshot.last_sequence, why));
        match Copy::restore(instances, id, snapshot.state_schema, &snapshot.state) {
            Ok(Ok(copy)) => match copy.view() {
                Ok(view) => {
                    loaded.expected = Some(Expected { view: Some(ViewDigest::of(&view)), ..Expected::of(&snapshot) });
                    loaded.copy = Some(copy);
                }
                Err(PluginError::InstanceLost) => loaded.lost = true,
                Err(error) => loaded.finding = differs(format!("its state cannot be shown: {error}")),
            },
            // Another schema may be declined: hosts replay.
            Ok(Err(_)) if reading == Reading::Offer => {}
            Ok(Err(refusal)) => loaded.finding = differs(format!("the code declines its own snapshot: {refusal}")),
            Err(PluginError::InstanceLost) => loaded.lost = true,
            Err(error) => loaded.finding = differs(format!("the code fails to read it: {error}")),
        }
        loaded
    }

    /// What is wrong with it where the log has no event of the aggregate.
    pub(super) fn alone(self, id: &AggregateId, extent: Extent) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.finding.into_iter().collect();
        let Some(expected) = self.expected else { return findings };
        let (version, sequence) = (expected.version, expected.sequence);
        // Ageing takes whole beginnings, so what is left begins after it.
        let aged = extent.age_max.is_some() && sequence < extent.first_sequence && sequence <= extent.last_sequence;
        if !aged {
            let why = format!("it stands for version {version}, and the log has no event of the aggregate");
            findings.push(finding(Kind::SnapshotContradicts, id, version, sequence, why));
        } else if expected.view.is_none() && findings.is_empty() {
            let why = "all its events have aged, and the code does not read its snapshot".to_owned();
            findings.push(finding(Kind::Uncovered, id, version, sequence, why));
        }
        findings
    }
}

impl Expected {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            version: snapshot.version,
            sequence: snapshot.last_sequence,
            event_id: snapshot.last_event_id,
            view: None,
        }
    }
}

pub(super) fn finding(kind: Kind, aggregate: &AggregateId, version: u64, sequence: u64, why: String) -> Finding {
    Finding { kind, aggregate: aggregate.clone(), version, sequence, why }
}
