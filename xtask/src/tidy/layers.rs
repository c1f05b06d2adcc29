//! The layers of the host: a file imports only from layers above its own. It must not know
//! why a layer is where it is; the architecture says that.

use super::{Finding, SourceFile, imports};

struct Layer {
    name: &'static str,
    /// Module paths; what lies under them belongs to them. A `*` stands for any ending of
    /// a name.
    modules: &'static [&'static str],
    /// Whether these modules may import one another.
    siblings: Siblings,
}

#[derive(PartialEq, Eq)]
enum Siblings {
    Together,
    Apart,
}

use Siblings::{Apart, Together};

/// From the top down. `main.rs` and `lib.rs` compose and lie below all.
const LAYERS: &[Layer] = &[
    Layer {
        name: "words",
        modules: &["name", "message", "clock", "metrics", "trace", "signature", "config", "logging", "sabotage"],
        siblings: Together,
    },
    Layer { name: "what the host asks of a plugin", modules: &["domain"], siblings: Together },
    Layer {
        name: "what is stored and asked",
        modules: &["event", "request", "remembered", "snapshot"],
        siblings: Together,
    },
    Layer { name: "stores", modules: &["store"], siblings: Together },
    Layer { name: "live code", modules: &["activation", "instances", "copy", "witness"], siblings: Together },
    Layer { name: "what tests share", modules: &["testing"], siblings: Together },
    Layer { name: "live aggregates and the gate", modules: &["shard", "gate"], siblings: Apart },
    Layer { name: "verification", modules: &["verify"], siblings: Together },
    Layer { name: "the connection", modules: &["nats", "http::client"], siblings: Together },
    Layer {
        name: "adapters",
        modules: &["plugin", "store::jetstream*", "bus", "fleet", "inbox", "watch", "backup", "http", "admin", "otlp"],
        siblings: Apart,
    },
    Layer { name: "plugin files", modules: &["registry"], siblings: Together },
    Layer { name: "examination", modules: &["doctor"], siblings: Together },
    Layer { name: "the running service", modules: &["serve"], siblings: Together },
    Layer { name: "command line", modules: &["cli"], siblings: Together },
];

/// Files that compose.
const COMPOSERS: &[&str] = &["host/src/main.rs", "host/src/lib.rs"];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let module = match file.path.strip_prefix("host/src/").and_then(|path| path.strip_suffix(".rs")) {
        Some(module) if !COMPOSERS.contains(&file.path.as_str()) => module,
        _ => return Vec::new(),
    };
    let own: Vec<&str> = module.split('/').collect();
    if own.last() == Some(&"tests") {
        return Vec::new();
    }
    let Some(own_place) = place(&own) else {
        return vec![file.finding(1, "is in no layer: give its module a place in xtask/src/tidy/layers.rs")];
    };
    let mut findings = Vec::new();
    for import in imports::of(&file.text) {
        let path: Vec<&str> = import.path.iter().map(String::as_str).collect();
        let Some(place) = place(&path) else { continue };
        if let Some(reason) = own_place.may_not_import(&place) {
            let message = format!("imports `crate::{}`, but {reason}", path.join("::"));
            findings.push(file.finding(import.line, &message));
        }
    }
    findings
}

/// Where a module stands: the layer's number from above, and the entry within it.
struct Place {
    layer: usize,
    entry: usize,
}

impl Place {
    fn may_not_import(&self, other: &Place) -> Option<String> {
        let (own, theirs) = (&LAYERS[self.layer], &LAYERS[other.layer]);
        if other.layer > self.layer {
            return Some(format!("\"{}\" lies below \"{}\"", theirs.name, own.name));
        }
        let same_layer = other.layer == self.layer && other.entry != self.entry;
        (same_layer && own.siblings == Apart).then(|| format!("\"{}\" do not import one another", own.name))
    }
}

/// The place of the longest entry that fits.
fn place(path: &[&str]) -> Option<Place> {
    let mut best: Option<(usize, Place)> = None;
    for (layer, candidate) in LAYERS.iter().enumerate() {
        for (entry, module) in candidate.modules.iter().enumerate() {
            let length = module.split("::").count();
            let longer = best.as_ref().is_none_or(|(best_length, _)| length > *best_length);
            if longer && fits(path, module) {
                best = Some((length, Place { layer, entry }));
            }
        }
    }
    best.map(|(_, place)| place)
}

fn fits(path: &[&str], module: &str) -> bool {
    let segments: Vec<&str> = module.split("::").collect();
    path.len() >= segments.len()
        && segments.iter().zip(path).all(|(segment, part)| match segment.strip_suffix('*') {
            Some(beginning) => part.starts_with(beginning),
            None => segment == part,
        })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::SourceFile;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        check(&file).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn upwards_is_fine() {
        assert!(messages("host/src/shard.rs", "use crate::{store::EventStore, name::Id};").is_empty());
        assert!(messages("host/src/store/memory.rs", "use crate::store::EventStore;").is_empty());
        assert!(messages("host/src/store/jetstream/append.rs", "use crate::store::jetstream::x;").is_empty());
        assert!(messages("host/src/main.rs", "use crate::cli::run;").is_empty());
        assert!(messages("tests/src/lib.rs", "use crate::cli::run;").is_empty());
    }

    #[test]
    fn downwards_is_found() {
        assert_eq!(
            messages("host/src/store/memory.rs", "use crate::shard::Shard;"),
            ["imports `crate::shard::Shard`, but \"live aggregates and the gate\" lies below \"stores\""]
        );
        assert_eq!(messages("host/src/store.rs", "use crate::store::jetstream::X;").len(), 1);
    }

    #[test]
    fn adapters_stay_apart() {
        assert_eq!(
            messages("host/src/bus.rs", "use crate::plugin::Engine;"),
            ["imports `crate::plugin::Engine`, but \"adapters\" do not import one another"]
        );
    }

    #[test]
    fn a_module_without_place_is_found() {
        assert_eq!(messages("host/src/magic.rs", "").len(), 1);
    }
}
