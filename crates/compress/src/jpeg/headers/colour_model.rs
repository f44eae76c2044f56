//! Colour models: which components are colour differences, coded with tables of their own, and what colours they stand for.

use crate::jpeg::types::Colour;

/// Which pair of Huffman tables each component uses: colour differences have statistics of their own.
pub(crate) fn classes(colour: Colour) -> [usize; 4] {
    match colour {
        Colour::YCbCr | Colour::Ycck => [0, 1, 1, 0],
        Colour::Grey | Colour::Rgb | Colour::Cmyk => [0; 4],
    }
}

/// Brightness and colour differences as red, green and blue (T.871, 7).
pub(crate) fn rgb(pixel: [u8; 3]) -> [u8; 3] {
    let [y, cb, cr] = pixel.map(f32::from);
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
        .map(|sample| sample.round().clamp(0.0, 255.0) as u8)
}
