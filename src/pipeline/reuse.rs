//! Which earlier output serves an image, so that nothing is compressed twice: the same bytes with the same settings give the
//! same output, as long as the encoders are the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use uuid::Uuid;

use crate::db::ending::Output;
use crate::fetch::Validators;
use halftone_compress::Settings;

/// Stands for everything that makes an output of a source: with each release any of it may give other bytes.
const ENCODER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an output depends on beside its source, and whose it is: who shares it must agree on all of it. Tenants share nothing,
/// so that nobody learns from the time an image takes what others have.
#[derive(Clone)]
pub(super) struct Recipe(Sha256);

impl Recipe {
    pub fn new(tenant_id: Uuid, settings: &Settings) -> anyhow::Result<Self> {
        Self::of_version(tenant_id, settings, ENCODER_VERSION)
    }

    fn of_version(tenant_id: Uuid, settings: &Settings, version: &str) -> anyhow::Result<Self> {
        Ok(Self(Sha256::new_with_prefix(serde_json::to_vec(&(tenant_id, version, settings))?)))
    }

    /// The key of what is made of a source with this hash.
    pub fn content_key(&self, source_sha256: &str) -> Uuid {
        self.key("content", source_sha256)
    }

    /// The key of what is made of what this URL leads to.
    pub fn url_key(&self, url: &str) -> Uuid {
        self.key("url", url)
    }

    fn key(&self, kind: &str, of: &str) -> Uuid {
        let hash: [u8; 32] = self.0.clone().chain_update(kind).chain_update([0]).chain_update(of).finalize().into();
        uuid::Builder::from_custom_bytes(hash[..16].try_into().unwrap_or_default()).into_uuid()
    }
}

/// An output that serves if the source is the one it was made of.
#[derive(Clone)]
pub(super) struct Known {
    pub output: Output,
    /// Whether the image itself had it before its run, rather than another image.
    pub is_own: bool,
}

impl Known {
    /// The output of another image, as the database has it.
    pub fn of_other(found: Option<serde_json::Value>) -> serde_json::Result<Option<Self>> {
        let output = found.map(serde_json::from_value).transpose()?;
        Ok(output.map(|output| Self { output, is_own: false }))
    }

    /// What the host is asked with whether the source has changed.
    pub fn validators(&self) -> Option<Validators> {
        serde_json::from_value(self.output.validators.clone()?).ok()
    }
}

/// Has images with the same content wait for each other: the first one compresses, the others find its output. Several
/// processes may still do the same work at once; that costs time and nothing else.
#[derive(Default)]
pub(super) struct InTurn(Mutex<HashMap<Uuid, Weak<Turns<()>>>>);

impl InTurn {
    /// Returns when nobody else has this key.
    pub async fn enter(&self, key: Uuid) -> OwnedMutexGuard<()> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turns| turns.strong_count() > 0);
            let known = all.get(&key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turns = Arc::new(Turns::new(()));
                all.insert(key, Arc::downgrade(&turns));
                turns
            })
        };
        turns.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_that_of_tenant_source_settings_and_encoder() {
        let settings = Settings::default();
        let smaller = Settings { max_width: Some(100), ..Settings::default() };
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let recipes = [(one, &settings, "1"), (one, &smaller, "1"), (one, &settings, "2"), (other, &settings, "1")];
        let recipes =
            recipes.map(|(tenant_id, settings, version)| Recipe::of_version(tenant_id, settings, version).unwrap());
        let mut keys: Vec<Uuid> = recipes
            .iter()
            .flat_map(|recipe| [recipe.content_key("a"), recipe.content_key("b"), recipe.url_key("a")])
            .collect();
        assert_eq!(keys[0], Recipe::of_version(one, &settings, "1").unwrap().content_key("a"));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 12);
    }
}
