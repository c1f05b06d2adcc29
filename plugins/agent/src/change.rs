//! What of a wish would change anything: the part that goes into the event.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Identified, Object};

/// Of the items given, those that do not stand yet with the identical value. Of several with
/// one id the last counts, as it would if they came one after another.
pub(crate) fn additions<T>(given: Vec<T>, standing: &BTreeMap<String, T>) -> Vec<T>
where
    T: Identified + PartialEq,
{
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<T> = Vec::with_capacity(given.len());
    for item in given.into_iter().rev() {
        if seen.insert(item.id().to_owned()) && standing.get(item.id()) != Some(&item) {
            wanted.push(item);
        }
    }
    wanted.reverse();
    wanted
}

/// Of the ids given, those that stand, each once.
pub(crate) fn removals<T>(given: Vec<String>, standing: &BTreeMap<String, T>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    given.into_iter().filter(|id| standing.contains_key(id) && seen.insert(id.clone())).collect()
}

/// Of the settings given, those that differ from what stands; `null` removes a setting and is
/// no difference where there is none.
pub(crate) fn settings(mut given: Object, standing: &Object) -> Object {
    given.retain(|key, value| match standing.get(key) {
        Some(stands) => stands != value,
        None => !value.is_null(),
    });
    given
}
