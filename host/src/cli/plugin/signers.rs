//! The signers of a plugin, for people and for programs. Knows nothing of what follows from
//! them.

use serde_json::{Value, json};

use crate::cli::output::{BAD, GOOD, NAME};
use crate::signature::{Signed, TrustedKeys};

/// A JSON object for each; `trusted` is null where no key is.
pub(super) fn documents(signed: &Signed<'_>, keys: &TrustedKeys) -> Vec<Value> {
    let document = |signature: &crate::signature::Signature<'_>| {
        let trusted = (!keys.is_empty()).then(|| keys.contains(signature.signer));
        json!({ "key": signature.signer, "holds": signature.holds, "trusted": trusted })
    };
    signed.signatures.iter().map(document).collect()
}

/// A line for each.
pub(super) fn lines(signed: &Signed<'_>, keys: &TrustedKeys) -> Vec<String> {
    let line = |signature: &crate::signature::Signature<'_>| {
        let (style, holds) = if signature.holds { (GOOD, "holds") } else { (BAD, "does not hold") };
        let trusted = match keys.contains(signature.signer) {
            _ if keys.is_empty() => "",
            true => ", trusted",
            false => ", not trusted",
        };
        format!("{NAME}{}{NAME:#}  {style}{holds}{style:#}{trusted}", signature.signer)
    };
    signed.signatures.iter().map(line).collect()
}
