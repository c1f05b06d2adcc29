//! Prometheus' text format 0.0.4: how metrics are written for who scrapes them. Knows nothing of
//! what they mean.

use std::fmt::{Display, Write};

use super::Reading;

/// The format's content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of samples is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// A label's name and value.
pub type Label<'a> = (&'a str, &'a str);

/// A page of metrics.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family: all samples up to the next one are of it.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.family = name;
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// What a histogram has observed, in `units` per one of what the metric's name says.
    pub fn histogram(&mut self, labels: &[Label<'_>], reading: &Reading, units: f64) {
        for (place, up_to) in reading.up_to.iter().enumerate() {
            let bound = reading
                .bounds
                .get(place)
                .map_or_else(|| "+Inf".to_owned(), |bound| (*bound as f64 / units).to_string());
            self.line("_bucket", labels, Some(("le", &bound)), up_to);
        }
        self.line("_sum", labels, None, reading.sum as f64 / units);
        self.line("_count", labels, None, reading.count());
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], last: Option<Label<'_>>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        let mut before = '{';
        for (name, value) in labels.iter().chain(&last) {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{before}{name}=\"{value}\"");
            before = ',';
        }
        let end = if before == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;

    #[test]
    fn a_page_is_written_as_the_format_asks() {
        let mut page = Page::default();
        page.family("up", Kind::Gauge, "Whether\nit \\ is");
        page.sample(&[], 1);
        page.family("said_total", Kind::Counter, "Words");
        page.sample(&[("by", "a \"b\"\\\nc"), ("to", "")], 7);
        page.family("took_seconds", Kind::Histogram, "Time");
        let took = Histogram::new(&[50_000, 1_000_000_000]);
        took.observe(50_000);
        took.observe(2_000_000_000);
        page.histogram(&[("of", "x")], &Reading::of([&took]), 1e9);

        let expected = r#"# HELP up Whether\nit \\ is
# TYPE up gauge
up 1
# HELP said_total Words
# TYPE said_total counter
said_total{by="a \"b\"\\\nc",to=""} 7
# HELP took_seconds Time
# TYPE took_seconds histogram
took_seconds_bucket{of="x",le="0.00005"} 1
took_seconds_bucket{of="x",le="1"} 1
took_seconds_bucket{of="x",le="+Inf"} 2
took_seconds_sum{of="x"} 2.00005
took_seconds_count{of="x"} 2
"#;
        assert_eq!(page.into_text(), expected);
    }
}
