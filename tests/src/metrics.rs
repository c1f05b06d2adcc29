//! A page of metrics, read as strictly as the text format 0.0.4 is written down: what a lenient
//! parser lets pass, another one may not. It must not know which metrics there are.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail, ensure};

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// A page that is well formed.
#[derive(Debug, Default)]
pub struct Metrics {
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

/// One line that is no comment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Metrics {
    /// Reads a page.
    pub fn parse(text: &str) -> Result<Self> {
        ensure!(text.ends_with('\n'), "the last line is not ended");
        let mut page = Self::default();
        let mut family = String::new();
        let (mut helped, mut seen) = (String::new(), HashSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, _) = help.split_once(' ').with_context(|| format!("no help: {line}"))?;
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').with_context(|| format!("no type: {line}"))?;
                ensure!(helped == name, "{name} has no help before its type");
                ensure!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                ensure!(kind != "counter" || name.ends_with("_total"), "a counter's name ends with _total: {name}");
                ensure!(page.kinds.insert(name.into(), kind.into()).is_none(), "{name} comes twice");
                family = name.to_owned();
            } else {
                let sample = sample(line).with_context(|| line.to_owned())?;
                let suffix = sample.name.strip_prefix(&family).with_context(|| format!("not of {family}: {line}"))?;
                let suffixes: &[&str] = match page.kinds.get(&family).map(String::as_str) {
                    Some("histogram") => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                ensure!(suffixes.contains(&suffix), "not of {family}: {line}");
                ensure!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
                page.samples.push(sample);
            }
        }
        page.check_histograms()?;
        Ok(page)
    }

    /// The names of the families that have a sample.
    pub fn names(&self) -> HashSet<&str> {
        let has_sample = |name: &&str| self.samples.iter().any(|sample| sample.name.starts_with(*name));
        self.kinds.keys().map(String::as_str).filter(has_sample).collect()
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The one sample of that name whose labels are these and no others.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.samples.iter().find(|sample| sample.name == name && sample.labels == labels).map(|sample| sample.value)
    }

    /// All samples of that name added up.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
    }

    fn check_histograms(&self) -> Result<()> {
        for name in self.kinds.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for sample in self.samples.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
                let mut labels = sample.labels.clone();
                let bound = labels.remove("le").with_context(|| format!("a bucket of {name} without le"))?;
                buckets.entry(labels).or_default().push((number(&bound)?, sample.value));
            }
            for (labels, buckets) in buckets {
                let rises = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
                ensure!(rises, "buckets of {name} {labels:?}: {buckets:?}");
                let of = |suffix: &str| {
                    let name = format!("{name}_{suffix}");
                    self.samples.iter().find(|s| s.name == name && s.labels == labels).map(|sample| sample.value)
                };
                ensure!(of("sum").is_some(), "no sum of {name} {labels:?}");
                let (last, all) = buckets.last().context("no bucket")?;
                ensure!(last.is_infinite() && of("count") == Some(*all), "count of {name} {labels:?}: {buckets:?}");
            }
        }
        Ok(())
    }
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    let is_name = |name: &str, others: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    ensure!(is_name(name, "_:"), "no name");
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, value) = rest.split_once("=\"").context("no label")?;
            ensure!(is_name(label, "_"), "no label's name: {label}");
            let (value, after) = quoted(value)?;
            ensure!(labels.insert(label.to_owned(), value).is_none(), "{label} comes twice");
            match after.split_at_checked(1) {
                Some((",", more)) => rest = more,
                Some(("}", more)) => {
                    rest = more;
                    break;
                }
                _ => bail!("labels do not end"),
            }
        }
    }
    let value = rest.strip_prefix(' ').context("no value")?;
    Ok(Sample { name: name.to_owned(), labels, value: number(value)? })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match rest.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                _ => bail!("a lone backslash"),
            },
            c => value.push(c),
        }
    }
    bail!("a label's value does not end")
}

fn number(text: &str) -> Result<f64> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        text => {
            let plain = text.chars().all(|c| c.is_ascii_digit() || "+-.e".contains(c));
            ensure!(plain, "no number: {text}");
            text.parse().with_context(|| format!("no number: {text}"))
        }
    }
}
