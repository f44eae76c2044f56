//! The colours of a picture that has no more than a palette can hold, and their places in it.

use std::collections::BTreeSet;

/// Remembers where colours were seen last, so that most pixels need no search.
struct Recent<T>(Vec<Option<([u8; 4], T)>>);

impl<T: Copy> Recent<T> {
    const BITS: u32 = 12;

    fn new() -> Recent<T> {
        Recent(vec![None; 1 << Self::BITS])
    }

    fn slot(&mut self, colour: [u8; 4]) -> &mut Option<([u8; 4], T)> {
        // Fibonacci hashing: the upper bits of a product with 2^32 over the golden ratio.
        let hash = u32::from_le_bytes(colour).wrapping_mul(0x9e37_79b9) >> (32 - Self::BITS);
        &mut self.0[hash as usize]
    }
}

/// The colours of a picture, as long as they are not too many.
pub(crate) struct Colours {
    most: usize,
    seen: BTreeSet<[u8; 4]>,
    recent: Recent<()>,
}

impl Colours {
    pub fn up_to(most: usize) -> Colours {
        Colours { most, seen: BTreeSet::new(), recent: Recent::new() }
    }

    pub fn add(&mut self, pixels: &[[u8; 4]]) {
        for pixel in pixels {
            if self.seen.len() > self.most {
                return;
            }
            let slot = self.recent.slot(*pixel);
            if slot.is_none_or(|(known, ())| known != *pixel) {
                *slot = Some((*pixel, ()));
                self.seen.insert(*pixel);
            }
        }
    }

    /// Sorted; `None` if there are too many.
    pub fn all(self) -> Option<Vec<[u8; 4]>> {
        (self.seen.len() <= self.most).then(|| self.seen.into_iter().collect())
    }
}

/// From colours to their places in a sorted palette.
pub(crate) struct Lookup<'a> {
    palette: &'a [[u8; 4]],
    recent: Recent<u8>,
}

impl Lookup<'_> {
    pub fn new(palette: &[[u8; 4]]) -> Lookup<'_> {
        Lookup { palette, recent: Recent::new() }
    }

    /// Of RGBA pixels, all of which are in the palette.
    pub fn map(&mut self, rgba: &[u8]) -> Vec<u8> {
        let (pixels, _) = rgba.as_chunks::<4>();
        let index = |pixel: &[u8; 4]| {
            let slot = self.recent.slot(*pixel);
            match slot {
                Some((known, index)) if known == pixel => *index,
                _ => {
                    // At most 256 colours, all of them there.
                    let index = self.palette.binary_search(pixel).unwrap_or(0) as u8;
                    *slot = Some((*pixel, index));
                    index
                }
            }
        };
        pixels.iter().map(index).collect()
    }
}
