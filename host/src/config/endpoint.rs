//! The endpoint that traces go to, as a setting. Knows nothing of how they go there.

/// A base URL, or an empty text, which stands for none.
pub(super) fn otlp_endpoint(text: &str) -> Result<String, String> {
    let base = text.trim_end_matches('/');
    let rest = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
    let Some(authority) = rest.and_then(|rest| rest.split('/').next()) else {
        return if text.is_empty() { Ok(String::new()) } else { Err(TAKES.into()) };
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let fits = !host.is_empty()
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && base.chars().all(|c| c.is_ascii_graphic() && !"?#@\\\"<>{}|^`".contains(c));
    if fits { Ok(base.to_owned()) } else { Err(TAKES.into()) }
}

const TAKES: &str = "it takes the base URL of a collector that takes OTLP over HTTP, like http://localhost:4318";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_url_or_nothing() {
        for wrong in [
            "collector",
            "collector:4318",
            "/v1/traces",
            "http://",
            "http://:4318",
            "http://collector:port",
            "http://collector:4318/?key=value",
            "http://name:password@collector",
            "https://",
            "grpc://collector:4317",
        ] {
            assert!(otlp_endpoint(wrong).is_err(), "{wrong}");
        }
        for (given, base) in [
            ("", ""),
            ("http://localhost:4318", "http://localhost:4318"),
            ("http://[::1]:4318/", "http://[::1]:4318"),
            ("http://[::1]", "http://[::1]"),
            ("http://gateway/otlp/", "http://gateway/otlp"),
            ("https://collector.example:4318", "https://collector.example:4318"),
        ] {
            assert_eq!(otlp_endpoint(given).as_deref(), Ok(base));
        }
    }
}
