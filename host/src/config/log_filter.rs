//! What is logged, as a setting: a level, or levels per module. The library takes a word that it does not
//! know for a module of which all is to be logged; here that is a typing error.

use tracing_subscriber::EnvFilter;

/// Longest filter in bytes.
const BYTES_MAX: usize = 1_024;
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

/// Checks a filter.
///
/// # Errors
/// In words what is wrong with it, and what it takes.
pub fn log_filter(text: &str) -> Result<String, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it has {} bytes, at most {BYTES_MAX} are taken", text.len()));
    }
    // What stands in brackets is of a span, and may have commas of its own.
    if !text.contains('[') {
        for part in text.split(',').map(str::trim) {
            let level = part.rsplit('=').next().unwrap_or_default();
            if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
                return Err(format!("`{level}` is no level: {TAKES}"));
            }
        }
    }
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(TAKES.into()),
    }
}

const TAKES: &str = "it takes trace, debug, info, warn or error, or a filter per module like `info,plugin=debug`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_words_and_filters_per_module_are_taken() {
        for filter in [
            "trace",
            "debug",
            "info",
            "warn",
            "error",
            "INFO",
            "off",
            "info,plugin=debug",
            "agent_service::shard=trace",
        ] {
            assert_eq!(log_filter(filter).as_deref(), Ok(filter));
        }
    }

    #[test]
    fn what_is_no_level_is_named() {
        for (filter, named) in [
            ("verbose", "`verbose`"),
            ("info,plugin=loud", "`loud`"),
            ("", "``"),
            ("info,", "``"),
            ("plugin", "`plugin`"),
        ] {
            let why = log_filter(filter).expect_err(filter);
            assert!(why.contains(named), "{why}");
        }
        assert!(log_filter(&"a=info,".repeat(200)).is_err());
    }
}
