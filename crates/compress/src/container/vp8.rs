//! The header of a lossy WebP frame, read as far as its quantiser.
//!
//! Only to estimate the quality a file was written at; the picture itself is not decoded here.

/// The encoder quality, estimated from the quantisers; `frame` is the data of a `VP8 ` chunk.
///
/// Inverts libwebp's `QualityToCompression` (src/enc/quant_enc.c): index = 127 × (1 − ∛c), where c is 2⁄3 q below q = 0.75 and
/// 2 q − 1 above. Its segments scatter around that in log c, so their mean is taken there.
pub(crate) fn quality(frame: &[u8]) -> Option<u8> {
    let indices = quantisers(frame.get(10..)?)?;
    let log_cube_root: f64 = indices.iter().map(|index| (1.0 - f64::from(*index).min(126.0) / 127.0).ln()).sum();
    let c = (3.0 * log_cube_root / indices.len() as f64).exp();
    let quality = if c < 0.5 { c * 1.5 } else { (c + 1.0) / 2.0 };
    Some((quality * 100.0).round().clamp(1.0, 100.0) as u8)
}

/// Reads the frame header (RFC 6386, 9.2 to 9.6) up to the quantiser: one index, or one for each segment.
fn quantisers(partition: &[u8]) -> Option<Vec<u32>> {
    let mut bits = BoolReader::new(partition);
    bits.literal(2)?; // colour space, clamping
    let mut segments = Vec::new();
    if bits.flag()? {
        let updates_map = bits.flag()?;
        if bits.flag()? {
            let is_absolute = bits.flag()?;
            for _ in 0..4 {
                let index = bits.optional(7)?.unwrap_or(0);
                if is_absolute {
                    segments.push(index);
                }
            }
            for _ in 0..4 {
                bits.optional(6)?;
            }
        }
        if updates_map {
            for _ in 0..3 {
                if bits.flag()? {
                    bits.literal(8)?;
                }
            }
        }
    }
    bits.literal(10)?; // filter type, level, sharpness
    if bits.flag()? && bits.flag()? {
        for _ in 0..8 {
            bits.optional(6)?;
        }
    }
    bits.literal(2)?; // partitions
    let base = bits.literal(7)?;
    if segments.is_empty() {
        segments.push(base);
    }
    Some(segments)
}

/// The arithmetic decoder of RFC 6386, 7.3, one bit at a time.
struct BoolReader<'a> {
    data: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> BoolReader<'a> {
    fn new(data: &'a [u8]) -> BoolReader<'a> {
        let (first, rest) = match data {
            [a, b, rest @ ..] => (u32::from(*a) << 8 | u32::from(*b), rest),
            _ => (0, &[][..]),
        };
        BoolReader { data: rest, value: first, range: 255, shifted: 0 }
    }

    /// One bit of even odds; `None` when the data has ended.
    fn flag(&mut self) -> Option<bool> {
        let split = 1 + (((self.range - 1) * 128) >> 8);
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                let (next, rest) = self.data.split_first()?;
                self.value |= u32::from(*next);
                self.data = rest;
            }
        }
        Some(is_set)
    }

    fn literal(&mut self, bits: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..bits {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// A value after a presence flag, followed by its sign; the sign is dropped.
    fn optional(&mut self, bits: u32) -> Option<Option<u32>> {
        if !self.flag()? {
            return Some(None);
        }
        let value = self.literal(bits)?;
        self.flag()?;
        Some(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quality_libwebp_was_given_is_found_again() {
        let side = 96;
        let rgb: Vec<u8> = (0..side * side * 3).map(|at| ((at / 3 % side * 5) ^ (at / 3 / side * 3)) as u8).collect();
        for quality in [20, 50, 75, 90] {
            let encoder = webpx::Encoder::new_rgb(&rgb, side as u32, side as u32).quality(quality.into());
            let webp = encoder.encode(webpx::Unstoppable).unwrap();
            let found = super::quality(&webp[20..]).unwrap();
            println!("{quality} read as {found}");
            assert!(found.abs_diff(quality) <= 6, "{quality} read as {found}");
        }
    }

    #[test]
    fn rubbish_has_no_quality_or_any_but_no_panic() {
        for length in 0..64 {
            for byte in [0x00, 0x55, 0xff] {
                quality(&vec![byte; length]);
            }
        }
    }
}
