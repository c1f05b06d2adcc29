//! `disk`, `memory`, `open_files`: what this machine has left for a host. The store of the NATS
//! server lies elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};
use rustix::process::{Resource, getrlimit};

use super::facts::{Site, bytes};
use super::finding::Seen;

/// Room for a plugin of the largest size with its machine code, several times over.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// Memory of a host that does nothing, and of a live aggregate of some hundred bytes of state, by
/// docs/performance.md.
const IDLE_BYTES: u64 = 60_000_000;
const AGGREGATE_BYTES: u64 = 4_000;
/// Connections of all shards of a few domains, plugin files, pages that are read.
const OPEN_FILES_MIN: u64 = 256;

pub(super) fn disk(site: &Site<'_>) -> Vec<Seen> {
    let service = site.service;
    let places = [("PLUGIN_CACHE_DIR", service.plugin_cache_dir()), ("PLUGIN_DIR", Some(service.plugin_dir.clone()))];
    places.into_iter().filter_map(|(setting, place)| Some(free(&place?).about(setting))).collect()
}

fn free(place: &Path) -> Seen {
    // One that is yet to be made will lie where it is to lie.
    let absolute = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let Some(standing) = absolute.ancestors().find(|above| above.exists()) else {
        return Seen::skipped(format!("{} is not there", place.display()));
    };
    let about = match statvfs(standing) {
        Ok(about) => about,
        Err(error) => return Seen::skipped(format!("{} tells nothing of its disk: {error}", standing.display())),
    };
    let (left, shown) = (about.f_bavail.saturating_mul(about.f_frsize), standing.display());
    let no_files = about.f_files > 0 && about.f_favail == 0;
    match left {
        _ if no_files => Seen::warning(format!("the disk of {shown} takes no more files"), "remove some"),
        left if left < FREE_BYTES_MIN => {
            Seen::warning(format!("the disk of {shown} has {} left", bytes(left)), "make room")
        }
        left => Seen::ok(format!("the disk of {shown} has {} left", bytes(left))),
    }
}

pub(super) fn memory(site: &Site<'_>) -> Vec<Seen> {
    let domains = site.kept().map_or(1, |(_, kept)| kept.domains.len().max(1)) as u64;
    let capacity = u64::from(site.service.cache_capacity);
    let needed = IDLE_BYTES + domains * capacity * AGGREGATE_BYTES;
    let Some((limit, whose)) = memory_limit() else {
        return vec![Seen::skipped("this system does not tell how much memory there is")];
    };
    let text = format!(
        "live aggregates, CACHE_CAPACITY={capacity} in each of {domains} domains, take about {} with small states; {whose} {}",
        bytes(needed),
        bytes(limit)
    );
    // Beside what is live there are requests, gates and reads.
    vec![if needed > limit / 5 * 4 {
        Seen::warning(text, "lower CACHE_CAPACITY, or raise the limit")
    } else {
        Seen::ok(text)
    }]
}

/// How much there is, and by what. The limit of a service's own unit shows only within it.
fn memory_limit() -> Option<(u64, &'static str)> {
    let group = group_limit();
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
    });
    match (group, machine) {
        (Some(group), Some(machine)) if group < machine => Some((group, "this control group may have")),
        (_, Some(machine)) => Some((machine, "this machine has")),
        (group, None) => group.map(|group| (group, "this control group may have")),
    }
}

/// The least limit of the control groups around this process.
fn group_limit() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = PathBuf::from("/sys/fs/cgroup");
    let own = root.join(path);
    let limits = own
        .ancestors()
        .take_while(|group| group.starts_with(&root))
        .filter_map(|group| std::fs::read_to_string(group.join("memory.max")).ok()?.trim().parse::<u64>().ok());
    limits.min()
}

pub(super) fn open_files(_: &Site<'_>) -> Vec<Seen> {
    vec![match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES_MIN => Seen::warning(
            format!("a process may have {limit} files and connections open"),
            format!("raise the limit to {OPEN_FILES_MIN} at least: `LimitNOFILE=` in a unit, `ulimit -n` in a shell"),
        ),
        Some(limit) => Seen::ok(format!("a process may have {limit} files and connections open")),
        None => Seen::ok("a process may have any number of files and connections open"),
    }]
}

/// Whether this process may make something in a directory.
pub(super) fn writable(directory: &Path) -> io::Result<()> {
    Ok(accessat(CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}
