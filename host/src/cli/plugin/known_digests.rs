//! A digest as people give it: whole, or as much of it as tells it from the others that hosts and
//! the fleet name. Knows nothing of where these come from.

use std::collections::BTreeSet;

use crate::cli::CliError;
use crate::domain::Digest;

/// Fewest digits of a shortened digest: fewer are as easily mistyped as meant.
const DIGITS_MIN: usize = 8;
/// Digests that are named where several fit.
const SHOWN_MAX: usize = 5;

/// The digest that `text` means.
pub(super) fn resolve(text: &str, known: &BTreeSet<Digest>) -> Result<Digest, CliError> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    let beginning = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let digits = beginning.len() >= DIGITS_MIN && beginning.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits {
        let shown = crate::name::printable(text);
        return Err(CliError::Invalid(format!(
            "`{shown}` is no digest: it takes 64 hexadecimal digits, or at least the first {DIGITS_MIN}"
        )));
    }
    let fitting: Vec<String> =
        known.iter().map(ToString::to_string).filter(|digest| digest.starts_with(&beginning)).collect();
    match &fitting[..] {
        [one] => one.parse().map_err(CliError::failed),
        [] => Err(CliError::Invalid(format!(
            "no component that hosts name or that is stored in NATS begins with {beginning}: `agent-service plugin list` shows them, or give the whole digest"
        ))),
        several => {
            let shown = several[..several.len().min(SHOWN_MAX)].join(", ");
            Err(CliError::Invalid(format!(
                "{} components begin with {beginning}, give more digits: {shown}",
                several.len()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_enough_where_it_is_unique() {
        let (a, b) = (Digest([0xab; 32]), Digest::of(b""));
        let mut similar = a;
        similar.0[31] = 0;
        let known = BTreeSet::from([a, b]);
        assert_eq!(resolve("abababab", &known).expect("unique"), a);
        assert_eq!(resolve("sha256:E3B0C442", &known).expect("unique"), b);
        assert_eq!(resolve(&similar.to_string(), &known).expect("whole"), similar);
        for (bad, why) in [("ababab", "64 hexadecimal"), ("agent.wasm", "64 hexadecimal"), ("12345678", "plugin list")]
        {
            let error = resolve(bad, &known).expect_err(bad).to_string();
            assert!(error.contains(why), "{error}");
        }
        let error = resolve("abababab", &BTreeSet::from([a, similar])).expect_err("two").to_string();
        assert!(error.contains("2 components") && error.contains(&a.to_string()), "{error}");
    }
}
