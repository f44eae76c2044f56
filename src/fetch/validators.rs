//! What a host says of a file, by which it can be asked later whether the file has changed (RFC 9110, 13).

use reqwest::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use sha2::{Digest as _, Sha256};
use url::Url;

/// A longer validator is not kept.
const MAX_BYTES: usize = 512;

/// The validators of a file. They are only sent to the address that gave them: after a redirect to another file they would
/// say nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// A hash of that address, which may be long, and secret.
    address: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Validators {
    /// What the answer from `url` has, if anything.
    pub(super) fn of(url: &Url, headers: &HeaderMap) -> Option<Self> {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= MAX_BYTES).then(|| value.to_owned())
        };
        let (etag, last_modified) = (text(ETAG), text(LAST_MODIFIED));
        (etag.is_some() || last_modified.is_some()).then(|| Self { address: hash(url), etag, last_modified })
    }

    /// The headers that ask the host at `url` whether the file has changed; none if that is not where it came from.
    pub(super) fn conditions(&self, url: &Url) -> Vec<(HeaderName, HeaderValue)> {
        let conditions = [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.last_modified)];
        let value = |(name, value): (HeaderName, &Option<String>)| Some((name, value.as_ref()?.parse().ok()?));
        let is_here = self.address == hash(url);
        conditions.into_iter().filter(|_| is_here).filter_map(value).collect()
    }
}

/// The fragment is not sent, so it makes no difference.
fn hash(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    hex::encode(&Sha256::digest(url.as_str())[..16])
}
