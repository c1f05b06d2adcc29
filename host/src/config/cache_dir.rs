//! Where a cache belongs if no setting says so: the service manager's word before the user's.
//! Looks at names in the environment, not at directories.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::name::SERVICE;

/// The directory; `None` where the environment has none.
pub(super) fn by_default(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The freedesktop.org specification has relative paths ignored, and so are empty ones.
    let directory = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    // systemd's directory may be a link to one of the service's own, or the first of several,
    // and it is the manager's to set the rights of. One within it is the service's.
    let of_systemd = variable("CACHE_DIRECTORY")
        .and_then(|list| std::env::split_paths(&list).next())
        .and_then(|first| directory(first.into_os_string()))
        .map(|path| path.join("plugins"));
    of_systemd
        .or_else(|| Some(variable("XDG_CACHE_HOME").and_then(directory)?.join(SERVICE)))
        .or_else(|| Some(variable("HOME").and_then(directory)?.join(".cache").join(SERVICE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_default(environment: &[(&str, &str)], expected: Option<&str>) {
        let found = by_default(|name| {
            let (_, value) = environment.iter().find(|(key, _)| *key == name)?;
            Some((*value).into())
        });
        assert_eq!(found, expected.map(PathBuf::from), "{environment:?}");
    }

    #[test]
    fn the_service_manager_comes_before_the_user() {
        let (systemd, xdg, home) = (("CACHE_DIRECTORY", "/var/cache/s"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/home/a"));
        assert_default(&[home, xdg, systemd], Some("/var/cache/s/plugins"));
        assert_default(&[home, xdg], Some("/x/agent-service"));
        assert_default(&[home], Some("/home/a/.cache/agent-service"));
        assert_default(&[], None);
        assert_default(&[("CACHE_DIRECTORY", "/var/cache/s:/var/cache/t")], Some("/var/cache/s/plugins"));
    }

    #[test]
    fn empty_and_relative_paths_are_passed_over() {
        let home = ("HOME", "/home/a");
        for passed_over in ["", "cache", "./cache"] {
            let expected = Some("/home/a/.cache/agent-service");
            assert_default(&[("CACHE_DIRECTORY", passed_over), ("XDG_CACHE_HOME", passed_over), home], expected);
            assert_default(&[("HOME", passed_over)], None);
        }
    }
}
