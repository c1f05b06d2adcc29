//! Times and shares on the command line. Knows nothing of what they are for.

use std::time::Duration;

use clap::Args;

/// Longest time that hosts may be waited for.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Longest time that a candidate may run beside the live code.
const SHADOW_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How long to wait for hosts.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Wait {
    /// How long to wait for hosts to go live: seconds, or a time like 2m
    #[arg(long = "wait", value_name = "TIME", default_value = "30s", value_parser = wait)]
    pub(super) limit: Duration,
}

fn wait(text: &str) -> Result<Duration, String> {
    span(text, WAIT_MAX).ok_or_else(|| "it takes seconds or a time like 2m, above 0 and at most an hour".into())
}

/// How long to compare.
pub(super) fn shadow_time(text: &str) -> Result<Duration, String> {
    span(text, SHADOW_MAX).ok_or_else(|| "it takes seconds or a time like 5m, above 0 and at most 7 days".into())
}

/// A share of all commands, from a percentage.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let percent: Option<f64> = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
    match percent {
        Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err("it takes a percentage above 0 and at most 100".into()),
    }
}

fn span(text: &str, max: Duration) -> Option<Duration> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = seconds.or_else(|| humantime::parse_duration(text).ok())?;
    (!time.is_zero() && time <= max).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_bounded() {
        assert_eq!(wait("90"), Ok(Duration::from_secs(90)));
        assert_eq!(shadow_time("2h"), Ok(Duration::from_secs(7_200)));
        for bad in ["0", "-1", "2h", "soon", "NaN"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
        assert!(shadow_time("8d").is_err());
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!((share("25"), share("12.5%"), share("100 %")), (Ok(0.25), Ok(0.125), Ok(1.0)));
        for bad in ["0", "-1", "100.1", "half", "NaN", "inf"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
