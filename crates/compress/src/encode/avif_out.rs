//! Writes AVIF with rav1e: one still AV1 picture, and a second one for its alpha.
//!
//! One tile and one thread: the same pixels give the same file everywhere. What a file looks like
//! is known from the picture the encoder reconstructs, which the standard makes every decoder reproduce bit by bit.

use std::collections::BTreeMap;

use avif_serialize::Aviffy;
use rav1e::prelude::{
    ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus,
    MatrixCoefficients, PixelRange, SceneDetectionSpeed, SpeedSettings, TransferCharacteristics, Tune,
};

use crate::contract::{Error, Goal};
use crate::encode::{self, Encoded, Encoder};
use crate::picture::pixels::{Layout, Pixels};
use crate::picture::yuv::{self, Colour, Plane};

/// rav1e's preset, 0–10, and what it aims at, for pictures that are not large: about a second a megapixel. The next two presets take
/// half as long again for 5 % fewer bytes.
const FINE: (u8, Tune) = (9, Tune::Psychovisual);
/// The same for large pictures: a third of a second a megapixel, for a tenth more bytes.
const QUICK: (u8, Tune) = (10, Tune::Psnr);
/// More pixels than this are large.
const QUICK_ABOVE_PIXELS: u64 = 2_500_000;
/// More pixels than this are not written: a file takes half a second for each million, with transparency more.
const MAX_PIXELS: u64 = 13_000_000;
/// The same where several files are made to find the right one.
const MAX_SEARCHED_PIXELS: u64 = 3_000_000;
/// At this quality and above, colour keeps its full resolution.
const FULL_COLOUR: u8 = 90;
/// What AV1 can hold (frame sizes of 16 bits).
const MAX_SIDE: u32 = 65_535;
/// What a search tries where each encode takes a second.
const EVERY_FIFTH: [u8; 19] = [10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100];

/// Refuses pictures that would take too long.
pub(crate) fn check_size((width, height): (u32, u32), goal: Goal) -> Result<(), Error> {
    let is_searched = matches!(goal, Goal::TargetRatio(_) | Goal::MaxBytes(_) | Goal::MinScore(_));
    let most = if is_searched { MAX_SEARCHED_PIXELS } else { MAX_PIXELS };
    if area(width, height) <= most {
        return Ok(());
    }
    let most = most / 1_000_000;
    let why = if is_searched { " that must meet a size or score" } else { "" };
    Err(Error::failed(format!(
        "AVIF output{why} is limited to {most} megapixels, because it is slow to encode; set maxWidth or maxHeight"
    )))
}

/// One prepared picture.
pub(crate) struct AvifEncoder {
    pixels: Pixels,
    exif: Option<Vec<u8>>,
    /// Files made so far, by quality: a search comes back to its best one.
    made: BTreeMap<u8, Vec<u8>>,
    /// The last file that was made, as a decoder shows it.
    shown: Option<(u8, Pixels)>,
}

/// One AV1 picture.
struct Picture {
    data: Vec<u8>,
    planes: Vec<Plane>,
}

impl AvifEncoder {
    /// Over upright pixels in sRGB.
    pub fn new(pixels: Pixels, exif: Option<Vec<u8>>) -> Result<AvifEncoder, Error> {
        if pixels.width > MAX_SIDE || pixels.height > MAX_SIDE {
            return Err(Error::failed(format!(
                "AVIF output is limited to {MAX_SIDE} pixels per side; set maxWidth or maxHeight"
            )));
        }
        Ok(AvifEncoder { pixels: pixels.into_opaque(), exif, made: BTreeMap::new(), shown: None })
    }

    fn write(&mut self, quality: u8) -> Result<Vec<u8>, Error> {
        let (width, height) = (self.pixels.width, self.pixels.height);
        let colour = match self.pixels.layout {
            Layout::Grey | Layout::GreyAlpha => Colour::None,
            _ if quality >= FULL_COLOUR => Colour::Full,
            _ => Colour::Half,
        };
        let main = encode(width, height, yuv::planes(&self.pixels, colour), colour, quantizer(quality))?;
        let alpha = if self.pixels.layout.has_alpha() {
            // Edges of a cut-out show sooner than its texture: half the way to the best.
            let quality = 50 + quality / 2;
            Some(encode(width, height, vec![alpha(&self.pixels)], Colour::None, quantizer(quality))?)
        } else {
            None
        };
        let mut file = Aviffy::new();
        file.set_width(width)
            .set_height(height)
            .set_bit_depth(8)
            .set_full_color_range(true)
            .set_monochrome(colour == Colour::None)
            .set_chroma_subsampling((colour != Colour::Full, colour != Colour::Full))
            // AV1's profiles: 1 is 4:4:4, 0 is 4:2:0 and grey.
            .set_seq_profile(u8::from(colour == Colour::Full));
        if let Some(exif) = &self.exif {
            file.set_exif(exif.clone());
        }
        let alpha_data = alpha.as_ref().map(|alpha| &alpha.data[..]);
        let bytes = file.to_vec(&main.data, alpha_data, width, height, 8);
        let shown = yuv::picture(width, height, &main.planes)?;
        let shown = match alpha {
            Some(alpha) => with_alpha(&shown, &alpha.planes)?,
            None => shown,
        };
        self.shown = Some((quality, shown));
        Ok(bytes)
    }
}

impl Encoder for AvifEncoder {
    fn qualities(&self) -> &'static [u8] {
        /// A megapixel.
        const EVERY_QUALITY_UP_TO_PIXELS: u64 = 1_000_000;
        match area(self.pixels.width, self.pixels.height) {
            area if area <= EVERY_QUALITY_UP_TO_PIXELS => &encode::EVERY_QUALITY,
            area if area <= QUICK_ABOVE_PIXELS => &EVERY_FIFTH,
            _ => &encode::FEW,
        }
    }

    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let bytes = match self.made.get(&quality) {
            Some(bytes) => bytes.clone(),
            None => {
                let bytes = self.write(quality)?;
                self.made.insert(quality, bytes.clone());
                bytes
            }
        };
        Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        Ok(None)
    }

    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        let asked = encoded.quality.unwrap_or(100);
        if self.shown.as_ref().is_none_or(|(quality, _)| *quality != asked) {
            self.write(asked)?;
        }
        let (_, shown) = self.shown.as_ref().ok_or_else(|| Error::failed("nothing was encoded"))?;
        Ok(shown.clone())
    }
}

fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// AV1's quantizer index, 1–255, for a quality.
fn quantizer(quality: u8) -> u8 {
    /// Where six photographs score like libjpeg's file of that quality (SSIMULACRA2, at 4:2:0), and both ends.
    const MEASURED: [(u8, u8); 8] =
        [(1, 250), (20, 188), (35, 157), (50, 138), (65, 119), (80, 85), (90, 45), (100, 6)];
    let next = MEASURED.partition_point(|(known, _)| *known < quality).clamp(1, MEASURED.len() - 1);
    let [(low, coarse), (high, fine)] = [MEASURED[next - 1], MEASURED[next]].map(|(q, i)| (u32::from(q), u32::from(i)));
    let quality = u32::from(quality).clamp(low, high);
    // At most 250: it fits.
    (coarse - (coarse - fine) * (quality - low) / (high - low)) as u8
}

fn encode(width: u32, height: u32, planes: Vec<Plane>, colour: Colour, quantizer: u8) -> Result<Picture, Error> {
    let (preset, tune) = if area(width, height) > QUICK_ABOVE_PIXELS { QUICK } else { FINE };
    let mut speed = SpeedSettings::from_preset(preset);
    // The directional filter takes up to a third of the time for a hundredth of the bytes.
    speed.cdef = false;
    // Directions between the eight main ones take a fifth of the time for a hundredth of the bytes.
    speed.prediction.fine_directional_intra = false;
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    let config = EncoderConfig {
        width: width as usize,
        height: height as usize,
        bit_depth: 8,
        chroma_sampling: match colour {
            Colour::None => ChromaSampling::Cs400,
            Colour::Half => ChromaSampling::Cs420,
            Colour::Full => ChromaSampling::Cs444,
        },
        pixel_range: PixelRange::Full,
        color_description: Some(ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::SRGB,
            matrix_coefficients: MatrixCoefficients::BT601,
        }),
        still_picture: true,
        quantizer: usize::from(quantizer),
        min_quantizer: quantizer,
        bitrate: 0,
        tune,
        tiles: 1,
        speed_settings: speed,
        ..EncoderConfig::default()
    };
    let failed = |error: EncoderStatus| Error::failed(format!("rav1e: {error}"));
    let mut context: Context<u8> = Config::new()
        .with_encoder_config(config)
        .new_context()
        .map_err(|error| Error::failed(format!("rav1e: {error}")))?;
    let mut frame = context.new_frame();
    for (to, from) in frame.planes.iter_mut().zip(&planes) {
        to.copy_from_raw_u8(&from.samples, from.width, 1);
    }
    drop(planes);
    context.send_frame(frame).map_err(failed)?;
    context.flush();
    let packet = loop {
        match context.receive_packet() {
            Ok(packet) => break packet,
            // More calls are needed.
            Err(EncoderStatus::Encoded) => {}
            Err(error) => return Err(failed(error)),
        }
    };
    let reconstructed = packet.rec.ok_or_else(|| Error::failed("rav1e returns no picture"))?;
    let planes = yuv::sizes(width, height, colour)
        .into_iter()
        .zip(&reconstructed.planes)
        .map(|((width, height), plane)| Plane {
            width,
            height,
            samples: plane
                .data_origin()
                .chunks(plane.cfg.stride)
                .take(height)
                .flat_map(|row| &row[..width])
                .copied()
                .collect(),
        })
        .collect();
    Ok(Picture { data: packet.data, planes })
}

/// The alpha samples alone.
fn alpha(pixels: &Pixels) -> Plane {
    let channels = pixels.layout.channels();
    Plane {
        width: pixels.width as usize,
        height: pixels.height as usize,
        samples: pixels.data.iter().skip(channels - 1).step_by(channels).copied().collect(),
    }
}

fn with_alpha(opaque: &Pixels, alpha: &[Plane]) -> Result<Pixels, Error> {
    let mut pixels = opaque.to_layout(Layout::Rgba);
    for (pixel, alpha) in pixels.data.chunks_exact_mut(4).zip(alpha.iter().flat_map(|plane| &plane.samples)) {
        pixel[3] = *alpha;
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_quality_has_a_finer_quantizer() {
        let all: Vec<u8> = (1..=100).map(quantizer).collect();
        assert!(all.is_sorted_by(|coarse, fine| coarse > fine), "{all:?}");
        assert_eq!((quantizer(1), quantizer(50), quantizer(100)), (250, 138, 6));
    }
}
