//! Drawings and screenshots: what a WebP codes best without loss, once its colours are reduced as far as the quality allows.

use crate::contract::Error;
use crate::encode::exact_palette::Colours;
use crate::encode::palette::{Choice, Chooser, each_band};
use crate::encode::quantise::MAX_COLOURS;
use crate::picture::pixels::Pixels;

/// A drawing with more colours than a palette has, but no more than this, is coded well with fewer: they are shades of text or of a
/// gradient.
const SHADES: usize = 1_000;
/// Otherwise it is where lossy coding at quality 50 takes at least so many bytes for a pixel that differs from its left neighbour. Text
/// and lines take 0.7 or more, with a photograph beside them 0.23; a photograph with a palette takes 0.06 to 0.33, one on a blank page
/// up to 0.17.
const BYTES_A_CHANGE: f64 = 0.2;
const BYTES_A_CHANGE_OF_PALETTE: f64 = 0.36;

/// What is known of such a picture.
pub(crate) struct FlatPicture {
    /// Pixels that differ from their left neighbour.
    changes: usize,
    /// How many colours there are; `None` if more than [`SHADES`].
    colours: Option<usize>,
    /// The length of a lossless file that was made in a hurry.
    pub quick: Option<usize>,
    /// A lossless file that was not.
    pub exact: Option<Vec<u8>>,
    chooser: Option<Chooser>,
}

impl FlatPicture {
    /// Of RGB or RGBA. `None` of a photograph: less than half of the visible pixels equal their left neighbour.
    pub fn of(pixels: &Pixels) -> Option<FlatPicture> {
        let channels = pixels.layout.channels();
        let (mut visible, mut changes) = (0, 0);
        let mut colours = Colours::up_to(SHADES);
        let mut left = &pixels.data[..channels.min(pixels.data.len())];
        for pixel in pixels.data.chunks_exact(channels) {
            let rgba = match *pixel {
                [r, g, b] => [r, g, b, 255],
                [r, g, b, a] => [r, g, b, a],
                _ => return None,
            };
            if rgba[3] > 0 {
                visible += 1;
                if pixel != left {
                    changes += 1;
                    colours.add(&[rgba]);
                }
            }
            left = pixel;
        }
        if changes * 2 > visible {
            return None;
        }
        let colours = colours.all().map(|colours| colours.len());
        Some(FlatPicture { changes, colours, quick: None, exact: None, chooser: None })
    }

    /// Whether a lossless file with fewer colours might be smaller than a lossy one of this quality and so many bytes.
    pub fn may_be_reduced(&self, quality: u8, lossy: usize) -> bool {
        let least = match self.colours {
            Some(colours) if colours > MAX_COLOURS => return true,
            Some(_) => BYTES_A_CHANGE_OF_PALETTE,
            None => BYTES_A_CHANGE,
        };
        // About how lossy files grow with the quality.
        let growth = 0.25 + 0.75 * f64::from(quality) / 50.0;
        lossy as f64 >= least * growth * self.changes as f64
    }

    /// Whether one with all colours might be smaller than a file of so many bytes: in a hurry each change takes a byte or more.
    pub fn may_be_exact(&self, bytes: usize) -> bool {
        bytes >= self.changes
    }

    /// The picture with as few colours as the quality needs; `None` where it is to stay as it is.
    pub fn reduced(&mut self, pixels: &Pixels, quality: u8) -> Result<Option<Pixels>, Error> {
        let chooser = match self.chooser.take() {
            Some(chooser) => chooser,
            None => Chooser::of(pixels)?,
        };
        let chooser = self.chooser.insert(chooser);
        let choice = chooser.choose(quality)?;
        if matches!(choice, Choice::Exact(_) | Choice::None) {
            return Ok(None);
        }
        let (colours, layout) = (choice.colours(), pixels.layout);
        let channels = layout.channels();
        let mut data = Vec::with_capacity(pixels.data.len());
        chooser.map(&choice, pixels.width, |take| each_band(pixels, take), &mut |indices| {
            data.extend(indices.iter().flat_map(|index| &colours[usize::from(*index)][..channels]));
            Ok(())
        })?;
        Pixels::new(pixels.width, pixels.height, layout, data).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::pixels::Layout;
    use crate::tests::pictures::photo;

    #[test]
    fn a_photograph_is_not_flat_and_a_drawing_is() {
        for layout in [Layout::Rgb, Layout::Rgba] {
            assert!(FlatPicture::of(&photo(90, 60, layout)).is_none());
            let channels = layout.channels();
            let data = (0..90 * 60 * channels).map(|at| (at / channels / 30 * 7 % 200) as u8).collect();
            let drawing = Pixels::new(90, 60, layout, data).unwrap();
            let mut flat = FlatPicture::of(&drawing).unwrap();
            let reduced = flat.reduced(&drawing, 20).unwrap().unwrap();
            assert_eq!((reduced.width, reduced.height, reduced.layout), (90, 60, layout));
            assert_ne!(reduced, drawing);
        }
    }
}
