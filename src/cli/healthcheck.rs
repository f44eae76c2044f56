//! `halftone healthcheck`: whether the process on this machine lives, for containers that have neither a shell nor curl.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Config;

/// How long the process may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Arguments {
    /// Also check whether its database answers, as /readyz does
    #[arg(long)]
    ready: bool,
}

/// Asks the admin listener or, without one, the API's.
pub async fn healthcheck(config: &Config, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let address = to_contact(config.server.admin_listen.unwrap_or(config.server.listen));
    let is_encrypted = config.server.admin_listen.is_none() && config.server.tls_cert.is_some();
    let scheme = if is_encrypted { "https" } else { "http" };
    let url = format!("{scheme}://{address}/{}", if arguments.ready { "readyz" } else { "healthz" });
    // The client wants to know how to encrypt, whether or not it does. Only the first to say so is heard.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE);
    // It is asked whether it lives, by its address on this machine, which no certificate is for.
    let client = client.tls_danger_accept_invalid_certs(is_encrypted).build()?;
    let answer = match client.get(&url).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let reason = if error.is_timeout() { "not within five seconds" } else { "nothing listens there" };
            eprintln!(
                "error: no answer from {url}: {reason}. Give this command the --admin-listen (or --listen) of the process."
            );
            return Ok(ExitCode::FAILURE);
        }
    };
    let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
    say!("{}", said.trim_end());
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a process that listens on this address can be reached from the same machine.
fn to_contact(listen: SocketAddr) -> SocketAddr {
    // A listener on [::] takes IPv4 too, unless the system says otherwise.
    let is_everywhere = listen.ip().is_unspecified();
    SocketAddr::new(if is_everywhere { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() }, listen.port())
}
