//! `disk`, `memory`, `open_files`: what this machine has left for a host. The store of the NATS
//! server lies elsewhere.

use std::io;
use std::path::Path;

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
    vec![match memory_limit() {
        Some((limit, whose)) => held_against(capacity, domains, limit, whose),
        None => Seen::skipped("this system does not tell how much memory there is"),
    }]
}

fn held_against(capacity: u64, domains: u64, limit: u64, whose: &str) -> Seen {
    let needed = IDLE_BYTES + domains * capacity * AGGREGATE_BYTES;
    let text = format!(
        "live aggregates, CACHE_CAPACITY={capacity} in each of {domains} domains, take about {} with small states; {whose} {}",
        bytes(needed),
        bytes(limit)
    );
    // Beside what is live there are requests, gates and reads.
    if needed > limit / 5 * 4 {
        Seen::warning(text, "lower CACHE_CAPACITY, or raise the limit")
    } else {
        Seen::ok(text)
    }
}

/// How much there is, and by what. The limit of a service's own unit shows only within it.
fn memory_limit() -> Option<(u64, &'static str)> {
    let group = std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|own| {
        group_limit(Path::new("/sys/fs/cgroup"), own.lines().find_map(|line| line.strip_prefix("0::/"))?)
    });
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

/// The least limit of the control group of this path below the root and of those around it.
fn group_limit(root: &Path, path: &str) -> Option<u64> {
    let own = root.join(path);
    let limits = own
        .ancestors()
        .take_while(|group| group.starts_with(root))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::doctor::Grade;

    fn grade(capacity: u64, domains: u64, limit: u64) -> Grade {
        held_against(capacity, domains, limit, "this machine has").by("memory").grade
    }

    #[test]
    fn a_host_and_its_live_aggregates_may_take_four_fifths_of_the_memory() {
        // 60 MB, and 4 KB for each of 10,000 aggregates: 100 MB, which are four fifths of 125 MB.
        assert_eq!(grade(10_000, 1, 125_000_000), Grade::Ok);
        assert_eq!(grade(10_001, 1, 125_000_000), Grade::Warning);
        assert_eq!(grade(5_000, 2, 125_000_000), Grade::Ok);
        assert_eq!(grade(10_000, 2, 125_000_000), Grade::Warning);
        assert_eq!(grade(0, 1, 70_000_000), Grade::Warning, "it is too little for a host that does nothing");
    }

    #[test]
    fn the_least_limit_of_the_groups_around_it_holds() {
        let root = TempDir::new().expect("a directory");
        let own = root.path().join("system.slice/agent-service.service");
        fs::create_dir_all(&own).expect("directories");
        let limit = || group_limit(root.path(), "system.slice/agent-service.service");
        assert_eq!(limit(), None, "the root of all groups has no limit");
        let set = |group: &Path, text: &str| fs::write(group.join("memory.max"), text).expect("written");
        set(&own, "max\n");
        assert_eq!(limit(), None);
        set(own.parent().expect("a slice"), "1073741824\n");
        assert_eq!(limit(), Some(1 << 30));
        set(&own, "2147483648\n");
        assert_eq!(limit(), Some(1 << 30));
        set(&own, "536870912\n");
        assert_eq!(limit(), Some(512 << 20));
        assert_eq!(group_limit(root.path(), ""), None, "another group's");
    }
}
