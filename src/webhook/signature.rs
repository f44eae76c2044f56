//! The signature of a delivery: Standard Webhooks 1.0.0, symmetric scheme `v1`.
//! A secret is shown only by [`Secret::reveal`]; no `Debug` and no error prints it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// Key lengths the specification allows, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Bytes of a generated key: as many as the hash puts out.
const GENERATED_BYTES: usize = 32;

/// The key a receiver verifies deliveries with.
#[derive(Clone)]
pub struct Secret {
    key: Vec<u8>,
}

/// Why a text is not a secret. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error("a webhook secret must start with whsec_")]
    Prefix,
    #[error("a webhook secret must be standard base64 after whsec_")]
    Encoding,
    #[error("a webhook secret must have 24 to 64 bytes, not {0}")]
    Length(usize),
}

impl Secret {
    /// A new random secret.
    pub fn generate() -> Secret {
        // The thread's generator is a CSPRNG seeded by the operating system.
        Secret { key: rand::random::<[u8; GENERATED_BYTES]>().to_vec() }
    }

    /// Reads `whsec_<base64>`.
    pub fn parse(text: &str) -> Result<Secret, InvalidSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidSecret::Prefix)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret::Encoding)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(InvalidSecret::Length(key.len()));
        }
        Ok(Secret { key })
    }

    /// `whsec_<base64>`, to store it or to show it once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.key))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value of `webhook-signature`: `v1,` and the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`.
///
/// `timestamp` is in seconds since the Unix epoch and must be the one sent as `webhook-timestamp`.
pub fn sign(secret: &Secret, id: &str, timestamp: u64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.key) else {
        unreachable!("HMAC takes a key of any length");
    };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
