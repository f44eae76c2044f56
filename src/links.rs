//! The addresses of files: lasting ones for outputs, signed ones that expire for results.
//!
//! Anyone who holds a signed link may download until it expires; nobody else can make one or change one.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use sha2::Sha256;
use uuid::Uuid;

/// Makes addresses and checks signed ones. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    /// Where clients reach the API of this process.
    public_url: Arc<str>,
    /// Where others serve the objects of the store.
    images_url: Option<Arc<str>>,
    signer: Arc<Signer>,
}

/// A signed address and when it expires.
pub struct SignedLink {
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

impl Links {
    /// Addresses below `public_url`, those of outputs below `images_url` if the store is served there; signed ones work for
    /// `lifetime`.
    pub fn new(public_url: String, images_url: Option<String>, key: &[u8], lifetime: Duration) -> anyhow::Result<Self> {
        let (public_url, images_url) = (public_url.into(), images_url.map(Into::into));
        Ok(Self { public_url, images_url, signer: Arc::new(Signer::new(key, lifetime)?) })
    }

    /// The same for clients who reach the API at this address, if there is one.
    pub fn at(&self, public_url: Option<&Arc<str>>) -> Self {
        let mut links = self.clone();
        if let Some(public_url) = public_url {
            links.public_url = public_url.clone();
        }
        links
    }

    /// What addresses of the API begin with.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The lasting address of an image's output with this number. `key` is where it is stored; its last part is the file's
    /// name.
    pub fn image(&self, image_id: Uuid, number: i32, key: &str) -> String {
        if let Some(url) = self.outside(key) {
            return url;
        }
        let name = key.rsplit('/').next().unwrap_or(key);
        let name = percent_encoding::utf8_percent_encode(name, UNRESERVED);
        format!("{}/images/{image_id}{}/{name}", self.public_url, of_number(number))
    }

    /// Where others serve the object with this key.
    pub fn outside(&self, key: &str) -> Option<String> {
        let images_url = self.images_url.as_ref()?;
        let parts = key.split('/').map(|part| percent_encoding::utf8_percent_encode(part, UNRESERVED).to_string());
        Some(format!("{images_url}/{}", parts.collect::<Vec<_>>().join("/")))
    }

    /// Where a small rendition of that output is.
    pub fn thumbnail(&self, image_id: Uuid, number: i32) -> String {
        format!("{}/thumbnails/{image_id}{}", self.public_url, of_number(number))
    }

    /// A signed link to an image's source, as this server fetches it.
    pub fn source(&self, image_id: Uuid) -> SignedLink {
        let expires_at = self.signer.expires_at(Utc::now());
        let path = self.signer.sign(&format!("/sources/{image_id}"), expires_at);
        SignedLink { url: format!("{}{path}", self.public_url), expires_at }
    }

    /// A signed link to this result file of a request.
    pub fn result(&self, request_id: Uuid, file: &str) -> SignedLink {
        self.result_at(&self.public_url, request_id, file)
    }

    /// The same at the API at `public_url`, which may be another process's.
    pub fn result_at(&self, public_url: &str, request_id: Uuid, file: &str) -> SignedLink {
        let expires_at = self.signer.expires_at(Utc::now());
        let path = self.signer.sign(&format!("/results/{request_id}/{file}"), expires_at);
        SignedLink { url: format!("{public_url}{path}"), expires_at }
    }

    /// Whether this signature opens `path` now.
    pub fn is_valid(&self, path: &str, given: &Signature) -> bool {
        self.signer.is_valid(path, given, Utc::now())
    }
}

/// The part of an address that tells an image's outputs apart: most images have one, whose address needs none.
fn of_number(number: i32) -> String {
    if number == 1 { String::new() } else { format!("/{number}") }
}

/// Everything but the characters that need no escaping in a path (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

struct Signer {
    mac: Hmac<Sha256>,
    lifetime: Duration,
}

/// The part of a signed link's query string that is signed.
#[derive(Debug, serde::Deserialize)]
pub struct Signature {
    /// Seconds since 1970.
    expires: i64,
    signature: String,
}

impl Signer {
    /// A signer whose links work for `lifetime`.
    fn new(key: &[u8], lifetime: Duration) -> anyhow::Result<Self> {
        Ok(Self { mac: Hmac::new_from_slice(key)?, lifetime })
    }

    /// When a link that is made now expires: after its lifetime or up to an eighth more (a day at most), so that the same link
    /// is given for a while and caches know it again.
    fn expires_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let step = (lifetime / 8).clamp(1, 24 * 3600);
        let earliest = now.timestamp().saturating_add(lifetime);
        let rounded = (earliest / step).saturating_add(1).saturating_mul(step);
        DateTime::from_timestamp(rounded, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// `path` (with its leading slash) and the query string that opens it until `expires_at`.
    fn sign(&self, path: &str, expires_at: DateTime<Utc>) -> String {
        let expires = expires_at.timestamp();
        let signature = URL_SAFE_NO_PAD.encode(self.digest(path, expires).finalize().into_bytes());
        format!("{path}?expires={expires}&signature={signature}")
    }

    /// Whether this signature opens `path` at this moment. Takes the same time for every wrong signature.
    fn is_valid(&self, path: &str, given: &Signature, now: DateTime<Utc>) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(&given.signature) else {
            return false;
        };
        let genuine = self.digest(path, given.expires).verify_slice(&signature).is_ok();
        genuine && now.timestamp() <= given.expires
    }

    fn digest(&self, path: &str, expires: i64) -> Hmac<Sha256> {
        self.mac.clone().chain_update(path).chain_update(b"\n").chain_update(expires.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(link: &str) -> Signature {
        let (expires, signature) = link.split_once("?expires=").unwrap().1.split_once("&signature=").unwrap();
        Signature { expires: expires.parse().unwrap(), signature: signature.to_owned() }
    }

    #[test]
    fn a_link_opens_its_own_path_until_it_expires_and_no_other() {
        let signer = Signer::new(b"key", Duration::from_secs(60)).unwrap();
        let now = Utc::now();
        let given = signature(&signer.sign("/results/1", signer.expires_at(now)));
        assert!(signer.is_valid("/results/1", &given, now));
        assert!(signer.is_valid("/results/1", &given, now + Duration::from_secs(60)));
        let moments = (0..120).map(|second| signer.expires_at(now + Duration::from_secs(second)));
        assert!(moments.collect::<std::collections::HashSet<_>>().len() < 20, "links stay the same for a while");
        assert!(!signer.is_valid("/results/2", &given, now));
        assert!(!signer.is_valid("/results/1", &given, now + Duration::from_secs(69)));
        let later = Signature { expires: given.expires + 3_600, signature: given.signature.clone() };
        assert!(!signer.is_valid("/results/1", &later, now));
        let other = Signer::new(b"other key", Duration::from_secs(60)).unwrap();
        assert!(!other.is_valid("/results/1", &given, now));
    }
}
