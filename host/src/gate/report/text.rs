//! A report as people read it, and an aggregate that differs.

use std::fmt;

use super::{Difference, Report};

impl fmt::Display for Report {
    /// The whole report, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "domain     {}", self.domain)?;
        writeln!(f, "candidate  {}", self.candidate)?;
        match &self.live {
            Some(live) => writeln!(f, "live       {live}")?,
            None => writeln!(f, "live       none: what is recorded was evolved, and held against nothing")?,
        }
        let compared = &self.compared;
        writeln!(
            f,
            "compared   {} aggregates, {} events, {} views, {} own snapshots read back, {} of the live code read and {} declined, in {} ms",
            compared.aggregates,
            compared.events,
            compared.views,
            compared.own_snapshots,
            compared.live_snapshots,
            compared.declined_snapshots,
            self.took_ms
        )?;
        match compared.commands {
            0 => writeln!(f, "commands   none decided again: the stream keeps none that bear an id")?,
            some => writeln!(f, "commands   {some} decided again, {} otherwise", self.deciding_otherwise)?,
        }
        for what in &self.not_compared {
            writeln!(f, "not        {what}")?;
        }
        writeln!(f, "verdict    {}", self.verdict.as_str())?;
        for failing in &self.failures {
            writeln!(
                f,
                "\n  {} fails at version {} (event `{}`, sequence {})\n    {}",
                failing.aggregate, failing.version, failing.event, failing.sequence, failing.why
            )?;
        }
        rest(f, self.failing, self.failures.len(), "fail")?;
        for difference in &self.differences {
            write!(f, "{difference}")?;
        }
        rest(f, self.differing, self.differences.len(), "differ")?;
        for decision in &self.decisions {
            write!(f, "{decision}")?;
        }
        rest(f, self.deciding_otherwise, self.decisions.len(), "have commands that are decided otherwise")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aggregate, version, event, sequence, of, places, .. } = self;
        match *of {
            "decision" => writeln!(
                f,
                "\n  {aggregate} decides otherwise on `{event}` at version {version} (sequence {sequence}):"
            )?,
            of => {
                writeln!(f, "\n  {aggregate} parts at version {version} (event `{event}`, sequence {sequence}), {of}:")?
            }
        }
        for place in places {
            let path = if place.path.is_empty() { "/" } else { &place.path };
            writeln!(f, "    {path}")?;
            let sides = [("-", &place.live), ("+", &place.candidate)];
            for (sign, value) in sides.into_iter().filter_map(|(sign, value)| Some((sign, value.as_ref()?))) {
                writeln!(f, "    {sign} {value}")?;
            }
        }
        Ok(())
    }
}

fn rest(f: &mut fmt::Formatter<'_>, all: usize, shown: usize, what: &str) -> fmt::Result {
    match all.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(f, "\n  and {more} more aggregates {what}"),
    }
}
