//! Signed download links: whoever holds one may download, until it expires; nobody can make or change one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Makes and checks links. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    mac: Hmac<Sha256>,
    lifetime: Duration,
}

/// What a link's query string carries beside the path.
#[derive(Debug, serde::Deserialize)]
pub struct Signature {
    /// Seconds since 1970.
    expires: i64,
    signature: String,
}

impl Signer {
    /// A signer whose links work for `lifetime`.
    pub fn new(key: &[u8], lifetime: Duration) -> anyhow::Result<Self> {
        Ok(Self { mac: Hmac::new_from_slice(key)?, lifetime })
    }

    /// When a link that is made now expires.
    pub fn expires_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.checked_add_signed(TimeDelta::from_std(self.lifetime).unwrap_or(TimeDelta::MAX))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// `path` (with its leading slash) and the query string that opens it until `expires_at`.
    pub fn sign(&self, path: &str, expires_at: DateTime<Utc>) -> String {
        let expires = expires_at.timestamp();
        let signature = URL_SAFE_NO_PAD.encode(self.digest(path, expires).finalize().into_bytes());
        format!("{path}?expires={expires}&signature={signature}")
    }

    /// Whether this signature opens `path` at this moment. Takes the same time for every wrong signature.
    pub fn is_valid(&self, path: &str, given: &Signature, now: DateTime<Utc>) -> bool {
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
        assert!(!signer.is_valid("/results/2", &given, now));
        assert!(!signer.is_valid("/results/1", &given, now + Duration::from_secs(62)));
        let later = Signature { expires: given.expires + 3_600, signature: given.signature.clone() };
        assert!(!signer.is_valid("/results/1", &later, now));
        let other = Signer::new(b"other key", Duration::from_secs(60)).unwrap();
        assert!(!other.is_valid("/results/1", &given, now));
    }
}
