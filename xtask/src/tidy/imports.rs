//! Which paths under `crate::` a Rust text names, groups taken apart. It must not know
//! which of them are welcome.

use std::str::Chars;

/// A path such as `store::jetstream::JetStreamStore`, in segments, and its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) line: usize,
    pub(super) path: Vec<String>,
}

/// All paths that begin with `crate::`, in comments too if they are not on lines of their
/// own. What stands after the first `#[cfg(test)]` is left out: tests may import more.
pub(super) fn of(text: &str) -> Vec<Import> {
    const HEAD: &str = "crate::";
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut imports = Vec::new();
    for (start, _) in text.match_indices(HEAD) {
        let before = &text[..start];
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        let in_comment = last_line.trim_start().starts_with("//");
        if in_comment || before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = before.matches('\n').count() + 1;
        let mut paths = Vec::new();
        tree(&mut text[start + HEAD.len()..].chars(), &[], &mut paths);
        imports.extend(paths.into_iter().map(|path| Import { line, path }));
    }
    imports
}

/// Reads `a::b`, `a::{b, c::d}` or `a::*` and adds each path it stands for. Stops at the
/// first character that belongs to none of them, which is consumed.
fn tree(characters: &mut Chars<'_>, prefix: &[String], paths: &mut Vec<Vec<String>>) -> Option<char> {
    let mut path = prefix.to_vec();
    let mut segment = String::new();
    loop {
        match characters.next() {
            Some(c) if c.is_alphanumeric() || c == '_' || c == '*' => segment.push(c),
            Some(':') if characters.as_str().starts_with(':') => {
                characters.next();
                path.push(std::mem::take(&mut segment));
            }
            Some('{') => {
                while tree(characters, &path, paths) == Some(',') {}
                return skip_to_delimiter(characters);
            }
            Some(c) if c.is_whitespace() && segment.is_empty() => {}
            other => {
                if !segment.is_empty() {
                    path.push(segment);
                    paths.push(path);
                }
                // `a as b` and the like: the name was read, the rest is nobody's.
                return if other.is_some_and(char::is_whitespace) { skip_to_delimiter(characters) } else { other };
            }
        }
    }
}

fn skip_to_delimiter(characters: &mut Chars<'_>) -> Option<char> {
    characters.find(|c| [',', '}', ';'].contains(c))
}

#[cfg(test)]
mod tests {
    use super::of;

    fn paths(text: &str) -> Vec<String> {
        of(text).into_iter().map(|import| import.path.join("::")).collect()
    }

    #[test]
    fn plain_paths_are_read() {
        assert_eq!(paths("use crate::name::Subject;"), ["name::Subject"]);
        assert_eq!(paths("let x = crate::clock::now();"), ["clock::now"]);
        assert_eq!(paths("pub(crate) fn f() {}"), [""; 0]);
        assert_eq!(paths("$crate::name::x"), [""; 0]);
    }

    #[test]
    fn groups_are_taken_apart() {
        let text =
            "use crate::{\n    name::{Id, Subject as S},\n    store::jetstream::*,\n    clock,\n};\nuse crate::bus;";
        assert_eq!(paths(text), ["name::Id", "name::Subject", "store::jetstream::*", "clock", "bus"]);
        assert_eq!(of(text).last().unwrap().line, 6);
    }

    #[test]
    fn comments_and_tests_are_left_out() {
        let text = "// crate::bus\n/// [`crate::bus`]\n#[cfg(test)]\nmod tests { use crate::bus; }";
        assert_eq!(paths(text), [""; 0]);
    }
}
