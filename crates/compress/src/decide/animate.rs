//! Animations, and GIFs: read picture by picture, and written as their format or the one asked for holds them.

use std::borrow::Cow;

use crate::container::{png, vp8, webp};
use crate::contract::{Error, Format, Settings};
use crate::decide::job::Job;
use crate::decide::plan::{EncodedImage, Plan};
use crate::decide::score::Judge;
use crate::decide::search::search_quality;
use crate::encode::credited::Credited;
use crate::encode::gif_out::GifEncoder;
use crate::encode::png_frames::AnimatedPngEncoder;
use crate::encode::png_out::COLOUR_CHUNKS;
use crate::encode::webp_frames::AnimatedWebpEncoder;
use crate::encode::{Encoder, sheet};
use crate::header::probe::{self, Probe};
use crate::metadata::credits::Credits;
use crate::metadata::{exif, profile};
use crate::picture::animation::Animation;

/// Whether an image is handled here: animations, and what becomes a GIF.
pub(crate) fn is_animated(probe: &Probe, plan: &Plan, settings: &Settings) -> bool {
    (probe.is_animated && !settings.still) || plan.format == Format::Gif
}

/// The new file. `None` where the format that was asked for has no frames.
pub(crate) fn animate(job: &Job, plan: &Plan) -> Result<Option<EncodedImage>, Error> {
    let Job { bytes, ref probe, settings, deadline, .. } = *job;
    let animation = Animation::new(bytes, probe, plan.size, deadline);
    let keeps = settings.keep_copyright;
    let credits = if keeps { Credits::read(bytes, probe.format) } else { Credits::default() };
    // Pictures come upright.
    let Around { icc, exif, extra, own_quality, is_deep } = around(job)?;
    let exif = exif::minimal(exif.as_deref(), 1, keeps);
    let mut encoder: Box<dyn Encoder + '_> = match plan.format {
        Format::Gif => Box::new(GifEncoder::new(animation)?),
        Format::Webp => {
            let metadata = webp::Metadata { icc: icc.as_deref(), exif: exif.as_deref() };
            Box::new(AnimatedWebpEncoder::new(animation, metadata, own_quality)?)
        }
        Format::Png => {
            let extra = exif.into_iter().map(|exif| (*b"eXIf", exif)).chain(extra).collect();
            Box::new(AnimatedPngEncoder::new(animation, extra, is_deep)?)
        }
        _ => {
            animation.prove()?;
            return Ok(None);
        }
    };
    let mut encoder = Credited { encoder: &mut *encoder, credits: &credits, format: plan.format };
    let mut judge = || Ok(Judge::new(&sheet::of(&animation, probe.frames)?));
    let mut choice = search_quality(&mut encoder, settings.goal, job, &mut judge)?;
    let written = probe::probe(&choice.encoded.bytes, plan.format)?;
    if written.frames < probe.frames {
        let (first, all) = (written.frames + 1, probe.frames);
        choice.encoded.warnings.push(format!("Frame {first} of {all} is damaged. The animation ends before it."));
    }
    Ok(Some(EncodedImage { choice, size: plan.size, format: plan.format }))
}

/// What a source has around its pictures.
struct Around {
    /// The colour profile, if it is for RGB.
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    /// The chunks of a PNG that decide how its samples look.
    extra: Vec<([u8; 4], Vec<u8>)>,
    own_quality: u8,
    is_deep: bool,
}

fn around(job: &Job) -> Result<Around, Error> {
    let Job { bytes, ref probe, .. } = *job;
    let mut around = Around { icc: None, exif: None, extra: Vec::new(), own_quality: 100, is_deep: false };
    match probe.format {
        Format::Webp => {
            let list = webp::chunks(bytes)?;
            around.icc = webp::data(bytes, &list, b"ICCP").and_then(profile::smallest).map(Cow::into_owned);
            around.exif = webp::exif(bytes, &list).map(<[u8]>::to_vec);
            around.own_quality = webp::first_lossy(bytes, &list).and_then(vp8::quality).unwrap_or(100);
            if let Some(icc) = &around.icc {
                around.extra.extend(png::icc_chunk(icc));
            }
        }
        Format::Png => {
            let list = png::chunks(bytes)?;
            let header = png::header(bytes, &list)?;
            around.icc = png::profile(bytes, &list);
            around.exif = png::exif(bytes, &list).map(Cow::into_owned);
            around.is_deep = header.depth == 16;
            // Grey samples become RGB, which a grey profile cannot describe.
            let chunks = COLOUR_CHUNKS.iter().filter(|name| **name != *b"iCCP" || !matches!(header.colour, 0 | 4));
            around.extra = chunks.filter_map(|name| Some((*name, png::data(bytes, &list, name)?.to_vec()))).collect();
        }
        _ => {}
    }
    // The colour space of a profile (ICC.1, 7.2.6).
    around.icc = around.icc.filter(|icc| icc.get(16..20) == Some(b"RGB "));
    Ok(around)
}
