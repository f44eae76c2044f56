//! Drawings and screenshots: what a WebP codes best without loss, once its colours are reduced as far as the quality allows.

use crate::contract::Error;
use crate::encode::palette::{Choice, Chooser, each_band};
use crate::picture::pixels::{Layout, Pixels};

/// What is known of such a picture.
pub(crate) struct FlatPicture {
    /// A lossless file that was made in a hurry.
    pub quick: Vec<u8>,
    /// One that was not.
    pub exact: Option<Vec<u8>>,
    chooser: Option<Chooser>,
}

impl FlatPicture {
    pub fn new(quick: Vec<u8>) -> FlatPicture {
        FlatPicture { quick, exact: None, chooser: None }
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

/// Whether lossless coding may be smaller than lossy coding: at least half of the visible pixels, of RGB or RGBA, equal their left
/// neighbour.
pub(crate) fn is_flat(pixels: &Pixels) -> bool {
    let channels = pixels.layout.channels();
    let has_alpha = pixels.layout == Layout::Rgba;
    let (mut visible, mut repeated) = (0_u64, 0_u64);
    let mut left = &pixels.data[..channels.min(pixels.data.len())];
    for pixel in pixels.data.chunks_exact(channels) {
        if !has_alpha || pixel[channels - 1] > 0 {
            visible += 1;
            repeated += u64::from(pixel == left);
        }
        left = pixel;
    }
    repeated * 2 >= visible
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::pictures::photo;

    #[test]
    fn a_photograph_is_not_flat_and_a_drawing_is() {
        for layout in [Layout::Rgb, Layout::Rgba] {
            assert!(!is_flat(&photo(90, 60, layout)));
            let channels = layout.channels();
            let data = (0..90 * 60 * channels).map(|at| (at / channels / 30 * 7 % 200) as u8).collect();
            let drawing = Pixels::new(90, 60, layout, data).unwrap();
            assert!(is_flat(&drawing));
            let mut flat = FlatPicture::new(Vec::new());
            let reduced = flat.reduced(&drawing, 20).unwrap().unwrap();
            assert_eq!((reduced.width, reduced.height, reduced.layout), (90, 60, layout));
            assert_ne!(reduced, drawing);
        }
    }
}
