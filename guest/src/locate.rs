//! From a position in a JSON text to the path of the field there. Runs only after a parser
//! has failed at that position, and knows nothing of what it expected.
//!
//! Reading the position off the error costs a plugin a kilobyte; decoding a second time with
//! a deserialiser that keeps track of its path would double the code of every payload type.

/// The path of the value that ends or begins where the first `read` bytes of `json` end,
/// `metadata.tags[2]`; empty for the whole. `json` must be valid up to there.
pub(crate) fn path_at(json: &[u8], read: usize) -> String {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut last = Last::Value;
    let mut rest = json.get(..read).unwrap_or(json);
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'{' => {
                frames.push(Frame::Object(&[]));
                last = Last::BetweenKeys;
            }
            b'[' => {
                frames.push(Frame::Array(0));
                last = Last::Value;
            }
            b'}' | b']' => {
                frames.pop();
                last = Last::Value;
            }
            b':' => last = Last::Value,
            b',' => match frames.last_mut() {
                Some(Frame::Array(index)) => *index += 1,
                _ => last = Last::BetweenKeys,
            },
            b'"' => {
                let (text, after) = string(rest);
                rest = after;
                if let (Last::BetweenKeys, Some(Frame::Object(key))) = (&last, frames.last_mut()) {
                    *key = text;
                }
            }
            _ => {}
        }
    }
    if last == Last::BetweenKeys {
        // No field of this object, so the object itself, by its place in the one around it.
        frames.pop();
    }
    path(&frames)
}

#[derive(PartialEq)]
enum Last {
    /// In or at a value.
    Value,
    /// In an object, where a key is or may come.
    BetweenKeys,
}

enum Frame<'a> {
    /// The key whose value is being read, as it is written.
    Object(&'a [u8]),
    /// The index of the item that is being read.
    Array(usize),
}

/// Splits after the string whose opening quote has been read.
fn string(text: &[u8]) -> (&[u8], &[u8]) {
    let mut index = 0;
    while let Some(byte) = text.get(index) {
        match byte {
            b'"' => return (&text[..index], &text[index + 1..]),
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    (text, &[])
}

fn path(frames: &[Frame<'_>]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(key));
            }
            Frame::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::path_at;

    /// The path at the mark `^` in a text.
    fn at(marked: &str) -> String {
        let read = marked.find('^').expect("a mark");
        path_at(marked.replace('^', "").as_bytes(), read)
    }

    #[test]
    fn a_value_is_found_before_and_after_it() {
        assert_eq!(at(r#"{"a":^1,"b":2}"#), "a");
        assert_eq!(at(r#"{"a":1^,"b":2}"#), "a");
        assert_eq!(at(r#"{"a":1,"b":^{"c":"x"}}"#), "b");
        assert_eq!(at(r#"{"a":1,"b":{"c":"x"^}}"#), "b.c");
        assert_eq!(at(r#"{"a":1,"b":{"c":"x"}^}"#), "b");
        assert_eq!(at(r#"{"a":1,"b":{"c":"x"}}^"#), "");
    }

    #[test]
    fn items_of_lists_are_counted() {
        assert_eq!(at(r#"{"a":[^1]}"#), "a[0]");
        assert_eq!(at(r#"{"a":[1,[2,3^]]}"#), "a[1][1]");
        assert_eq!(at(r#"{"a":[{"id":1},{"id":true^}]}"#), "a[1].id");
        assert_eq!(at(r#"{"a":[{"id":1},{}^]}"#), "a[1]");
        assert_eq!(at(r#"{"a":[1,2]^}"#), "a");
    }

    #[test]
    fn between_keys_the_object_is_at_fault() {
        assert_eq!(at(r#"{"a":{"b":1,"b"^:2}}"#), "a");
        assert_eq!(at(r#"{"a":{^"b":1}}"#), "a");
        assert_eq!(at(r#"{"a"^:1}"#), "");
    }

    #[test]
    fn what_stands_in_strings_does_not_count() {
        assert_eq!(at(r#"{"a{[\"":{"b":"}],\\", "c":1^}}"#), r#"a{[\".c"#);
    }
}
