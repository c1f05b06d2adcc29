//! `certificates`: the TLS files can be read, are a pair, and hold for a while.

use std::time::Duration;

use super::facts::Site;
use super::finding::Seen;
use crate::clock::{Clock, Timestamp};
use crate::nats::{self, Certificate};

/// How long before the end it is time to renew: what is renewed by hand takes days.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 3_600);
const REMEDY: &str = "put a new one in its place and restart the service";

pub(super) fn certificates(site: &Site<'_>) -> Vec<Seen> {
    match nats::certificates(site.connection) {
        Ok(found) if found.is_empty() => {
            vec![Seen::skipped("NATS_TLS_CA and NATS_TLS_CERT are not set")]
        }
        Ok(found) => found.iter().map(judge).collect(),
        Err(error) => vec![Seen::failure(error.to_string(), "give it the right file")],
    }
}

fn judge(certificate: &Certificate) -> Seen {
    let whose = format!("the certificate of {}", certificate.subject);
    let seen = if certificate.from > Clock::System.now() {
        let from = certificate.from.to_rfc3339();
        Seen::failure(format!("{whose} is not valid before {from}"), "set this machine's clock right, or take another")
    } else {
        until(&whose, certificate.until, REMEDY)
    };
    seen.about(certificate.setting)
}

/// Judges something that ends.
pub(super) fn until(what: &str, end: Timestamp, remedy: &str) -> Seen {
    let left = end.0.checked_sub(Clock::System.now().0).map(Duration::from_millis);
    let at = end.to_rfc3339();
    match left {
        None => Seen::failure(format!("{what} ended at {at}"), remedy),
        Some(left) if left < RENEWAL => Seen::warning(format!("{what} ends at {at}"), remedy),
        Some(_) => Seen::ok(format!("{what} holds until {at}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn what_ends_is_told_thirty_days_before() {
        let grade = |days: i64| {
            let end = i64::try_from(Clock::System.now().0).expect("a time") + days * 24 * 3_600_000;
            until("it", Timestamp(u64::try_from(end).expect("a time")), "renew it").grade
        };
        assert_eq!(
            [grade(-1), grade(1), grade(29), grade(31)],
            [Grade::Failure, Grade::Warning, Grade::Warning, Grade::Ok]
        );
    }

    #[test]
    fn what_is_not_valid_yet_is_a_failure() {
        let (from, until) = (Timestamp(Clock::System.now().0 + 60_000), Timestamp(u64::MAX));
        let certificate = Certificate { setting: "NATS_TLS_CERT", subject: "CN=a".into(), from, until };
        assert_eq!(judge(&certificate).grade, Grade::Failure);
    }
}
