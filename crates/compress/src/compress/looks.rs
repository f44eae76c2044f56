//! How files of a picture look beside it, guessed on a mosaic of its tiles, so that the formats can be compared at the same score.

use fast_ssim2::Ssimulacra2Reference;

use crate::contract::{Deadline, Error, Format};
use crate::decide::search::QUALITY_FLOOR;
use crate::encode::Encoder;
#[cfg(feature = "avif")]
use crate::encode::avif_out::AvifEncoder;
use crate::encode::jpeg_out::PixelEncoder;
use crate::encode::palette::{aim, each_band};
use crate::encode::png_guess::{Mosaic, Tiles};
use crate::encode::sheet;
use crate::encode::webp_out::WebpEncoder;
use crate::header::probe::{Probe, probe};
use crate::header::sniff::sniff;
use crate::picture::animation::Animation;
use crate::picture::pixels::{Layout, Pixels};
use crate::picture::{colour, decode, resize};

/// Files of the mosaic that are made to find a quality.
const TRIES: usize = 5;
/// A guess this far from the target is close enough, and below it by no more than the second.
const ABOVE: f64 = 1.0;
const BELOW: f64 = 0.3;
/// Where a search begins: points of quality more than a JPEG of that score has.
const WEBP_NEEDS: f64 = 12.0;

/// One picture, as it is to be shown.
pub(super) struct Looks {
    mosaic: Mosaic,
    reference: Ssimulacra2Reference,
    size: (u32, u32),
    is_opaque: bool,
    /// A JPEG's noise is not worth coding without loss.
    own_quality: u8,
    deadline: Deadline,
}

impl Looks {
    /// Of a source at this size.
    pub fn of(bytes: &[u8], probe: &Probe, size: (u32, u32), deadline: Deadline) -> Result<Looks, Error> {
        let pixels = shown(bytes, probe, size, deadline)?;
        let mosaic = tiles(&pixels)?.mosaic();
        let reference = mosaic.reference()?;
        let own_quality = if probe.format == Format::Jpeg { 99 } else { 100 };
        Ok(Looks { mosaic, reference, size, is_opaque: !pixels.is_translucent(), own_quality, deadline })
    }

    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// Of a file with the same picture.
    pub fn score(&self, bytes: &[u8]) -> Result<f64, Error> {
        let pixels = shown(bytes, &probe(bytes, sniff(bytes)?)?, self.size, self.deadline)?;
        self.mosaic.score(&self.reference, self.mosaic.of_another(&tiles(&pixels)?).into_iter())
    }

    /// The lowest quality found at which a file of this format scores `target`, if it can.
    pub fn quality(&self, format: Format, target: f64) -> Result<Option<u8>, Error> {
        let pixels = self.pixels()?;
        let mut encoder: Box<dyn Encoder + '_> = match format {
            Format::Jpeg => Box::new(PixelEncoder::new(&pixels, QUALITY_FLOOR, None, false)?),
            Format::Webp => Box::new(WebpEncoder::new(pixels.clone(), None, None, self.own_quality, self.deadline)?),
            #[cfg(feature = "avif")]
            Format::Avif => Box::new(AvifEncoder::new(pixels.clone(), None)?),
            other => return Err(Error::unsupported(other)),
        };
        let mut at = |quality: u8| {
            self.deadline.check()?;
            let encoded = encoder.encode(quality)?;
            let shown = encoder.shown(&encoded)?.to_layout(Layout::Rgba);
            self.mosaic.score(&self.reference, shown.data.as_chunks::<4>().0.iter().copied())
        };
        // Qualities and scores on either side of the target.
        let (mut under, mut over) = ((0.0, 20.0), (100.0, 96.0));
        let mut enough = None;
        let mut quality = usual(target) + if format == Format::Webp { WEBP_NEEDS } else { 0.0 };
        for _ in 0..TRIES {
            let tried = quality.round().clamp(1.0, 100.0);
            let score = at(tried as u8)?;
            if score >= target - BELOW {
                enough = Some(tried as u8);
                over = (tried, score);
            } else {
                under = (tried, score);
            }
            if (-BELOW..=ABOVE).contains(&(score - target)) || over.0 - under.0 <= 1.0 {
                break;
            }
            let share = ((target + ABOVE / 3.0 - under.1) / (over.1 - under.1)).clamp(0.05, 0.95);
            quality = under.0 + (over.0 - under.0) * share;
        }
        Ok(enough)
    }

    fn pixels(&self) -> Result<Pixels, Error> {
        let (width, pixels) = (self.mosaic.width(), self.mosaic.pixels());
        let rgba = pixels.as_flattened().to_vec();
        let rgba = Pixels::new(width as u32, (pixels.len() / width) as u32, Layout::Rgba, rgba)?;
        Ok(if self.is_opaque { rgba.to_layout(Layout::Rgb) } else { rgba })
    }
}

/// The quality of a JPEG that usually has this score.
fn usual(score: f64) -> f64 {
    (1..100).find(|quality| aim(*quality) >= score).unwrap_or(100).into()
}

/// Upright pixels in sRGB at this size; of an animation a sheet.
fn shown(bytes: &[u8], probe: &Probe, size: (u32, u32), deadline: Deadline) -> Result<Pixels, Error> {
    if probe.is_animated {
        return sheet::of(&Animation::new(bytes, probe, size, deadline), probe.frames);
    }
    let decoded = decode::decode(bytes, probe)?;
    let mut pixels = decoded.pixels;
    if let Some(icc) = &decoded.icc {
        colour::to_srgb(&mut pixels, icc);
    }
    if (pixels.width, pixels.height) == size { Ok(pixels) } else { resize::resize(pixels.into_opaque(), size) }
}

fn tiles(pixels: &Pixels) -> Result<Tiles, Error> {
    let mut tiles = Tiles::of((pixels.width as usize, pixels.height as usize));
    each_band(pixels, &mut |rows| {
        tiles.add(rows);
        Ok(())
    })?;
    Ok(tiles)
}
