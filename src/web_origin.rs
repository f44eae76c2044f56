//! A web origin as the configuration lists it and as a browser sends it: `scheme://host[:port]`.

use std::str::FromStr;

use url::Url;

/// Which pages may call the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebOrigin {
    /// `*`: pages of every origin.
    Any,
    /// Pages of this origin, as a browser writes it in `Origin`.
    Exact(String),
}

/// The text is no origin.
#[derive(Debug, thiserror::Error)]
#[error("an origin must be written as `https://shop.example.com`, or as `*` for every origin")]
pub struct NotAnOrigin;

impl FromStr for WebOrigin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let url = Url::parse(text).map_err(|_| NotAnOrigin)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !bare || url.host().is_none() {
            return Err(NotAnOrigin);
        }
        Ok(Self::Exact(url.origin().ascii_serialization()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, origin) in [
            ("https://shop.example.com", "https://shop.example.com"),
            ("http://localhost:5173/", "http://localhost:5173"),
            ("https://shop.example.com:443", "https://shop.example.com"),
        ] {
            assert_eq!(text.parse::<WebOrigin>().unwrap(), WebOrigin::Exact(origin.to_owned()), "{text}");
        }
        assert_eq!("*".parse::<WebOrigin>().unwrap(), WebOrigin::Any);
        for text in [
            "shop.example.com",
            "https://a.example/path",
            "https://me@a.example",
            "ftp://a.example",
            "null",
            "https://",
        ] {
            assert!(text.parse::<WebOrigin>().is_err(), "{text}");
        }
    }
}
