//! Colours as they are seen, and how far they are from each other.

use std::cmp::Ordering;

/// A colour on black and on white: brightness, two colour differences, and the part of alpha. Squared distances between two of these
/// are the mean of the squared distances on black and on white.
pub(super) type Seen = [f32; 4];

/// ITU-R BT.601's share of red, green and blue in brightness.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// How much the differences between red or blue and brightness count.
const CHROMA: [f32; 2] = [0.5, 0.4];

pub(super) fn seen([r, g, b, a]: [u8; 4]) -> Seen {
    let alpha = f32::from(a) / 255.0;
    seen_through([r, g, b].map(|sample| f32::from(sample) * alpha), alpha)
}

/// Of premultiplied samples.
pub(super) fn seen_through([r, g, b]: [f32; 3], alpha: f32) -> Seen {
    let y = LUMA[0] * r + LUMA[1] * g + LUMA[2] * b;
    // On black y, on white y + 255 − 255 alpha: their mean, and half their difference.
    let half = alpha * 127.5;
    [y - half, (r - y) * CHROMA[0], (b - y) * CHROMA[1], half]
}

/// Back to samples. What is invisible is black.
pub(super) fn shown([mean, red, blue, half]: Seen) -> [u8; 4] {
    let alpha = (half * 2.0).round().clamp(0.0, 255.0);
    if alpha == 0.0 {
        return [0; 4];
    }
    let y = mean + half;
    let (r, b) = (red / CHROMA[0] + y, blue / CHROMA[1] + y);
    let g = (y - LUMA[0] * r - LUMA[2] * b) / LUMA[1];
    let sample = |premultiplied: f32| (premultiplied * 255.0 / alpha).round().clamp(0.0, 255.0) as u8;
    [sample(r), sample(g), sample(b), alpha as u8]
}

pub(super) fn distance(a: &Seen, b: &Seen) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

pub(super) fn order(a: &Seen, b: &Seen) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}
