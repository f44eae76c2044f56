//! How the values of settings are written. A parser's error says what the setting takes: it completes the sentence
//! "--flag "value" is not …".

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{BoolishValueParser, TypedValueParser as _};
use ipnet::IpNet;
use url::Url;

use crate::web_origin::WebOrigin;
use crate::webhook::Secret;

/// A whole number within bounds; `_` may group its digits.
pub fn number<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.trim().replace('_', "").parse().ok().filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("a whole number from {least} to {most}"))
    }
}

/// A number of bytes, such as `25MiB`.
pub fn bytes(least: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| match text.trim().parse::<ByteSize>() {
        Ok(ByteSize(size)) if size >= least => Ok(size),
        Ok(_) => Err(format!("at least {}", ByteSize(least))),
        Err(_) => Err("a number of bytes such as 25MiB".to_owned()),
    }
}

/// A duration such as `30s`. The bounds are written like the value.
pub fn duration(least: &'static str, most: &'static str) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let parse = humantime::parse_duration;
        match (parse(least), parse(text.trim()), parse(most)) {
            (Ok(least), Ok(duration), Ok(most)) if (least..=most).contains(&duration) => Ok(duration),
            _ => Err(format!("a duration from {least} to {most} such as 30s, 5m or 2h")),
        }
    }
}

pub fn boolean(text: &str) -> Result<bool, String> {
    let parser = BoolishValueParser::new();
    parser.parse_ref(&clap::Command::default(), None, text.as_ref()).map_err(|_| "true or false".to_owned())
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| "an address and port such as 127.0.0.1:8080".to_owned())
}

/// An address to which paths are appended: it comes back without a trailing slash.
pub fn base_url(text: &str) -> Result<String, String> {
    let is_base =
        |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    let url = Url::parse(text).ok().filter(is_base);
    let url = url.ok_or("an http or https URL such as https://images.example.com")?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

pub fn origin(text: &str) -> Result<WebOrigin, String> {
    text.parse().map_err(|_| "a web origin such as https://shop.example.com, or *".to_owned())
}

pub fn user_agent(text: &str) -> Result<String, String> {
    if (1..=255).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Ok(text.to_owned())
    } else {
        Err("a line of 1 to 255 ASCII characters".to_owned())
    }
}

pub fn network(text: &str) -> Result<IpNet, String> {
    text.trim().parse().map_err(|_| "a network such as 10.0.0.0/8 or fd00::/8".to_owned())
}

pub fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a log filter such as info or warn,halftone::fetch=debug".to_owned()),
    }
}

pub fn webhook_secret(text: &str) -> Result<Secret, String> {
    Secret::parse(text).map_err(|_| "whsec_ followed by the standard base64 of 24 to 64 bytes".to_owned())
}
