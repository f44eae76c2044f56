//! Which serial numbers an earlier row had, in little memory.
//!
//! Counting numbers are kept as bits, 64 to an entry: half a byte a row when they are consecutive, at most about 40
//! bytes when they are scattered. Anything else is kept as a 64-bit hash, at most about 20 bytes a row. Two different
//! texts share a hash about once in 37 million files of a million rows; the harm is one wrong warning.
//!
//! Never more than 48 MiB, whatever the file: scattered numbers past the 900,000th entry are kept as hashes, and past
//! 1,800,000 hashes nothing new is noted, so that what repeats it goes unnoticed. That is more than the default bound
//! of images lets a file have rows.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Most entries of `numbers` and of `hashes`: just under where their tables would double.
const MAX_NUMBER_ENTRIES: usize = 900_000;
const MAX_HASHES: usize = 1_800_000;

#[derive(Default)]
pub(super) struct Serials {
    /// A bit for each number, by the number's upper 58 bits.
    numbers: HashMap<u64, u64>,
    /// The entry of `numbers` that is in use, if any: numbers mostly follow each other.
    current: Option<(u64, u64)>,
    hashes: HashSet<u64, BuildHasherDefault<Hashed>>,
    hasher: RandomState,
}

impl Serials {
    /// Notes a serial number; false if it was noted before.
    pub fn insert(&mut self, serial: &str) -> bool {
        let Some(number) = counting_number(serial) else {
            return self.insert_hash(serial);
        };
        let (key, bit) = (number / 64, 1 << (number % 64));
        let mut bits = match self.current {
            Some((current, bits)) if current == key => bits,
            other => {
                self.numbers.extend(other);
                self.current = None;
                match self.numbers.remove(&key) {
                    Some(bits) => bits,
                    None if self.numbers.len() >= MAX_NUMBER_ENTRIES => return self.insert_hash(serial),
                    None => 0,
                }
            }
        };
        let is_new = bits & bit == 0;
        bits |= bit;
        self.current = Some((key, bits));
        is_new
    }

    fn insert_hash(&mut self, serial: &str) -> bool {
        let hash = self.hasher.hash_one(serial);
        if self.hashes.len() < MAX_HASHES { self.hashes.insert(hash) } else { !self.hashes.contains(&hash) }
    }
}

/// The number, if the text is the one way to write it: `01` and `+1` are other texts than `1`.
fn counting_number(text: &str) -> Option<u64> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical)
}

/// Takes what is a hash already as it is.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
