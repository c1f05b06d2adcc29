//! Crates of others that the host names in a few files only, so that they can be replaced.
//! It must not know how they are used.

use super::{Finding, SourceFile};

struct Confined {
    crates: &'static [&'static str],
    /// What the paths of the files that may name them begin with.
    allowed: &'static [&'static str],
}

const CONFINED: &[Confined] = &[
    Confined { crates: &["wasmtime", "wasmtime_wasi"], allowed: &["host/src/plugin.rs", "host/src/plugin/"] },
    Confined {
        crates: &["async_nats"],
        allowed: &[
            "host/src/store/jetstream",
            "host/src/bus.rs",
            "host/src/bus/",
            "host/src/fleet.rs",
            "host/src/fleet/",
            "host/src/inbox.rs",
            "host/src/inbox/",
            "host/src/nats.rs",
            "host/src/nats/",
            "host/src/cli/",
        ],
    },
    Confined {
        crates: &["rustix"],
        allowed: &[
            "host/src/plugin/cache/",
            "host/src/doctor/machine.rs",
            "host/src/serve.rs",
            "host/src/serve/background.rs",
            "host/src/serve/process.rs",
        ],
    },
    Confined { crates: &["x509_parser"], allowed: &["host/src/nats/"] },
    Confined { crates: &["hyper", "hyper_util", "http_body_util"], allowed: &["host/src/http.rs", "host/src/http/"] },
    Confined {
        crates: &["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "opentelemetry_http"],
        allowed: &["host/src/otlp.rs", "host/src/otlp/"],
    },
    Confined {
        crates: &["tokio_rustls", "rustls_native_certs"],
        allowed: &["host/src/http/client.rs", "host/src/otlp/tls.rs"],
    },
    Confined { crates: &["sd_notify"], allowed: &["host/src/serve/systemd.rs"] },
    Confined { crates: &["minlz", "crc", "tar"], allowed: &["host/src/backup/"] },
    Confined { crates: &["nkeys"], allowed: &["host/src/signature.rs", "host/src/signature/"] },
    Confined { crates: &["notify"], allowed: &["host/src/watch.rs", "host/src/watch/"] },
    Confined {
        crates: &["clap", "clap_complete"],
        allowed: &["host/src/config.rs", "host/src/config/", "host/src/cli.rs", "host/src/cli/", "host/src/main.rs"],
    },
];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    if !file.is_rust() || !file.path.starts_with("host/src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for confined in CONFINED {
        if confined.allowed.iter().any(|allowed| file.path.starts_with(allowed)) {
            continue;
        }
        for (line, code) in file.code() {
            for name in confined.crates.iter().filter(|name| names(code, name)) {
                let allowed = confined.allowed.join(", ");
                findings.push(file.finding(line, &format!("names `{name}`, which only {allowed} may do")));
            }
        }
    }
    findings
}

/// Whether the line has the crate at the head of a path, or imports it whole.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let inside_another_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        // A path may begin with `::`, and then still names the crate.
        let rooted = code[..start].ends_with("::")
            && !code[..start - 2].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>');
        let after = &code[start + name.len()..];
        let imported = code[..start].trim_end().ends_with("use") && after.starts_with([';', ' ']);
        (!inside_another_word || rooted) && (after.starts_with("::") || imported)
    })
}

#[cfg(test)]
mod tests {
    use super::{check, names};
    use crate::tidy::SourceFile;

    #[test]
    fn a_crate_is_named_by_paths_and_imports() {
        assert!(names("use wasmtime::Engine;", "wasmtime"));
        assert!(names("    let e: ::wasmtime::Engine = x;", "wasmtime"));
        assert!(names("use notify;", "notify"));
        assert!(names("pub use notify as watcher;", "notify"));
        assert!(!names("use wasmtime_wasi::p2;", "wasmtime"));
        assert!(!names("self.notify.notified().await", "notify"));
        assert!(!names("tokio::notify::Notify", "notify"));
        assert!(!names("renotify::x()", "notify"));
    }

    #[test]
    fn it_may_be_named_in_its_own_files_only() {
        let file = |path: &str| SourceFile {
            path: path.to_owned(),
            text: "//! About.\n// wasmtime::Engine is elsewhere\nuse wasmtime::Engine;\n".to_owned(),
        };
        assert!(check(&file("host/src/plugin/engine.rs")).is_empty());
        assert!(check(&file("bench/src/main.rs")).is_empty());
        let findings = check(&file("host/src/shard.rs"));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "host/src/shard.rs:3");
    }
}
