//! `clock`: how far this machine's clock and that of the server are apart. JetStream tells the time with
//! a stream's state; half the round trip is how far that can be wrong.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::facts::{Kept, Reached, Site, text};
use super::finding::Seen;
use crate::clock::{Clock, Timestamp};
use crate::store::jetstream::look;

/// Clocks that anything disciplines are within some hundredths of a second of one another. Events bear
/// the host's time, and their age goes by the server's.
const APART_MAX: Duration = Duration::from_secs(1);
/// From here on certificates, credentials and retention are judged differently by the two.
const FAR_APART: Duration = Duration::from_secs(60);

pub(super) fn clock<'a>(_: &'a Site<'a>, reached: &'a Reached, kept: &'a Kept) -> BoxFuture<'a, Vec<Seen>> {
    async move {
        let Some((name, _)) = kept.standing().next() else {
            return vec![Seen::skipped("JetStream tells the time with a stream, and there is none yet")];
        };
        let (asked, begun) = (Clock::System.now(), Instant::now());
        let info = look::stream(&reached.context, name).await;
        let round_trip = begun.elapsed();
        let told = info.ok().flatten().and_then(|info| Timestamp::from_rfc3339(text(&info, "/ts")));
        match told {
            Some(told) => vec![judge(asked, round_trip, told)],
            None => vec![Seen::skipped("the server does not tell its time")],
        }
    }
    .boxed()
}

fn judge(asked: Timestamp, round_trip: Duration, told: Timestamp) -> Seen {
    let middle = Timestamp(asked.0 + u64::try_from(round_trip.as_millis() / 2).unwrap_or_default());
    let apart = Duration::from_millis(middle.0.abs_diff(told.0));
    let certain = apart.saturating_sub(round_trip / 2);
    let way = if middle > told { "ahead of" } else { "behind" };
    let text = format!(
        "this machine's clock is {:.3} s {way} the server's, to within {:.3} s",
        apart.as_secs_f64(),
        (round_trip / 2).as_secs_f64().max(0.001)
    );
    const REMEDY: &str = "keep both clocks by NTP: events bear the host's time, and age by the server's";
    match certain {
        certain if certain > FAR_APART => Seen::failure(text, REMEDY),
        certain if certain > APART_MAX => Seen::warning(text, REMEDY),
        _ => Seen::ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn what_the_round_trip_explains_is_no_difference() {
        let grade =
            |round_trip, told| judge(Timestamp(100_000), Duration::from_millis(round_trip), Timestamp(told)).grade;
        assert_eq!(grade(2, 100_001), Grade::Ok);
        assert_eq!(grade(2, 101_900), Grade::Warning);
        assert_eq!(grade(2, 98_000), Grade::Warning);
        assert_eq!(grade(4_000, 100_100), Grade::Ok);
        assert_eq!(grade(2, 170_000), Grade::Failure);
    }
}
