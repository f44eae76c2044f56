//! Writes a picture with a palette: the fewest bits for each index, no filter, and libdeflate.

use libdeflater::{CompressionLvl, Compressor};

use crate::container::png::{self, SIGNATURE};
use crate::contract::Error;

/// The fewest bits that tell so many colours apart.
pub(crate) fn bits(colours: usize) -> u8 {
    match colours {
        0..=2 => 1,
        3..=4 => 2,
        5..=16 => 4,
        _ => 8,
    }
}

/// Indices of `bits` bits each, the first one in the highest bits.
pub(crate) fn packed(indices: &[u8], bits: u8, out: &mut Vec<u8>) {
    if bits == 8 {
        return out.extend(indices);
    }
    let byte = |group: &[u8]| {
        group.iter().enumerate().fold(0, |byte, (at, index)| byte | index << (8 - bits - bits * at as u8))
    };
    out.extend(indices.chunks(usize::from(8 / bits)).map(byte));
}

/// Alpha of the colours up to the last translucent one.
pub(crate) fn transparency(colours: &[[u8; 4]]) -> Vec<u8> {
    let count = colours.iter().rposition(|colour| colour[3] != 255).map_or(0, |last| last + 1);
    colours[..count].iter().map(|colour| colour[3]).collect()
}

/// A zlib stream.
pub(crate) fn deflated(data: &[u8], level: i32) -> Result<Vec<u8>, Error> {
    let level = CompressionLvl::new(level).map_err(|_| Error::failed("an unknown level of compression"))?;
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.zlib_compress_bound(data.len())];
    let length = compressor.zlib_compress(data, &mut out).map_err(Error::failed)?;
    out.truncate(length);
    Ok(out)
}

/// Whether the slower one of two levels saves enough of a sample.
pub(crate) fn is_worth(sample: &[u8], (quick, slow): (i32, i32)) -> Result<bool, Error> {
    /// In percent of what the quick one leaves.
    const SAVED: usize = 4;
    let (quick, slow) = (deflated(sample, quick)?.len(), deflated(sample, slow)?.len());
    Ok(slow * 100 <= quick * (100 - SAVED))
}

/// A PNG of rows that are packed already, each after the number of its filter. `extra` are chunks that travel with the pixels.
pub(crate) fn write(
    (width, height): (u32, u32),
    colours: &[[u8; 4]],
    extra: &[([u8; 4], Vec<u8>)],
    rows: &[u8],
    level: i32,
) -> Result<Vec<u8>, Error> {
    let data = deflated(rows, level)?;
    let mut out = Vec::with_capacity(data.len() + 2_048);
    out.extend(SIGNATURE);
    let [width, height] = [width, height].map(u32::to_be_bytes);
    // Colour type 3; then deflate, adaptive filters, not interlaced.
    let header = [&width[..], &height[..], &[bits(colours.len()), 3, 0, 0, 0]].concat();
    png::write(&mut out, b"IHDR", &header);
    // What says how colours are to be shown comes before them.
    for (name, data) in extra {
        png::write(&mut out, name, data);
    }
    let palette: Vec<u8> = colours.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    png::write(&mut out, b"PLTE", &palette);
    let transparency = transparency(colours);
    if !transparency.is_empty() {
        png::write(&mut out, b"tRNS", &transparency);
    }
    png::write(&mut out, b"IDAT", &data);
    png::write(&mut out, b"IEND", &[]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::pictures::Random;

    #[test]
    fn a_slower_level_is_worth_it_for_texture_only() {
        let mut random = Random(5);
        // Sums of three: some indices are far more frequent than others.
        let texture: Vec<u8> = (0..100_000).map(|_| (0..3).map(|_| random.next() as u8 % 6).sum()).collect();
        assert!(is_worth(&texture, (9, 10)).unwrap());
        assert!(!is_worth(&[7; 100_000], (9, 10)).unwrap());
    }
}
