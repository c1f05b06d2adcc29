//! What Linux tells of a process: processor time and resident memory. It must not know which
//! process that is.

use std::time::Duration;

/// The kernel's clock for such figures ticks this often per second, on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Time of all threads of a process so far; `None` where the system does not tell.
pub(crate) fn processor_time(process: u32) -> Option<Duration> {
    times_in(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Memory of a process that is resident, in bytes; `None` where the system does not tell.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    resident_in(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

/// The 14th and 15th field; the second is a name in parentheses that may hold anything.
fn times_in(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_millis(ticks * (1_000 / TICKS_PER_SECOND)))
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{resident_in, times_in};

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 9 9 20 0 1 0 300";
        assert_eq!(times_in(stat), Some(Duration::from_secs(2)));
        assert_eq!(times_in("nonsense"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(resident_in("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(resident_in("Name:\tx\n"), None);
    }
}
