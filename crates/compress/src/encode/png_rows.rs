//! The rows of a large PNG, a band at a time.

use ::png::{BitDepth, Transformations};

use crate::contract::Error;
use crate::header::guarded::guarded;
use crate::picture::decode;
use crate::picture::pixels::{Layout, Pixels};

/// Rows that are worked on together.
pub(crate) const BAND_ROWS: usize = 64;

/// Where the pixels come from.
pub(crate) enum Rows<'a> {
    /// A PNG that is not interlaced.
    File(&'a [u8]),
    Pixels(Pixels),
}

impl Rows<'_> {
    /// Hands out every row in `layout`, eight bits per sample. Returns whether eight bits lose nothing.
    pub fn each(&self, take: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<bool, Error> {
        let file = match self {
            Rows::File(file) => *file,
            Rows::Pixels(pixels) => {
                pixels.data.chunks_exact(pixels.width as usize * pixels.layout.channels()).try_for_each(take)?;
                return Ok(true);
            }
        };
        guarded(|| {
            let mut reader = decode::png_reader(file, Transformations::EXPAND)?;
            let is_deep = reader.output_color_type().1 == BitDepth::Sixteen;
            let mut is_exact = true;
            let mut narrow = Vec::new();
            while let Some(row) = reader.next_row().map_err(decode::png_error)? {
                let row = row.data();
                if is_deep {
                    let (samples, _) = row.as_chunks::<2>();
                    is_exact = is_exact && samples.iter().all(|[high, low]| high == low);
                    narrow.clear();
                    narrow.extend(samples.iter().map(|[high, _]| *high));
                    take(&narrow)?;
                } else {
                    take(row)?;
                }
            }
            reader.finish().map_err(decode::png_error)?;
            Ok(is_exact)
        })
    }

    pub fn layout(&self) -> Result<Layout, Error> {
        match self {
            Rows::File(file) => {
                let reader = guarded(|| decode::png_reader(file, Transformations::EXPAND))?;
                decode::png_layout(reader.output_color_type().0)
            }
            Rows::Pixels(pixels) => Ok(pixels.layout),
        }
    }
}

/// Gathers rows.
pub(crate) struct Band {
    pixels: Pixels,
}

impl Band {
    pub fn new(width: u32, layout: Layout) -> Band {
        Band { pixels: Pixels { width, height: 0, layout, data: Vec::new() } }
    }

    /// Adds a row. A full band is returned; the next row then starts a new one.
    pub fn push(&mut self, row: &[u8]) -> Option<&Pixels> {
        if self.pixels.height as usize == BAND_ROWS {
            self.pixels.height = 0;
            self.pixels.data.clear();
        }
        self.pixels.data.extend_from_slice(row);
        self.pixels.height += 1;
        (self.pixels.height as usize == BAND_ROWS).then_some(&self.pixels)
    }

    /// The last rows, if they were not handed out.
    pub fn rest(&self) -> Option<&Pixels> {
        (1..BAND_ROWS).contains(&(self.pixels.height as usize)).then_some(&self.pixels)
    }
}
