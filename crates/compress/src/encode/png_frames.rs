//! Writes animated PNG: each frame draws only what changed.
//!
//! Frames, delays and the number of plays stay. All frames share one palette, or have all colours.

use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, Filter};

use crate::container::png as container;
use crate::contract::Error;
use crate::encode::changes::{Part, changed};
use crate::encode::exact_palette::{Colours, Lookup};
use crate::encode::png_indexed;
use crate::encode::quantise::{Histogram, MAX_COLOURS, Nearest, Splits};
use crate::encode::{Encoded, Encoder, sheet};
use crate::picture::animation::{Animation, Delay};
use crate::picture::pixels::{Layout, Pixels};

pub(crate) struct AnimatedPngEncoder<'a> {
    animation: Animation<'a>,
    frames: u32,
    /// Chunks that travel with the pixels.
    extra: Vec<([u8; 4], Vec<u8>)>,
    is_opaque: bool,
    /// Samples have more than eight bits in the source.
    is_deep: bool,
    /// The colours of all frames.
    histogram: Histogram,
    /// The same, sorted, if a palette can hold them.
    exact: Option<Vec<[u8; 4]>>,
}

impl<'a> AnimatedPngEncoder<'a> {
    /// Reads the animation once.
    pub fn new(animation: Animation<'a>, extra: Vec<([u8; 4], Vec<u8>)>, is_deep: bool) -> Result<Self, Error> {
        let (mut histogram, mut colours, mut is_opaque) = (Histogram::new(), Colours::up_to(MAX_COLOURS), true);
        let mut frames = 0;
        let mut reel = animation.reel()?;
        while let Some(shown) = reel.next()? {
            frames += 1;
            let pixels = shown.pixels.data.as_chunks().0;
            histogram.add(pixels);
            colours.add(pixels);
            is_opaque &= !shown.pixels.is_translucent();
        }
        Ok(AnimatedPngEncoder { animation, frames, extra, is_opaque, is_deep, histogram, exact: colours.all() })
    }

    fn write(&self, palette: Option<&[[u8; 4]]>) -> Result<Vec<u8>, Error> {
        let size = self.animation.size();
        let (width, layout) = (size.0 as usize, if self.is_opaque { Layout::Rgb } else { Layout::Rgba });
        let bits = palette.map_or(8, |palette| png_indexed::bits(palette.len()));
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, size.0, size.1);
        encoder.set_compression(Compression::High);
        encoder.set_filter(if palette.is_some() { Filter::NoFilter } else { Filter::Adaptive });
        encoder.set_color(match (palette, layout) {
            (Some(_), _) => ColorType::Indexed,
            (None, Layout::Rgba) => ColorType::Rgba,
            (None, _) => ColorType::Rgb,
        });
        encoder.set_depth(match bits {
            1 => BitDepth::One,
            2 => BitDepth::Two,
            4 => BitDepth::Four,
            _ => BitDepth::Eight,
        });
        if let Some(palette) = palette {
            encoder.set_palette(palette.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect::<Vec<u8>>());
            let transparency = png_indexed::transparency(palette);
            if !transparency.is_empty() {
                encoder.set_trns(transparency);
            }
        }
        encoder.set_animated(self.frames, self.animation.plays()?).map_err(Error::failed)?;
        let mut writer = encoder.write_header().map_err(Error::failed)?;
        let mut map = Map::of(palette, self.exact.as_deref() == palette);
        let mut before: Vec<[u8; 4]> = Vec::new();
        let mut reel = self.animation.reel()?;
        while let Some(shown) = reel.next()? {
            let wanted = shown.pixels.data.as_chunks().0;
            let part = if before.is_empty() {
                Part { left: 0, top: 0, width, height: size.1 as usize }
            } else {
                changed(&before, wanted, width, |_, _| true).unwrap_or(Part { left: 0, top: 0, width: 1, height: 1 })
            };
            // Both are at most as large as the canvas.
            let [left, top, across, down] = [part.left, part.top, part.width, part.height].map(|side| side as u32);
            let (numerator, denominator) = delay(shown.delay);
            let pixels = part.cut(wanted, width);
            let data = match &mut map {
                Some(map) => packed(&map.symbols(&pixels), part.width, bits),
                None => Pixels::new(across, down, Layout::Rgba, pixels.into_flattened())?.to_layout(layout).data,
            };
            let written = (|| {
                if !before.is_empty() {
                    writer.set_frame_position(0, 0)?;
                    writer.set_frame_dimension(across, down)?;
                    writer.set_frame_position(left, top)?;
                }
                writer.set_frame_delay(numerator, denominator)?;
                writer.set_blend_op(BlendOp::Source)?;
                writer.set_dispose_op(DisposeOp::None)?;
                writer.write_image_data(&data)
            })();
            written.map_err(Error::failed)?;
            before.clear();
            before.extend_from_slice(wanted);
        }
        writer.finish().map_err(Error::failed)?;
        let list = container::chunks(&out)?;
        let header = list.first().map_or(0, |chunk| chunk.whole.end);
        let mut with_extra = out[..header].to_vec();
        for (name, data) in &self.extra {
            container::write(&mut with_extra, name, data);
        }
        with_extra.extend(&out[header..]);
        Ok(with_extra)
    }
}

/// From colours to the places of a palette.
enum Map<'a> {
    Exact(Lookup<'a>),
    Nearest(Box<Nearest>),
}

impl<'a> Map<'a> {
    fn of(palette: Option<&'a [[u8; 4]]>, is_exact: bool) -> Option<Map<'a>> {
        let palette = palette?;
        Some(if is_exact {
            Map::Exact(Lookup::new(palette))
        } else {
            Map::Nearest(Box::new(Nearest::of_colours(palette)))
        })
    }

    fn symbols(&mut self, pixels: &[[u8; 4]]) -> Vec<u8> {
        match self {
            Map::Exact(lookup) => lookup.map(pixels.as_flattened()),
            Map::Nearest(nearest) => pixels.iter().map(|pixel| nearest.index(*pixel)).collect(),
        }
    }
}

fn packed(symbols: &[u8], width: usize, bits: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(symbols.len());
    for row in symbols.chunks(width) {
        png_indexed::packed(row, bits, &mut out);
    }
    out
}

/// Both have 16 bits in a PNG.
fn delay(Delay { numerator, denominator }: Delay) -> (u16, u16) {
    match (u16::try_from(numerator), u16::try_from(denominator)) {
        (Ok(numerator), Ok(denominator)) => (numerator, denominator),
        _ => {
            let seconds = Delay { numerator, denominator }.seconds();
            ((seconds * 10.0).round().min(f64::from(u16::MAX)) as u16, 10)
        }
    }
}

/// Colours at a quality: quality 50 has half of a palette, quality 100 loses none.
fn most_colours(quality: u8) -> usize {
    16 + usize::from(quality) * 240 / 100
}

impl Encoder for AnimatedPngEncoder<'_> {
    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let most = most_colours(quality);
        if quality == 100 || self.exact.as_ref().is_some_and(|exact| exact.len() <= most) {
            let bytes = self.write(self.exact.as_deref())?;
            return Ok(Encoded { bytes, quality: None, warnings: Vec::new() });
        }
        let palette = Splits::of(&self.histogram).palette(most);
        let bytes = self.write(Some(&palette.colours))?;
        Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        if self.is_deep {
            return Ok(None);
        }
        let bytes = self.write(self.exact.as_deref())?;
        Ok(Some(Encoded { bytes, quality: None, warnings: Vec::new() }))
    }

    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        sheet::of_file(&encoded.bytes, self.animation.deadline())
    }
}
