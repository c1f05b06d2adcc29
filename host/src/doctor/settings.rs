//! `settings`: what no single value shows. Values that cannot be read have ended the program before.

use super::facts::Site;
use super::finding::Seen;

pub(super) fn settings(site: &Site<'_>) -> Vec<Seen> {
    let remedy = "change one of them";
    let mut seen: Vec<Seen> = [site.connection.check(), site.service.check()]
        .into_iter()
        .filter_map(|checked| Some(Seen::failure(checked.err()?.to_string(), remedy)))
        .collect();
    if seen.is_empty() {
        seen.push(Seen::ok("they can be read and go together"));
    }
    seen
}
