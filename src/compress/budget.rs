//! How much memory an image will need, judged from its headers.
//!
//! An upper estimate: the caller admits images while the sum of these fits its budget.

use super::plan::Plan;
use super::probe::{Probe, probe};
use super::sniff::sniff;
use super::{Format, Goal, Settings};

/// Small buffers, tables, stacks.
const BASE: u64 = 4 << 20;

/// Bytes of working memory [`compress`](super::compress) needs for this image at most, the source and the output included.
///
/// Reads headers only. Bytes that will be refused need next to nothing.
pub fn memory_needed(bytes: &[u8], settings: &Settings) -> u64 {
    let size = bytes.len() as u64;
    let Some(probe) = sniff(bytes).and_then(|format| probe(bytes, format)).ok() else {
        return size + BASE;
    };
    let plan = Plan::new(&probe, settings);
    let working = if probe.is_animated {
        // One canvas, one frame, and the frame as RGBA.
        probe.pixels() / u64::from(probe.frames) * 12
    } else if !plan.is_same {
        rework(&probe, &plan)
    } else {
        same(&probe, size)
    };
    let judging = match settings.goal {
        // Reference pixels, output pixels, and the metric's planes over the tiles.
        Goal::MinScore(_) => probe.pixels() * 10 + (300 << 20),
        _ => 0,
    };
    BASE + size * 2 + working + judging
}

fn same(probe: &Probe, size: u64) -> u64 {
    let pixels = probe.pixels();
    match probe.format {
        // Coefficient planes of two bytes a sample.
        Format::Jpeg if probe.is_progressive => pixels * u64::from(probe.pixel_bytes) * 2 + size,
        // Tokens of four bytes; a token takes at least three bits of the source.
        Format::Jpeg => (size * 11).min(pixels * u64::from(probe.pixel_bytes) * 4 + size),
        Format::Png => png(pixels, u64::from(probe.pixel_bytes)),
        Format::Webp => webp(pixels),
        _ => pixels * 8,
    }
}

fn rework(probe: &Probe, plan: &Plan) -> u64 {
    let from = probe.pixels();
    let to = u64::from(plan.size.0) * u64::from(plan.size.1);
    // Decoded, turned, and the decoder's own planes.
    let decoding = from * (u64::from(probe.pixel_bytes) * 3 + 4);
    let encoding = match plan.format {
        Format::Jpeg => to * 16,
        Format::Png => png(to, 4),
        _ => webp(to),
    };
    decoding + encoding
}

/// Decoded, as RGBA, indices, colours counted; then oxipng's source, filtered and compressed copies.
fn png(pixels: u64, pixel_bytes: u64) -> u64 {
    pixels * (pixel_bytes * 5 + 8) + (64 << 20)
}

/// Decoded twice over, libwebp's ARGB and YUV copies, its modes and tokens.
fn webp(pixels: u64) -> u64 {
    pixels * 20
}
