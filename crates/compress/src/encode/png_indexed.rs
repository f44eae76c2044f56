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

/// A PNG of rows that are packed already, each after the number of its filter. `extra` are chunks that travel with the pixels.
pub(crate) fn write(
    (width, height): (u32, u32),
    colours: &[[u8; 4]],
    extra: &[([u8; 4], Vec<u8>)],
    rows: &[u8],
    level: i32,
) -> Result<Vec<u8>, Error> {
    let level = CompressionLvl::new(level).map_err(|_| Error::failed("an unknown level of compression"))?;
    let mut compressor = Compressor::new(level);
    let mut data = vec![0; compressor.zlib_compress_bound(rows.len())];
    let length = compressor.zlib_compress(rows, &mut data).map_err(Error::failed)?;
    let mut out = Vec::with_capacity(length + 2_048);
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
    png::write(&mut out, b"IDAT", &data[..length]);
    png::write(&mut out, b"IEND", &[]);
    Ok(out)
}
