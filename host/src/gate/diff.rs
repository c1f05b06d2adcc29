//! What two JSON values differ in, by path. Knows nothing of what the values are.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Most places a report names; a state that is wholly different would fill pages.
const PLACES_MAX: usize = 20;
/// Longest value shown at a place, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The place, as a JSON pointer (RFC 6901); empty for the whole.
    pub path: String,
    /// What the live code has there, as JSON; `None` where it has nothing.
    pub live: Option<String>,
    /// What the candidate has there.
    pub candidate: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}: {} became {}", shown(&self.live), shown(&self.candidate))
    }
}

/// The places where `candidate` differs from `live`, at most so many; none where they are equal.
/// The order of an object's keys is no difference.
pub fn diff(live: &Value, candidate: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    compare(&mut String::new(), Some(live), Some(candidate), &mut places);
    places
}

fn compare(path: &mut String, live: Option<&Value>, candidate: Option<&Value>, places: &mut Vec<Place>) {
    if live == candidate || places.len() >= PLACES_MAX {
        return;
    }
    match (live, candidate) {
        (Some(Value::Object(live)), Some(Value::Object(candidate))) => {
            let added = candidate.keys().filter(|key| !live.contains_key(*key));
            for key in live.keys().chain(added) {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                below(path, &escaped, live.get(key), candidate.get(key), places);
            }
        }
        (Some(Value::Array(live)), Some(Value::Array(candidate))) => {
            for at in 0..live.len().max(candidate.len()) {
                below(path, &at.to_string(), live.get(at), candidate.get(at), places);
            }
        }
        (live, candidate) => {
            places.push(Place { path: path.clone(), live: live.map(cut), candidate: candidate.map(cut) })
        }
    }
}

fn below(path: &mut String, key: &str, live: Option<&Value>, candidate: Option<&Value>, places: &mut Vec<Place>) {
    let length = path.len();
    path.push('/');
    path.push_str(key);
    compare(path, live, candidate, places);
    path.truncate(length);
}

fn cut(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > VALUE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(live: &Value, candidate: &Value) -> Vec<String> {
        diff(live, candidate).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn places_are_named_by_their_path() {
        let live = json!({"count": 3, "tags": ["a", "b"], "a/b": {"x": 1}, "gone": null});
        let candidate = json!({"tags": ["a", "c", "d"], "count": 4, "a/b": {"x": 1, "y": {}}});
        assert_eq!(
            shown(&live, &candidate),
            [
                "/a~1b/y: nothing became {}",
                "/count: 3 became 4",
                "/gone: null became nothing",
                "/tags/1: \"b\" became \"c\"",
                "/tags/2: nothing became \"d\"",
            ]
        );
    }

    #[test]
    fn what_is_equal_has_no_difference() {
        assert_eq!(shown(&json!({"a": 1, "b": [2]}), &json!({"b": [2], "a": 1})), [""; 0]);
        assert_eq!(shown(&json!(1), &json!("1")), ["/: 1 became \"1\""]);
    }

    #[test]
    fn a_report_stays_short() {
        let many = |n: u64| Value::Array((0..1_000).map(|i| json!(i + n)).collect());
        assert_eq!(diff(&many(0), &many(1)).len(), PLACES_MAX);
        let long = shown(&json!("x".repeat(10_000)), &json!(1));
        assert!(long[0].len() < 2 * VALUE_BYTES_MAX, "{}", long[0].len());
    }
}
