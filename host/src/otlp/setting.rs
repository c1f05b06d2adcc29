//! Where traces go, and what the environment adds by the names that all of
//! OpenTelemetry has. What cannot be done is an error that names it.

use std::path::PathBuf;

/// Where traces are posted, below the base URL.
const PATH: &str = "v1/traces";
/// What the SDK knows as samplers.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// The file of the authority that an endpoint's certificate is of.
pub(super) const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
/// The same for traces alone.
const TRACES_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE";
/// What would be shown to an endpoint that asks who comes.
const OWN: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];

/// Where traces go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// The whole URL.
    pub(super) url: String,
    /// Whose certificate is trusted there; the system's authorities where none is named.
    pub(super) authority: Option<PathBuf>,
}

impl Settled {
    /// Whether it takes TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// Where traces go by the setting and the environment; `None` where that switches them off.
pub(super) fn settled(base: &str, env: impl Fn(&str) -> Option<String>) -> Result<Option<Settled>, OtlpError> {
    let given = |name| env(name).filter(|value| !value.is_empty());
    let wrong = |setting, value: &str, why: &str| {
        Err(OtlpError::Setting { setting, value: value.to_owned(), why: why.to_owned() })
    };
    if given("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        if let Some(protocol) = given(name).filter(|protocol| protocol != "http/protobuf") {
            return wrong(name, &protocol, "http/protobuf is the one that is spoken, mostly at port 4318");
        }
    }
    let argument = given("OTEL_TRACES_SAMPLER_ARG");
    if let Some(sampler) = given("OTEL_TRACES_SAMPLER") {
        if !SAMPLERS.contains(&sampler.as_str()) {
            return wrong("OTEL_TRACES_SAMPLER", &sampler, &format!("it takes {}", SAMPLERS.join(", ")));
        }
        let argument = argument.unwrap_or_default();
        if sampler.ends_with("traceidratio") && !argument.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share))
        {
            return wrong("OTEL_TRACES_SAMPLER_ARG", &argument, &format!("{sampler} takes a share from 0 to 1"));
        }
    }
    let authority = given(TRACES_CERTIFICATE).or_else(|| given(CERTIFICATE)).map(PathBuf::from);
    let settled = Settled { url: format!("{base}/{PATH}"), authority };
    if settled.is_secure()
        && let Some((name, value)) = OWN.into_iter().find_map(|name| Some((name, given(name)?)))
    {
        return wrong(name, &value, "the host shows no certificate of its own: run a collector beside it that does");
    }
    Ok(Some(settled))
}

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// A value of the environment.
    #[error("setting {setting} cannot be `{value}`: {why}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it, and what it takes.
        why: String,
    },
    /// The exporter cannot be made.
    #[error("traces cannot be exported to OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
    /// The system gives no thread.
    #[error("no thread can be had for the export of traces: {0}")]
    Thread(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(env: &[(&str, &str)]) -> Result<Option<String>, OtlpError> {
        at("http://collector:4318", env).map(|settled| settled.map(|settled| settled.url))
    }

    fn at(base: &str, env: &[(&str, &str)]) -> Result<Option<Settled>, OtlpError> {
        let value = |name: &str| env.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
        settled(base, value)
    }

    #[test]
    fn the_authority_for_traces_goes_before_the_one_for_all() {
        let base = "https://collector:4318";
        let authority = |env| at(base, env).expect("settled").expect("on").authority;
        assert_eq!(authority(&[]), None);
        assert_eq!(authority(&[(CERTIFICATE, "a.pem")]), Some("a.pem".into()));
        assert_eq!(authority(&[(CERTIFICATE, "a.pem"), (TRACES_CERTIFICATE, "b.pem")]), Some("b.pem".into()));
    }

    #[test]
    fn a_certificate_of_ones_own_is_refused_where_it_would_be_missed() {
        for name in OWN {
            let error = at("https://collector:4318", &[(name, "c.pem")]).expect_err(name).to_string();
            assert!(error.contains(name), "{error}");
            assert!(at("http://collector:4318", &[(name, "c.pem")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn traces_go_below_the_base() {
        assert_eq!(with(&[]).expect("settled").as_deref(), Some("http://collector:4318/v1/traces"));
        let ratio = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
        assert!(with(&ratio).expect("settled").is_some());
        assert_eq!(with(&[("OTEL_SDK_DISABLED", "TRUE")]).expect("settled"), None);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (env, named) in [
            (&[("OTEL_TRACES_SAMPLER", "sometimes")][..], "OTEL_TRACES_SAMPLER"),
            (&[("OTEL_TRACES_SAMPLER", "traceidratio")], "OTEL_TRACES_SAMPLER_ARG"),
            (&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")], "OTEL_TRACES_SAMPLER_ARG"),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ] {
            let error = with(env).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
