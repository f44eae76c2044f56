//! API keys as text: `halftone_`, an id, `_`, 32 random characters and a checksum, by which scanners for secrets know a key
//! and a mistyped one is refused without asking the database.

use rand::distr::{Alphanumeric, SampleString as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "halftone_";
const ID_CHARACTERS: usize = 8;
const SECRET_CHARACTERS: usize = 32;
const CHECKSUM_CHARACTERS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as its holder has it. There is no `Debug`: it is a secret.
pub struct Key(String);

impl Key {
    /// A new key.
    pub fn generate() -> Self {
        let random = |characters| Alphanumeric.sample_string(&mut rand::rng(), characters);
        let text = format!("{PREFIX}{}_{}", random(ID_CHARACTERS), random(SECRET_CHARACTERS));
        Self(format!("{text}{}", checksum(&text)))
    }

    /// The key that this text is, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_shaped = id.len() == ID_CHARACTERS
            && rest.len() == SECRET_CHARACTERS + CHECKSUM_CHARACTERS
            && id.bytes().chain(rest.bytes()).all(|byte| byte.is_ascii_alphanumeric());
        let (body, given) = text.split_at_checked(text.len().checked_sub(CHECKSUM_CHARACTERS)?)?;
        (is_shaped && checksum(body) == given).then(|| Self(text.to_owned()))
    }

    /// The part by which it is found, and which may be shown.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID_CHARACTERS]
    }

    /// The whole key.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it. It is random enough that a plain hash cannot be searched for.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// Whether this is the key with this hash. Takes the same time for every other key.
    pub fn has_hash(&self, hash: &[u8]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

/// The CRC-32 of the text in base 62.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made_and_no_other_text_is() {
        let key = Key::generate();
        let text = key.reveal().to_owned();
        assert_eq!(text.len(), PREFIX.len() + 8 + 1 + 32 + 6);
        let read = Key::parse(&text).expect("a key");
        assert_eq!(read.id(), key.id());
        assert!(read.has_hash(&key.hash()) && !read.has_hash(&Key::generate().hash()) && !read.has_hash(b""));
        for place in 0..text.len() {
            for other in ['0', 'z', '_', 'ä'] {
                let mut changed = text.clone();
                changed.replace_range(place..=place, &other.to_string());
                assert!(changed == text || Key::parse(&changed).is_none(), "{changed}");
            }
            assert!(Key::parse(&text[..place]).is_none() && Key::parse(&text[place + 1..]).is_none());
        }
        assert!(Key::parse(&format!("{text}0")).is_none() && Key::parse(&format!(" {text}")).is_none());
    }

    /// Keys that are in use must stay valid.
    #[test]
    fn the_checksum_is_that_of_crc_32() {
        assert_eq!(checksum("123456789"), "3jZRME");
        assert!(Key::parse("halftone_AbCdEf12_0123456789abcdefghijABCDEFGHIJ23").is_none());
    }
}
