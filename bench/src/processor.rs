//! How much processor time a process has used, as Linux tells it. It must not know which
//! process that is.

use std::time::Duration;

/// The kernel's clock for such figures ticks this often per second, on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Time of all threads of a process so far; `None` where the system does not tell.
pub(crate) fn time_of(process: u32) -> Option<Duration> {
    parse(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The 14th and 15th field; the second is a name in parentheses that may hold anything.
fn parse(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_millis(ticks * (1_000 / TICKS_PER_SECOND)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 9 9 20 0 1 0 300";
        assert_eq!(parse(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse("nonsense"), None);
    }
}
