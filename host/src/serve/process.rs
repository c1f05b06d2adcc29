//! What the system tells of this process, as Prometheus' own libraries name it. On a system without
//! `/proc` it tells nothing.

use crate::metrics::text::{Kind, Page};

/// Where the value of a name stands in `/proc/self/stat`, counted from the field after the process's
/// name, which is field 3 of proc(5).
const USER_TICKS: usize = 14 - 3;
const SYSTEM_TICKS: usize = 15 - 3;
const START_TICKS: usize = 22 - 3;
const RESIDENT_PAGES: usize = 24 - 3;

/// Writes what is known.
pub(super) fn write(page: &mut Page) {
    if let Some(usage) = Usage::read() {
        page.family("process_resident_memory_bytes", Kind::Gauge, "Memory of the process that is resident.");
        page.sample(&[], usage.resident_bytes);
        page.family("process_cpu_seconds_total", Kind::Counter, "Processor time that the process has used.");
        page.sample(&[], usage.cpu_seconds);
        page.family("process_start_time_seconds", Kind::Gauge, "When the process started, since the Unix epoch.");
        page.sample(&[], usage.start_seconds);
    }
    // The one that reads the directory is not counted.
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        page.family("process_open_fds", Kind::Gauge, "File descriptors that the process has open.");
        page.sample(&[], entries.count().saturating_sub(1));
    }
}

struct Usage {
    resident_bytes: u64,
    cpu_seconds: f64,
    start_seconds: f64,
}

impl Usage {
    fn read() -> Option<Self> {
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        Self::of(&own, &system, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64)
    }

    fn of(own: &str, system: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Self> {
        // The name is in parentheses and may hold anything.
        let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
        let boot: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(Self {
            resident_bytes: field(RESIDENT_PAGES)? * page_bytes,
            cpu_seconds: seconds(field(USER_TICKS)? + field(SYSTEM_TICKS)?),
            start_seconds: boot as f64 + seconds(field(START_TICKS)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_the_right_ones() {
        let own = "7 (a) b (c) S 1 7 7 0 -1 4194560 150 0 0 0 123 77 0 0 20 0 9 0 5000 99999 640 18446744073709551615";
        let usage = Usage::of(own, "cpu 1 2\nbtime 1000\n", 100, 4_096).expect("it can be read");
        assert_eq!((usage.resident_bytes, usage.cpu_seconds, usage.start_seconds), (640 * 4_096, 2.0, 1_050.0));
        assert!(Usage::of("7 (a) S 1", "btime 1000\n", 100, 4_096).is_none());
    }
}
