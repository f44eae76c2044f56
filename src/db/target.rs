//! Where a database is and how it is reached: what libpq reads from a URL or from `key=value` pairs.

use std::fmt;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::tls::{RootCertificates, Tls, TlsMode};

/// The address of a database. It may hold a password, so `Debug` does not print it.
#[derive(Clone)]
pub struct Target {
    /// Everything but TLS, which is ours.
    pub config: Config,
    pub tls: Tls,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(…)")
    }
}

/// Why a text is not the address of a database.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    #[error("sslmode is {0:?}; it can be disable, prefer, require, verify-ca or verify-full")]
    Mode(String),
    #[error("{0}")]
    Other(#[from] tokio_postgres::Error),
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let mut mode = None;
        let mut roots = None;
        // The library knows neither `verify-ca` nor where root certificates are.
        let mut rest = String::with_capacity(text.len());
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let (before, parameters) =
            if is_url { text.split_at(text.find('?').unwrap_or(text.len())) } else { ("", text) };
        rest.push_str(before);
        let mut separator = if is_url { "?" } else { "" };
        for parameter in parameters.trim_start_matches('?').split(if is_url { '&' } else { ' ' }) {
            let decoded = |value: &str| {
                let quoted = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).filter(|_| !is_url);
                let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
                if is_url { decoded } else { quoted.unwrap_or(value).to_owned() }
            };
            match parameter.split_once('=') {
                Some(("sslmode", value)) => {
                    let value = decoded(value);
                    mode = Some(TlsMode::from_word(&value).ok_or(InvalidTarget::Mode(value))?);
                }
                Some(("sslrootcert", value)) => roots = Some(RootCertificates::from(decoded(value))),
                _ if parameter.is_empty() && is_url => {}
                _ => {
                    rest.push_str(separator);
                    rest.push_str(parameter);
                    separator = if is_url { "&" } else { " " };
                }
            }
        }
        let mut config: Config = rest.parse()?;
        // Written in another way, such as `sslmode = require`, it is still what the library reads.
        let read = match config.get_ssl_mode() {
            SslMode::Disable => TlsMode::Disable,
            SslMode::Require => TlsMode::Require,
            _ => TlsMode::Prefer,
        };
        let mode = mode.unwrap_or(read);
        config.ssl_mode(SslMode::Disable);
        Ok(Self { config, tls: Tls::new(mode, roots) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_read_from_urls_and_from_pairs() {
        let url = "postgres://me:p%26ss@db.example:5433/shop";
        let file = || Some(RootCertificates::from("/etc/my ca.pem".to_owned()));
        for (text, mode, roots) in [
            (url.to_owned(), TlsMode::Prefer, None),
            (format!("{url}?sslmode=disable"), TlsMode::Disable, None),
            (format!("{url}?sslmode=verify-full&connect_timeout=3"), TlsMode::VerifyFull, None),
            (
                format!("{url}?connect_timeout=3&sslrootcert=/etc/my%20ca.pem&sslmode=verify-ca"),
                TlsMode::VerifyCa,
                file(),
            ),
            (
                "host=db.example port=5433 user=me password=p&ss dbname=shop sslmode=require sslrootcert='system'"
                    .to_owned(),
                TlsMode::Require,
                Some(RootCertificates::System),
            ),
            (
                "host=db.example port=5433 user=me password='p&ss' dbname=shop sslmode = require".to_owned(),
                TlsMode::Require,
                None,
            ),
        ] {
            let target: Target = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((target.tls.mode(), target.tls.roots()), (mode, roots.as_ref()), "{text}");
            assert_eq!(target.config.get_ports(), [5433], "{text}");
            assert_eq!((target.config.get_dbname(), target.config.get_user()), (Some("shop"), Some("me")), "{text}");
            assert_eq!(target.config.get_password(), Some(&b"p&ss"[..]), "{text}");
            assert!(!format!("{target:?}").contains("p&ss"));
        }
        let wrong = format!("{url}?sslmode=always").parse::<Target>().expect_err("no such mode").to_string();
        assert!(wrong.contains("verify-full"), "{wrong}");
        let spaced: Target = "host=db.example user=me password='a  b'".parse().expect("an address");
        assert_eq!(spaced.config.get_password(), Some(&b"a  b"[..]));
        for other in ["mysql://x", "postgres://me@host/db?sslkey=x", "nonsense"] {
            assert!(other.parse::<Target>().is_err(), "{other}");
        }
    }
}
