//! Why an image could not be downloaded, in sentences a catalogue editor can act on, and whether trying again can help.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::gate::Closed;
use crate::guard::{Blocked, Failure};

/// The cause underneath, for the log.
type Cause = Box<dyn StdError + Send + Sync>;

/// Why a fetch failed. The message is for the person who supplied the URL; `source()` is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("This URL cannot be used: {reason}.")]
    InvalidUrl { reason: String, source: Option<Cause> },
    #[error("The image may not be downloaded from {host}: {source}.")]
    BlockedAddress { host: String, source: Blocked },
    #[error("The host {host} was not found. Check the spelling of its name.")]
    DnsFailure { host: String, source: Cause },
    #[error("Could not connect to {host}.")]
    ConnectFailure { host: String, source: Cause },
    #[error("Could not connect securely to {host}: its certificate is missing, expired or not trusted.")]
    TlsFailure { host: String, source: Cause },
    #[error("The download took too long: {}.", during.sentence(.after))]
    Timeout { during: Stage, after: Duration },
    #[error("The connection was lost before the image was complete.")]
    ConnectionLost { source: Option<Cause> },
    #[error("The URL redirects more than {limit} times. Use the final address instead, if there is one.")]
    TooManyRedirects { limit: usize },
    /// What came from the host is not HTTP as anyone could read it.
    #[error("The host {host} sent a response that is not valid HTTP. Its operator must fix this.")]
    BadAnswer { host: String, source: Cause },
    #[error("The host returned {}", status_sentence(*.status, *.hint))]
    Http { status: u16, retry_after: Option<Duration>, hint: Option<Hint> },
    #[error("The file is larger than the limit of {}. Provide a smaller image.", size(.limit))]
    TooManyBytes { limit: u64 },
    #[error("The host sent the image in the encoding {encoding}, but the data is damaged.")]
    ContentEncoding { encoding: &'static str, source: Cause },
    /// Not tried: the host did not answer the requests before this one.
    #[error("The host {host} is not responding at the moment.")]
    HostDown { host: String, retry_after: Duration },
    /// Not tried: no slot of the host became free in time, because the host is slow or because we are.
    #[error("The download could not start: too many others from {host} were still in progress.")]
    HostBusy { host: String },
    /// Not tried: the host had returned this status to other requests and asked for a longer pause than we wait.
    #[error("The host {host} asked not to be contacted for a while.")]
    HostPaused { host: String, status: u16, retry_after: Duration },
}

/// What is likely the cause of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The URL has a `#`; what follows it was not part of the request.
    Fragment,
    /// The answer says that a signed link has expired.
    Expired,
}

/// What a fetch was waiting for when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Name resolution, TCP and TLS.
    Connect,
    /// The head of the answer.
    FirstByte,
    /// More of the body, at the minimum rate.
    Body,
    /// The download as a whole.
    Total,
}

impl Stage {
    fn sentence(self, after: &Duration) -> String {
        let seconds = (after.as_secs_f64() * 10.0).round() / 10.0;
        match self {
            Stage::Connect => format!("no connection was made within {seconds} s"),
            Stage::FirstByte => format!("the host did not respond within {seconds} s"),
            Stage::Body => format!("the image arrived too slowly and was abandoned after {seconds} s"),
            Stage::Total => format!("it was not complete after {seconds} s"),
        }
    }
}

impl Error {
    /// Whether the same URL may work later. DNS, connection, timeout, a body cut short, 408, 425, 429 and 5xx may;
    /// everything else stays as it is until somebody changes something.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::DnsFailure { .. }
            | Error::ConnectFailure { .. }
            | Error::Timeout { .. }
            | Error::ConnectionLost { .. }
            | Error::HostDown { .. }
            | Error::HostBusy { .. }
            | Error::HostPaused { .. } => true,
            Error::Http { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Error::InvalidUrl { .. }
            | Error::BlockedAddress { .. }
            | Error::TlsFailure { .. }
            | Error::TooManyRedirects { .. }
            | Error::TooManyBytes { .. }
            | Error::BadAnswer { .. }
            | Error::ContentEncoding { .. } => false,
        }
    }

    /// Whether it is this process that failed rather than the host: it has no file descriptors or no memory left.
    pub fn is_own_fault(&self) -> bool {
        let own_faults = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS].map(Errno::raw_os_error);
        let mut cause: Option<&dyn StdError> = Some(self);
        while let Some(error) = cause {
            if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                return own_faults.contains(&code);
            }
            cause = error.source();
        }
        false
    }

    /// How long the host asked not to be contacted, at most an hour, or is not contacted because it is down.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Http { retry_after, .. } => *retry_after,
            Error::HostDown { retry_after, .. } | Error::HostPaused { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The HTTP status the host returned, where that is why the fetch failed.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Error::Http { status, .. } | Error::HostPaused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Sorts a refusal: a URL that could never work is invalid, an address that only we refuse is blocked.
    pub(super) fn from_blocked(reason: Blocked, host: &str) -> Error {
        match reason {
            Blocked::Scheme(_) | Blocked::Credentials | Blocked::NoHost => {
                Error::InvalidUrl { reason: reason.to_string(), source: Some(reason.into()) }
            }
            Blocked::Port(_) | Blocked::Address { .. } | Blocked::Own(_) => {
                Error::BlockedAddress { host: host.to_owned(), source: reason }
            }
        }
    }

    /// Sorts a fetch that its host's gate did not let in.
    pub(super) fn from_closed(closed: Closed, host: &str) -> Error {
        let host = host.to_owned();
        match closed {
            Closed::Asked { status, left } => Error::HostPaused { host, status, retry_after: left },
            Closed::Down { left } => Error::HostDown { host, retry_after: left },
            Closed::Busy => Error::HostBusy { host },
        }
    }

    /// Sorts a request that got no answer.
    pub(super) fn from_failure(failure: Failure, host: &str, connect_timeout: Duration) -> Error {
        let (is_tls, is_bad_answer) = (failure.is_tls(), failure.is_bad_answer());
        let error = match failure {
            Failure::Blocked(reason) => return Error::from_blocked(reason, host),
            Failure::Http(error) => error,
        };
        let host = host.to_owned();
        if error.is_builder() {
            let reason = "it cannot be requested".to_owned();
            Error::InvalidUrl { reason, source: Some(error.into()) }
        } else if is_bad_answer {
            Error::BadAnswer { host, source: error.into() }
        } else if !error.is_connect() {
            Error::ConnectionLost { source: Some(error.into()) }
        } else if error.is_dns() {
            Error::DnsFailure { host, source: error.into() }
        } else if is_tls {
            Error::TlsFailure { host, source: error.into() }
        } else if error.is_timeout() {
            Error::Timeout { during: Stage::Connect, after: connect_timeout }
        } else {
            Error::ConnectFailure { host, source: error.into() }
        }
    }
}

/// The status and what it means for this URL, to the end of the sentence.
fn status_sentence(status: u16, hint: Option<Hint>) -> String {
    let meaning = match status {
        _ if hint == Some(Hint::Expired) => "the link has expired. Provide a new one.",
        404 | 410 if hint == Some(Hint::Fragment) => {
            "there is no image at this URL. If the # is part of the file name, write it as %23."
        }
        401 | 402 | 407 => "the image is not public. It must be accessible without signing in.",
        403 => {
            "access is forbidden. The image may not be public, or the host may refuse automated requests. \
             It must be accessible without signing in."
        }
        404 | 410 => "there is no image at this URL.",
        408 | 425 | 429 => "it is receiving too many requests at the moment.",
        500..=599 => "a problem on its side.",
        300..=399 => "a redirect without a target.",
        _ => "it does not provide this URL.",
    };
    format!("{status}: {meaning}")
}

fn size(bytes: &u64) -> impl fmt::Display {
    const MIB: u64 = 1024 * 1024;
    match bytes % MIB {
        0 => format!("{} MiB", bytes / MIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sentences_a_catalogue_editor_can_act_on() {
        let host = || "images.example".to_owned();
        let reason = Blocked::Port(8443);
        let hinted = |status, hint| Error::Http { status, retry_after: None, hint };
        let http = |status| hinted(status, None);
        let after = Duration::from_millis(10_040);
        for (error, expected) in [
            (http(404), "The host returned 404: there is no image at this URL."),
            (http(401), "The host returned 401: the image is not public. It must be accessible without signing in."),
            (
                http(403),
                "The host returned 403: access is forbidden. The image may not be public, or the host may refuse automated \
                 requests. It must be accessible without signing in.",
            ),
            (
                hinted(404, Some(Hint::Fragment)),
                "The host returned 404: there is no image at this URL. If the # is part of the file name, write it as \
                 %23.",
            ),
            (hinted(403, Some(Hint::Expired)), "The host returned 403: the link has expired. Provide a new one."),
            (http(429), "The host returned 429: it is receiving too many requests at the moment."),
            (http(502), "The host returned 502: a problem on its side."),
            (http(300), "The host returned 300: a redirect without a target."),
            (http(418), "The host returned 418: it does not provide this URL."),
            (
                Error::Timeout { during: Stage::FirstByte, after },
                "The download took too long: the host did not respond within 10 s.",
            ),
            (
                Error::TooManyBytes { limit: 25 * 1024 * 1024 },
                "The file is larger than the limit of 25 MiB. Provide a smaller image.",
            ),
            (
                Error::BlockedAddress { host: host(), source: reason },
                "The image may not be downloaded from images.example: \
                 port 8443 is not one of the ports that may be contacted.",
            ),
            (
                Error::from_blocked(Blocked::Credentials, "images.example"),
                "This URL cannot be used: it contains a user name or password; remove it.",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
