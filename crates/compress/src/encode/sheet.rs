//! A few pictures of an animation on one sheet, so that a score can be told for it as for a still one.

use crate::contract::{Deadline, Error};
use crate::header::{probe, sniff};
use crate::picture::animation::Animation;
use crate::picture::pixels::{Layout, Pixels};

/// Pictures on a sheet, at most.
const MAX_PICTURES: u64 = 8;
/// Pixels of a sheet, unless a single picture has more.
pub(crate) const MAX_PIXELS: u64 = 1_500_000;

/// The sheet of an animation with this many frames: pictures at equal distances, the first among them.
pub(crate) fn of(animation: &Animation<'_>, frames: u32) -> Result<Pixels, Error> {
    let (width, height) = animation.size();
    let fitting = MAX_PIXELS / (u64::from(width) * u64::from(height));
    let step = u64::from(frames).div_ceil(fitting.clamp(1, MAX_PICTURES)).max(1);
    let (mut data, mut pictures, mut at) = (Vec::new(), 0, 0);
    let mut reel = animation.reel()?;
    while let Some(shown) = reel.next()? {
        if at % step == 0 {
            data.extend(shown.pixels.data);
            pictures += 1;
        }
        at += 1;
    }
    Pixels::new(width, height * pictures, Layout::Rgba, data)
}

/// The sheet of a file that was just encoded.
pub(crate) fn of_file(bytes: &[u8], deadline: Deadline) -> Result<Pixels, Error> {
    let probe = probe::probe(bytes, sniff::sniff(bytes)?)?;
    of(&Animation::new(bytes, &probe, probe.displayed(), deadline), probe.frames)
}
