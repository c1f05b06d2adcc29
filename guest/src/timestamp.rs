//! A moment, as milliseconds since 1970 and as RFC 3339 text. Has no clock.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC with a resolution of one millisecond, between the years 1970 and 9999.
/// Serialises as RFC 3339 text.
///
/// The conversion is the package's own: calendar libraries would add more to a component than
/// the rest of a small plugin together.
///
/// ```
/// use agent_guest::Timestamp;
///
/// let time = Timestamp::from_millis(1_795_469_648_123);
/// assert_eq!(time.to_string(), "2026-11-23T21:34:08.123Z");
/// assert_eq!("2026-11-23T22:34:08.123+01:00".parse(), Ok(time));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

const DAY_MILLIS: u64 = 86_400_000;

/// `9999-12-31T23:59:59.999Z`: RFC 3339 years have four digits.
const MAX_MILLIS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since the Unix epoch. Later than the year 9999 becomes its end.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > MAX_MILLIS { MAX_MILLIS } else { millis })
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The text, without allocating: it is written once or twice per command.
    fn text(self) -> [u8; 24] {
        let (year, month, day) = civil_from_days(self.0 / DAY_MILLIS);
        let millis = self.0 % DAY_MILLIS;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        write_digits(&mut text[11..13], millis / 3_600_000);
        write_digits(&mut text[14..16], millis / 60_000 % 60);
        write_digits(&mut text[17..19], millis / 1_000 % 60);
        write_digits(&mut text[20..23], millis % 1_000);
        text
    }
}

fn write_digits(into: &mut [u8], mut value: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Days since 1970-01-01 to year, month, day, by counting years that begin in March, so that
/// the leap day is a year's last (Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`], for years from 1970 on.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A text that is no RFC 3339 time between 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATimestamp;

impl fmt::Display for NotATimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time between 1970 and 9999, such as 2026-11-23T21:34:08.123Z")
    }
}

impl std::error::Error for NotATimestamp {}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads any RFC 3339 time; what is finer than a millisecond is cut off.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        parse(text.as_bytes()).ok_or(NotATimestamp)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date_time, mut rest) = text.split_at_checked(19)?;
    let separators = [date_time[4], date_time[7], date_time[13], date_time[16]];
    if separators != *b"--::" || !matches!(date_time[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month) = (digits(&date_time[0..4])?, digits(&date_time[5..7])?);
    let day = digits(&date_time[8..10])?;
    let (hour, minute) = (digits(&date_time[11..13])?, digits(&date_time[14..16])?);
    let second = digits(&date_time[17..19])?;
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let mut millis = days * DAY_MILLIS + hour * 3_600_000 + minute * 60_000 + second * 1_000;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        let (fraction, after) = fraction.split_at(length);
        for (digit, weight) in fraction.iter().zip([100, 10, 1]) {
            millis += u64::from(digit - b'0') * weight;
        }
        rest = after;
        if length == 0 {
            return None;
        }
    }
    let millis = match rest {
        b"Z" | b"z" => millis,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let offset = hours * 3_600_000 + minutes * 60_000;
            match sign {
                _ if hours > 23 || minutes > 59 => return None,
                b'+' => millis.checked_sub(offset)?,
                _ => millis + offset,
            }
        }
        _ => return None,
    };
    (millis <= MAX_MILLIS).then_some(Timestamp(millis))
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_read_and_write() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (MAX_MILLIS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(millis)));
        }
        assert_eq!(Timestamp::from_millis(u64::MAX).as_millis(), MAX_MILLIS);
    }

    #[test]
    fn every_day_survives_the_round_trip() {
        for day in 0..=MAX_MILLIS / DAY_MILLIS {
            let (year, month, day_of_month) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, day_of_month), day);
        }
    }

    #[test]
    fn other_forms_of_rfc_3339_read() {
        let time = Timestamp(1_795_469_648_120);
        for text in ["2026-11-23T21:34:08.12Z", "2026-11-23 21:34:08.120999z", "2026-11-23T19:04:08.12-02:30"] {
            assert_eq!(text.parse(), Ok(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-23",
            "2026-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T21:34:08",
            "2026-11-23T21:34:08.Z",
            "2026-11-23T21:34:08+1:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2026-11-23T21:34:08Z ",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
    }
}
