//! The components of a picture as samples, without any change of colour, and their way into a JPEG.
//!
//! For resizing. Brightness and colour stay apart and colour stays subsampled, so half the samples of RGB are touched, and no
//! rounding happens between the two transforms but that of the samples.

use crate::jpeg::error::Error;
use crate::jpeg::samples::fdct;
use crate::jpeg::samples::pixels::{Blocks, encode};
use crate::jpeg::source::Source;

/// One component's samples, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplePlane {
    /// Samples to a row, and rows. Both may be more than the picture needs: blocks are whole.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// `width` × `height` bytes.
    pub data: Vec<u8>,
}

/// The coefficients of a picture whose components are samples already, at their quality: write them with [`Source::lossless`].
///
/// One component, or brightness and two colour differences; `subsampled` when those have half the picture's size, rounded up.
/// `tiff` is EXIF data to keep.
///
/// # Errors
///
/// [`Error::Corrupt`] for sides that do not fit a JPEG.
pub fn from_planes<'a>(
    planes: &[SamplePlane],
    quality: u8,
    subsampled: bool,
    tiff: Option<&'a [u8]>,
) -> Result<Source<'a>, Error> {
    let (width, height) = planes.first().map_or((0, 0), |plane| (plane.width, plane.height));
    encode(width, height, planes.len(), quality, subsampled, tiff, Planes(planes))
}

struct Planes<'a>(&'a [SamplePlane]);

impl Blocks for Planes<'_> {
    #[inline(always)]
    fn block(&self, component: usize, row: usize, column: usize) -> fdct::Samples {
        self.0[component].block(column, row)
    }
}

impl SamplePlane {
    /// The 8 × 8 samples of a block, 128 less than stored; beyond the edge, the last ones again.
    #[inline(always)]
    fn block(&self, column: usize, row: usize) -> fdct::Samples {
        let (width, height) = (self.width as usize, self.height as usize);
        let (left, top) = (8 * column, 8 * row);
        std::array::from_fn(|y| {
            let line = &self.data[(top + y).min(height - 1) * width..][..width];
            let samples = match line.get(left..left + 8).and_then(|samples| samples.first_chunk()) {
                Some(samples) => *samples,
                None => std::array::from_fn(|x| line[(left + x).min(width - 1)]),
            };
            samples.map(|sample: u8| f32::from(sample) - 128.0)
        })
    }
}
