//! One figure, measured once in each round. It must not know how good it is.

use serde::Serialize;

use super::spread::Spread;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    PerSecond,
    Ratio,
    Bytes,
    Count,
}

/// The figures of all rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) unit: Unit,
    #[serde(flatten)]
    pub(crate) spread: Spread,
    /// One for each round.
    pub(crate) rounds: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(unit: Unit, rounds: impl IntoIterator<Item = f64>) -> Self {
        let rounds: Vec<f64> = rounds.into_iter().collect();
        Self { unit, spread: Spread::of(rounds.iter().copied()), rounds }
    }

    /// Measured once.
    pub(crate) fn once(unit: Unit, figure: f64) -> Self {
        Self::new(unit, [figure])
    }

    /// How often another figure of the same rounds goes into this: what disturbs a round disturbs
    /// both.
    pub(crate) fn to(&self, other: &Self) -> Self {
        let rounds = self.rounds.iter().zip(&other.rounds);
        Self::new(Unit::Ratio, rounds.map(|(own, other)| own / other.max(f64::MIN_POSITIVE)))
    }

    /// Median and spread for people.
    pub(crate) fn text(&self) -> String {
        let Spread { median, min, max } = self.spread;
        if self.rounds.len() < 2 {
            return self.unit.text(median);
        }
        format!("{} ({} – {})", self.unit.text(median), self.unit.text(min), self.unit.text(max))
    }
}

impl Unit {
    /// What stands behind a figure.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Microseconds => " µs",
            Self::Milliseconds => " ms",
            Self::PerSecond => "/s",
            Self::Bytes => " B",
            Self::Ratio | Self::Count => "",
        }
    }

    fn text(self, figure: f64) -> String {
        match self {
            Self::Ratio => format!("{figure:.2}"),
            Self::Microseconds | Self::Milliseconds if figure < 100.0 => format!("{figure:.2}"),
            _ => thousands(figure),
        }
    }
}

/// Rounded, with a comma between groups of three digits.
fn thousands(figure: f64) -> String {
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::new();
    if figure <= -0.5 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Figure, Unit, thousands};

    #[test]
    fn figures_are_readable() {
        for (figure, text) in
            [(7.4, "7"), (999.6, "1,000"), (12_345.0, "12,345"), (1_234_567.0, "1,234,567"), (-1_000.0, "-1,000")]
        {
            assert_eq!(thousands(figure), text);
        }
        assert_eq!(Figure::new(Unit::PerSecond, [1_234.5, 0.0, 9_999.0]).text(), "1,234 (0 – 9,999)");
        assert_eq!(Figure::once(Unit::Ratio, 1.0).text(), "1.00");
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let service = Figure::new(Unit::Microseconds, [110.0, 260.0]);
        let ratio = service.to(&Figure::new(Unit::Microseconds, [100.0, 200.0]));
        assert_eq!((ratio.spread.min, ratio.spread.max), (1.1, 1.3));
    }
}
