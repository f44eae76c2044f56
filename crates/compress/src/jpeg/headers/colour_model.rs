//! What the colour model decides beside the colours: which components are colour differences, coded with tables of their own.

use crate::jpeg::types::Colour;

/// Which pair of Huffman tables each component uses: colour differences have statistics of their own.
pub(crate) fn classes(colour: Colour) -> [usize; 4] {
    match colour {
        Colour::YCbCr | Colour::Ycck => [0, 1, 1, 0],
        Colour::Grey | Colour::Rgb | Colour::Cmyk => [0; 4],
    }
}
