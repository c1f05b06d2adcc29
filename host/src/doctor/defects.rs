//! What is known of versions of nats-server that matters to the service, each with its source. Knows
//! nothing of connections.

use super::finding::{Grade, Seen};

/// Something that is wrong with some versions.
pub(super) struct Defect {
    has_it: fn(Version) -> bool,
    grade: Grade,
    what: &'static str,
    remedy: &'static str,
}

/// Major, minor, patch.
type Version = (u64, u64, u64);

/// By the makers' issues, and by what was measured against real servers.
const DEFECTS: &[Defect] = &[
    Defect {
        has_it: |version| version < (2, 12, 0),
        grade: Grade::Failure,
        what: "has no atomic batches, so that hosts do not start",
        remedy: "upgrade nats-server to 2.15 or later",
    },
    Defect {
        // nats-server#7391
        has_it: |version| version == (2, 12, 0),
        grade: Grade::Warning,
        what: "does not see duplicates within a batch (nats-server#7391)",
        remedy: "upgrade nats-server to 2.15 or later",
    },
    Defect {
        // nats-server#8376, mended by #8377 in 2.14.4 and 2.12.14
        has_it: |version| ((2, 12, 0)..(2, 12, 14)).contains(&version) || ((2, 13, 0)..(2, 14, 4)).contains(&version),
        grade: Grade::Warning,
        what: "mixes up the aggregates of a shared batch (nats-server#8376), so that hosts share none",
        remedy: "upgrade nats-server to 2.15 or later for commands of several events side by side",
    },
    Defect {
        // Measured: ARCHITECTURE.md, "The leader's version decides whether batches are shared".
        has_it: |version| ((2, 12, 0)..(2, 15, 0)).contains(&version),
        grade: Grade::Warning,
        what: "acknowledges a whole batch though the account's storage ended within it",
        remedy: "upgrade nats-server to 2.15 or later, and leave room in the account",
    },
];

/// What is known of a version.
pub(super) fn of(version: &str) -> Vec<&'static Defect> {
    match parse(version) {
        Some(version) => DEFECTS.iter().filter(|defect| (defect.has_it)(version)).collect(),
        None => Vec::new(),
    }
}

impl Defect {
    pub(super) fn seen(&self, whose: &str, version: &str) -> Seen {
        let text = format!("{whose} has version {version}, which {}", self.what);
        if self.grade == Grade::Failure { Seen::failure(text, self.remedy) } else { Seen::warning(text, self.remedy) }
    }
}

/// A version like `2.15.1` or `2.12.0-RC.1`; a candidate counts as what it is to become.
fn parse(version: &str) -> Option<Version> {
    let numbers = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next().unwrap_or(Ok(0)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grades(version: &str) -> Vec<Grade> {
        of(version).iter().map(|defect| defect.grade).collect()
    }

    #[test]
    fn versions_are_known_by_what_is_wrong_with_them() {
        use Grade::{Failure, Warning};
        assert_eq!(grades("2.11.11"), [Failure]);
        assert_eq!(grades("2.12.0"), [Warning, Warning, Warning]);
        assert_eq!(grades("2.12.13"), [Warning, Warning]);
        assert_eq!(grades("2.12.14"), [Warning]);
        assert_eq!(grades("2.14.3"), [Warning, Warning]);
        assert_eq!(grades("2.14.4"), [Warning]);
        for sound in ["2.15.0", "v2.15.1", "2.16.0-RC.1", "3.0.0"] {
            assert_eq!(grades(sound), [], "{sound}");
        }
    }
}
