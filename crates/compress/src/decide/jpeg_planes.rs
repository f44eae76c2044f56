//! A resized JPEG, or a WebP of a JPEG, without RGB pixels: luma and chroma stay separate planes, as both formats store them, and are
//! resized separately.
//!
//! The file is decoded once, at the smallest scale that is not below the requested size. Other colour spaces, and goals that need a
//! score, are left to `transform`.

use crate::container::jpeg_segments;
use crate::contract::{Error, Format, Goal};
use crate::decide::job::Job;
use crate::decide::plan::{EncodedImage, Plan};
use crate::decide::search::search_quality;
use crate::encode::credited::Credited;
use crate::encode::jpeg_out::{FULL_COLOUR, smaller};
use crate::encode::webp_out::WebpEncoder;
use crate::encode::{Encoded, Encoder};
use crate::header::guarded::guarded;
use crate::header::probe::{Probe, for_jpeg, from_jpeg};
use crate::jpeg::{self, Colour, Header, SamplePlane, Source};
use crate::metadata::credits::Credits;
use crate::metadata::exif;
use crate::picture::pixels::{Layout, Pixels};
use crate::picture::resize::resize_part;
use crate::picture::{colour, orient};

/// Resizes and encodes; `None` where this way does not apply.
pub(crate) fn transform(job: &Job, plan: &Plan, credits: &Credits) -> Result<Option<EncodedImage>, Error> {
    let Job { bytes, ref probe, settings, limits, .. } = *job;
    let applies = match plan.format {
        Format::Jpeg => plan.size != probe.displayed(),
        Format::Webp => settings.goal != Goal::Lossless,
        _ => false,
    };
    if probe.format != Format::Jpeg || !applies || matches!(settings.goal, Goal::MinScore(_)) {
        return Ok(None);
    }
    let is_ready = jpeg_segments::icc(bytes).is_none_or(|icc| colour::is_srgb_profile(&icc));
    let Ok(header) = jpeg::header(bytes) else {
        return Ok(None);
    };
    if !is_ready || !matches!(header.colour, Colour::Grey | Colour::YCbCr) {
        return Ok(None);
    }
    let quality = match settings.goal {
        Goal::Quality(quality) => Some(quality),
        // The share is of the source's quality; the encoder has none of its own.
        Goal::RelativeQuality(share) => {
            jpeg::estimated_quality(bytes).map(|own| (share * f64::from(own)).round().clamp(1.0, 100.0) as u8)
        }
        _ => None,
    };
    let goal = quality.map_or(settings.goal, Goal::Quality);
    let full_colour = match goal {
        _ if plan.format == Format::Webp => false,
        Goal::Quality(quality) => quality >= FULL_COLOUR,
        Goal::Lossless => true,
        _ => false,
    };
    let sizes = sizes(&header, probe, plan.size, full_colour);
    let eighths: Vec<usize> = sizes.iter().map(|size| eighths(size.full, size.target)).collect();
    let planes = match guarded(|| Ok(jpeg::samples(bytes, &for_jpeg(limits), &eighths)))? {
        Ok(planes) => planes,
        Err(jpeg::Error::Unsupported(_)) => return Ok(None),
        Err(error) => return Err(from_jpeg(error)),
    };
    let planes = planes.into_iter().zip(sizes).zip(eighths);
    let planes = planes.map(|((plane, size), eighths)| shrunk(plane, &size, eighths, probe.orientation));
    let planes = planes.collect::<Result<_, _>>()?;
    let exif = jpeg_segments::exif(bytes).map(|range| &bytes[range]);
    let credit = exif::minimal(exif, 1, settings.keep_copyright);
    let mut encoder: Box<dyn Encoder> = match plan.format {
        Format::Webp => Box::new(WebpEncoder::over_planes(planes, credit, job.deadline)?),
        _ => Box::new(PlaneEncoder { planes, subsampled: !full_colour, credit, progressive: settings.progressive }),
    };
    let mut encoder = Credited { encoder: &mut *encoder, credits, format: plan.format };
    let no_pixels = &mut || Err(Error::failed("a score needs pixels"));
    let choice = search_quality(&mut encoder, goal, job, no_pixels)?;
    Ok(Some(EncodedImage { choice, size: plan.size, format: plan.format }))
}

/// The sizes of a component.
struct Size {
    /// As the picture covers it in the source, as stored.
    full: (f64, f64),
    /// How it is to be written, but for being turned upright.
    target: (u32, u32),
    /// What share of the source the target covers. A row of halved colour samples covers one column more than an odd picture has.
    covers: (f64, f64),
}

fn sizes(header: &Header, probe: &Probe, size: (u32, u32), full_colour: bool) -> Vec<Size> {
    let is_turned = probe.orientation >= 5;
    let stored = if is_turned { (size.1, size.0) } else { size };
    let size = |component| {
        let divisor = if component == 0 || full_colour { 1 } else { 2 };
        let target = (stored.0.div_ceil(divisor), stored.1.div_ceil(divisor));
        let covers = |target: u32, stored: u32| f64::from(target * divisor) / f64::from(stored);
        Size {
            full: header.extent(component),
            target,
            covers: (covers(target.0, stored.0), covers(target.1, stored.1)),
        }
    };
    (0..usize::from(header.components)).map(size).collect()
}

/// A component that was decoded at some eighths of its size, at the size it is to be written, upright.
fn shrunk(plane: SamplePlane, size: &Size, eighths: usize, orientation: u8) -> Result<SamplePlane, Error> {
    let scale = eighths as f64 / 8.0;
    let (width, height) = (size.full.0 * scale, size.full.1 * scale);
    // A column beyond the picture must be the last as displayed: on the other side where the picture will be mirrored.
    let (left, across) = part(width, plane.width, size.covers.0, matches!(orientation, 2 | 3 | 7 | 8));
    let (top, down) = part(height, plane.height, size.covers.1, matches!(orientation, 3 | 4 | 6 | 7));
    upright(resize_part(plane, (left, top, across, down), size.target)?, orientation)
}

/// How many eighths of its size a component is decoded at: the least that is not smaller than the target. The transform's own
/// shrinking is a good filter, so nothing need be left for the second one: 0.05 to 0.25 points of SSIMULACRA2 against decoding in
/// full.
fn eighths((width, height): (f64, f64), target: (u32, u32)) -> usize {
    let is_enough = |eighths: usize| {
        let share = eighths as f64 / 8.0;
        width * share >= f64::from(target.0) && height * share >= f64::from(target.1)
    };
    (1..8).find(|eighths| is_enough(*eighths)).unwrap_or(8)
}

/// Which part of a plane's `available` samples to take, as start and length, so that `covers` times its `extent` are taken. What
/// the plane does not have is left out, which stretches the picture by less than half a sample.
fn part(extent: f64, available: u32, covers: f64, from_the_end: bool) -> (f64, f64) {
    let wanted = extent * covers;
    let start = (extent - wanted).max(0.0);
    if from_the_end { (start, extent - start) } else { (0.0, wanted.min(f64::from(available))) }
}

fn upright(plane: SamplePlane, orientation: u8) -> Result<SamplePlane, Error> {
    let pixels = Pixels::new(plane.width, plane.height, Layout::Grey, plane.data)?;
    let Pixels { width, height, data, .. } = orient::apply(pixels, orientation);
    Ok(SamplePlane { width, height, data })
}

/// Planes that can be written at any quality.
struct PlaneEncoder {
    planes: Vec<SamplePlane>,
    subsampled: bool,
    credit: Option<Vec<u8>>,
    progressive: bool,
}

impl PlaneEncoder {
    fn at(&self, quality: u8) -> Result<Source<'_>, Error> {
        let source = jpeg::from_planes(&self.planes, quality, self.subsampled, self.credit.as_deref());
        source.map_err(Error::failed)
    }
}

impl Encoder for PlaneEncoder {
    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let source = self.at(quality)?;
        let options = jpeg::Options { progressive: self.progressive, keep_copyright: true };
        let encoded = smaller(options, |options| source.lossless(options));
        Ok(Encoded { bytes: encoded.bytes, quality: Some(quality), warnings: encoded.warnings })
    }

    fn size_at(&mut self, quality: u8) -> Result<u64, Error> {
        Ok(self.at(quality)?.lossless_size() as u64)
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        Ok(None)
    }
}
