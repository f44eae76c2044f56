//! How much memory an image will need, judged from its headers.
//!
//! An upper estimate: the caller admits images while the sum of these fits its budget.

use crate::container::{png, webp};
use crate::contract::{Error, Format, Goal, Limits, Settings};
use crate::decide::animate;
use crate::decide::plan::Plan;
use crate::decide::score;
use crate::encode::{png_bands, quantise, sheet, webp_out};
use crate::header::guarded::guarded;
use crate::header::probe::{Probe, probe};
use crate::header::sniff::sniff;
use crate::metadata::profile;

/// Small buffers, tables, stacks.
const BASE_BYTES: u64 = 4 << 20;

/// Bands of rows, tiles that are scored, a deflater; beside its colours a large PNG needs no more.
const BANDS_BYTES: u64 = 48 << 20;
/// For each colour that is told apart when a palette is chosen.
const COLOUR_BYTES: u64 = 100;

/// Bytes of working memory that [`compress`](crate::compress()) needs for this image at most, including the source and the output.
///
/// Reads headers only. Bytes that will be refused need next to nothing.
///
/// # Errors
///
/// [`Error::TooMuchMemory`] when that is more than `limits` allow.
pub fn memory_needed(bytes: &[u8], settings: &Settings, limits: &Limits) -> Result<u64, Error> {
    let needed = guarded(|| {
        let probe = probe(bytes, sniff(bytes)?)?;
        let own = estimate(bytes, &probe, settings);
        if !settings.auto_format {
            return Ok(own);
        }
        let others = others(bytes, &probe, settings, limits).into_iter();
        Ok(others.map(|format| of_another(bytes, &probe, settings, format)).fold(own, u64::max))
    });
    let needed = needed.unwrap_or(bytes.len() as u64 + BASE_BYTES);
    if needed > limits.max_memory {
        return Err(Error::TooMuchMemory { needed, max_memory: limits.max_memory });
    }
    Ok(needed)
}

/// The other formats that an image may become within the limits, where the format is to be chosen.
pub(crate) fn others(bytes: &[u8], probe: &Probe, settings: &Settings, limits: &Limits) -> Vec<Format> {
    let mut others = Plan::new(probe, settings).others(probe, settings);
    others.retain(|format| of_another(bytes, probe, settings, *format) <= limits.max_memory);
    others
}

/// Becoming a file of another format, beside that of its own; or looking at one of them: pixels as decoded, and as they are shown.
fn of_another(bytes: &[u8], probe: &Probe, settings: &Settings, format: Format) -> u64 {
    let converted = Settings { format: Some(format), ..settings.clone() };
    let frame = probe.pixels() / u64::from(probe.frames.max(1));
    let looking = frame.max(if probe.is_animated { sheet::MAX_PIXELS } else { 0 }) * 10 + (16 << 20);
    bytes.len() as u64 * 2 + estimate(bytes, probe, &converted).max(BASE_BYTES + looking)
}

fn estimate(bytes: &[u8], probe: &Probe, settings: &Settings) -> u64 {
    let size = bytes.len() as u64;
    let plan = Plan::new(probe, settings);
    let working = if animate::is_animated(probe, &plan, settings) {
        animated(probe, &plan)
    } else if !plan.is_same || probe.is_animated {
        transform(&Probe { frames: 1, ..*probe }, &plan)
    } else {
        let recompressed = recompress(probe, settings, bytes);
        // The pixels are converted where the profile is much of the file.
        let has_profile = profile::stored(bytes, probe.format) as u64 > profile::SMALL;
        // Beside the source there is a copy with a shorter one.
        if has_profile { recompressed.max(transform(probe, &plan)) + size } else { recompressed }
    };
    let scoring = match settings.goal {
        // Pixels of the output beside what they are decoded from, and the metric's planes over the tiles and over the whole.
        Goal::MinScore(_) => {
            let frame = probe.pixels() / u64::from(probe.frames.max(1));
            let judged = if probe.is_animated { frame.max(sheet::MAX_PIXELS) } else { frame };
            judged * 6 + judged.min(score::SCORE_WHOLE_UP_TO_PIXELS) * 40 + (120 << 20)
        }
        _ => 0,
    };
    BASE_BYTES + size * 2 + working + scoring
}

fn recompress(probe: &Probe, settings: &Settings, bytes: &[u8]) -> u64 {
    let size = bytes.len() as u64;
    let pixels = probe.pixels();
    let samples = pixels * u64::from(probe.pixel_bytes);
    // Tokens of two bytes, in buffers that double; a token takes at least two bits of the source.
    let tokens = (size * 12).min(samples * 4 + size);
    match probe.format {
        // Two sets of coefficient planes, a little over two bytes a sample.
        Format::Jpeg if probe.is_progressive => samples * 5 + size,
        // Tokens as read and as rounded, and planes to write them progressively.
        Format::Jpeg if settings.progressive => samples * 3 + tokens * 2,
        Format::Jpeg => tokens,
        // Only an interlaced file is decoded as a whole; it may have to be turned.
        Format::Png if png_bands::is_large(pixels, probe.pixel_bytes) => {
            BANDS_BYTES
                + colours(pixels, probe.pixel_bytes)
                + size
                + if is_interlaced(bytes) { pixels * u64::from(probe.pixel_bytes.min(4)) * 2 } else { 0 }
        }
        Format::Png => png(pixels, probe.pixel_bytes),
        // A lossless file's pixels and the planes made of them, or two sets of planes and decoded transparency.
        Format::Webp if pixels > webp_out::KEEP_ABOVE_PIXELS => pixels * 7,
        Format::Webp if is_lossless_webp(bytes) => flat_webp(pixels, probe.pixel_bytes),
        Format::Webp => lossy_webp(pixels, probe.pixel_bytes),
        // Indices, to see that the file is whole.
        _ => pixels * 2,
    }
}

fn transform(probe: &Probe, plan: &Plan) -> u64 {
    let samples = probe.pixels() * u64::from(probe.pixel_bytes);
    // Never more than the source has.
    let to = (u64::from(plan.size.0) * u64::from(plan.size.1)).min(probe.pixels());
    let channels = probe.pixel_bytes.min(4);
    let decoding = match probe.format {
        // Pixels, and pixels turned upright; libwebp has its own of a lossless file.
        Format::Gif => probe.pixels() * 5,
        Format::Png if probe.orientation == 1 => probe.pixels() * u64::from(channels) + BANDS_BYTES,
        Format::Png | Format::Webp => probe.pixels() * 8 + BANDS_BYTES,
        // Samples of two bytes, with and without film grain, then samples of one; with alpha one picture after the other.
        Format::Avif => probe.pixels() * 20 + BANDS_BYTES,
        // Coefficients of a progressive file, else rows; then pixels, and pixels turned upright.
        _ => samples * if probe.is_progressive { 6 } else { 3 },
    };
    let encoding = match plan.format {
        Format::Jpeg => to * 16,
        Format::Png if png_bands::is_large(to, channels) => {
            to * u64::from(channels) * 2 + colours(to, channels) + BANDS_BYTES
        }
        Format::Png => png(to, channels),
        Format::Webp if to > webp_out::PLANES_ABOVE_PIXELS => to * 4,
        Format::Avif => avif(to, channels),
        Format::Webp if probe.format != Format::Jpeg && to <= webp_out::KEEP_ABOVE_PIXELS => flat_webp(to, channels),
        _ => lossy_webp(to, channels),
    };
    // Rows that are resized in one direction already.
    let halfway = if plan.size == probe.displayed() {
        0
    } else {
        u64::from(plan.size.0) * u64::from(probe.displayed().1) * u64::from(channels)
    };
    // The source's pixels are gone when the encoder starts, unless nothing was resized.
    (decoding + halfway).max(encoding + to * 4)
}

/// A canvas and what was under a frame, two pictures of it, one of them upright or resized, and what is written of one.
fn animated(probe: &Probe, plan: &Plan) -> u64 {
    let from = u64::from(probe.width) * u64::from(probe.height);
    let to = u64::from(plan.size.0) * u64::from(plan.size.1);
    let writing = match plan.format {
        Format::Webp => lossy_webp(to, 4) + to * 16,
        Format::Png => to * 24 + colours(probe.pixels(), 4) + BANDS_BYTES,
        _ => to * 32 + BANDS_BYTES / 4,
    };
    from * 20 + writing
}

/// Decoded, as RGBA, indices, colours; then oxipng's source, filtered and compressed copies.
fn png(pixels: u64, pixel_bytes: u8) -> u64 {
    pixels * (u64::from(pixel_bytes) * 5 + 8) + colours(pixels, pixel_bytes) + (64 << 20)
}

/// Those that are told apart when a palette is chosen.
fn colours(pixels: u64, pixel_bytes: u8) -> u64 {
    let most = match pixel_bytes {
        1 => 256,
        3 => quantise::OPAQUE_CELLS,
        _ => quantise::CELLS,
    };
    pixels.min(most as u64) * COLOUR_BYTES
}

/// Decoded and as the encoder wants it, libwebp's ARGB and YUV copies, its modes and tokens; with alpha a second plane of each.
fn lossy_webp(pixels: u64, pixel_bytes: u8) -> u64 {
    pixels * if pixel_bytes == 4 { 32 } else { 16 }
}

/// The same where it may be coded without loss: the pixels and those of fewer colours, and what libwebp takes for them.
fn flat_webp(pixels: u64, pixel_bytes: u8) -> u64 {
    pixels * 36 + colours(pixels, pixel_bytes) + (8 << 20)
}

/// Prepared pixels, planes, rav1e's input, reconstruction and block states, and what the file shows; with alpha one picture after the other.
fn avif(pixels: u64, pixel_bytes: u8) -> u64 {
    pixels * if pixel_bytes == 4 { 28 } else { 24 } + (24 << 20)
}

fn is_interlaced(bytes: &[u8]) -> bool {
    png::chunks(bytes).and_then(|list| png::header(bytes, &list)).is_ok_and(|header| header.is_interlaced)
}

fn is_lossless_webp(bytes: &[u8]) -> bool {
    webp::chunks(bytes).and_then(|list| webp::header(bytes, &list)).is_ok_and(|header| header.is_lossless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::pixels::{Layout, Pixels};
    use crate::tests::pictures;

    const LIMITS: Limits =
        Limits { max_pixels: u64::MAX, max_side: u32::MAX, max_memory: u64::MAX, max_time: std::time::Duration::MAX };

    #[test]
    fn bytes_that_will_be_refused_need_little() {
        assert!(memory_needed(b"no image", &Settings::default(), &LIMITS).unwrap() < 8 << 20);
        assert!(memory_needed(&[], &Settings::default(), &LIMITS).unwrap() < 8 << 20);
    }

    #[test]
    fn what_a_header_claims_is_no_fault_of_ours() {
        let mut file = pictures::png(&pictures::photo(8, 8, Layout::Rgb));
        file[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
        let crc = crc32fast::hash(&file[12..29]);
        file[29..33].copy_from_slice(&crc.to_be_bytes());
        let converted = Settings { format: Some(Format::Webp), ..Settings::default() };
        assert!(memory_needed(&file, &converted, &LIMITS).unwrap() > 1 << 50);
        // A PNG that stays one is not held in memory, however large.
        assert!(memory_needed(&file, &Settings::default(), &LIMITS).unwrap() < 1 << 30);
    }

    #[test]
    fn a_large_png_needs_no_more_than_its_bands() {
        let pixels = |side: u32| Pixels::new(side, side, Layout::Grey, vec![9; (side * side) as usize]).unwrap();
        let needed =
            |side: u32, settings: &Settings| memory_needed(&pictures::png(&pixels(side)), settings, &LIMITS).unwrap();
        assert!(needed(3_600, &Settings::default()) < 64 << 20);
        // Where pixels are wanted, it grows with them.
        let smaller = Settings { max_width: Some(100), ..Settings::default() };
        assert!(needed(3_600, &smaller) > 3_600 * 3_600);
    }

    #[test]
    fn pixels_cost_more_than_the_requantiser_and_scores_more_still() {
        let file = pictures::jpeg(2000, 1000);
        let needed = |settings: &Settings| memory_needed(&file, settings, &LIMITS).unwrap();
        let streamed = needed(&Settings::default());
        let resized = needed(&Settings { max_width: Some(1000), ..Settings::default() });
        let scored = needed(&Settings { goal: Goal::MinScore(70.0), ..Settings::default() });
        assert!(streamed < resized && resized < scored);
        // Two megapixels of RGB and the source itself are held at least.
        assert!(resized > 6_000_000 + file.len() as u64);
    }
}
