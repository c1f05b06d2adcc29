//! Certificates that will not do, the servers' and the host's own: each is refused at once, in words that
//! name the file or the setting and what to do. It must not test what permissions a user has.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_nats::ConnectOptions;
use tests::certificates::{Certificates, Flaw};
use tests::{Agent, Cli, Host, HostBuilder, Nats};
use xtask::nats_server::NatsServer;

/// Far below the time for which an address without a server is retried.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What a server asks of clients.
const VERIFY: &str = "verify: true";

/// A server with this certificate of the authority.
fn server(certificates: &Certificates, name: &str, checks: &str) -> Result<NatsServer> {
    let file = |name: &str| certificates.file(name).display().to_string();
    NatsServer::builder()
        .settings(&format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, {checks} }}",
            file(&format!("{name}.pem")),
            file(&format!("{name}-key.pem")),
            file("ca.pem")
        ))
        .start()
}

/// A host with these files of the authority for CA, certificate and key.
fn host(server: &NatsServer, certificates: &Certificates, name: &str) -> Result<HostBuilder> {
    Ok(Host::builder_for(server.client_url())?
        .env("NATS_TLS_CA", certificates.file("ca.pem").display())
        .env("NATS_TLS_CERT", certificates.file(&format!("{name}.pem")).display())
        .env("NATS_TLS_KEY", certificates.file(&format!("{name}-key.pem")).display()))
}

/// Sees that it ends at once, and that one line of its log has all these words.
async fn refuses(host: &HostBuilder, words: &[&str]) -> Result<()> {
    let start = Instant::now();
    let (code, log) = host.ends().await?;
    ensure!(code == 1, "exit code {code}: {log}");
    ensure!(log.lines().any(|line| words.iter().all(|word| line.contains(word))), "no line with {words:?}: {log}");
    ensure!(!log.contains("PRIVATE KEY-----\n"), "the key is in the log");
    ensure!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn a_server_whose_certificate_will_not_do_is_refused() -> Result<()> {
    let certificates = Certificates::new()?;
    for (flaw, words) in [
        (Flaw::Expired, ["server's certificate has expired", "cert_file"]),
        (Flaw::NotYetValid, ["server's certificate is not valid yet", "clocks"]),
        (Flaw::Named("nats.example"), ["nats.example", "NATS_URL"]),
    ] {
        certificates.flawed("flawed", flaw)?;
        let server = server(&certificates, "flawed", VERIFY)?;
        refuses(&host(&server, &certificates, "client")?, &words).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_with_the_setting_that_names_it() -> Result<()> {
    let (certificates, others) = (Certificates::new()?, Certificates::new()?);
    let server = server(&certificates, "server", VERIFY)?;
    let ca = others.file("ca.pem");
    let other = host(&server, &certificates, "client")?.env("NATS_TLS_CA", ca.display());
    refuses(&other, &["NATS_TLS_CA", &shown(&ca), "not of the authority"]).await
}

#[tokio::test]
async fn a_certificate_of_our_own_that_will_not_do_is_named() -> Result<()> {
    let (certificates, others) = (Certificates::new()?, Certificates::new()?);
    let server = server(&certificates, "server", VERIFY)?;
    for flaw in [Flaw::Expired, Flaw::NotYetValid] {
        certificates.flawed("flawed", flaw)?;
        let file = shown(&certificates.file("flawed.pem"));
        refuses(&host(&server, &certificates, "flawed")?, &["NATS_TLS_CERT", &file, "expired or is not valid yet"])
            .await?;
    }
    let foreign = host(&server, &others, "client")?.env("NATS_TLS_CA", certificates.file("ca.pem").display());
    refuses(&foreign, &["NATS_TLS_CERT", &shown(&others.file("client.pem")), "ca_file"]).await?;

    let none = Host::builder_for(server.client_url())?.env("NATS_TLS_CA", certificates.file("ca.pem").display());
    refuses(&none, &["asks for a certificate", "NATS_TLS_CERT", "NATS_TLS_KEY"]).await
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_named() -> Result<()> {
    let certificates = Certificates::new()?;
    let server = server(&certificates, "server", VERIFY)?;
    let key = certificates.file("server-key.pem");
    let host = host(&server, &certificates, "client")?.env("NATS_TLS_KEY", key.display());
    refuses(&host, &["NATS_TLS_KEY", &shown(&key), "not the key of", &shown(&certificates.file("client.pem"))]).await
}

#[tokio::test]
async fn a_file_that_holds_something_else_or_cannot_be_read_is_named() -> Result<()> {
    let certificates = Certificates::new()?;
    let server = server(&certificates, "server", VERIFY)?;
    let (text, directory) = (certificates.file("text.pem"), certificates.file(""));
    std::fs::write(&text, "-----BEGIN nothing at all")?;
    for setting in ["NATS_TLS_CA", "NATS_TLS_CERT", "NATS_TLS_KEY"] {
        for file in [Path::new("/nowhere/at-all.pem"), &text, &directory] {
            let host = host(&server, &certificates, "client")?.env(setting, file.display());
            refuses(&host, &[setting, &shown(file)]).await?;
        }
    }
    let swapped = host(&server, &certificates, "client")?
        .env("NATS_TLS_CERT", certificates.file("client-key.pem").display())
        .env("NATS_TLS_KEY", certificates.file("client.pem").display());
    refuses(&swapped, &["NATS_TLS_CERT", "client-key.pem", "no certificate"]).await
}

#[tokio::test]
async fn a_certificate_can_be_the_login() -> Result<()> {
    let certificates = Certificates::new()?;
    for name in ["host.example", "operator.example", "stranger.example"] {
        certificates.flawed(
            name,
            Flaw::Named(match name {
                "host.example" => "host.example",
                "operator.example" => "operator.example",
                _ => "stranger.example",
            }),
        )?;
    }
    let users =
        "verify_and_map: true }\nauthorization { users = [ { user: host.example }, { user: operator.example } ]";
    let server = server(&certificates, "server", users)?;
    let stranger = host(&server, &certificates, "stranger.example")?;
    refuses(&stranger, &["authorization violation", "NATS_TLS"]).await?;
    let builder = host(&server, &certificates, "host.example")?;
    let login = ConnectOptions::new()
        .require_tls(true)
        .add_root_certificates(certificates.file("ca.pem"))
        .add_client_certificate(
            certificates.file("operator.example.pem"),
            certificates.file("operator.example-key.pem"),
        );
    let nats = Nats::connect(server, login).await?;
    let _host = builder.start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok().map(drop)
}

#[tokio::test]
async fn the_command_line_says_the_same() -> Result<()> {
    let certificates = Certificates::new()?;
    certificates.flawed("flawed", Flaw::Expired)?;
    let server = server(&certificates, "flawed", VERIFY)?;
    let cli = Cli::for_url(server.client_url()).env("NATS_TLS_CA", certificates.file("ca.pem").display());
    let output = cli.run(&["state", "agent", &Agent::new().id]).await?.exit(1)?;
    ensure!(output.stderr.contains("server's certificate has expired"), "{output:?}");
    Ok(())
}
