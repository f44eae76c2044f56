//! What a large picture needs to be shown, from one pass over its rows.

use crate::contract::{Deadline, Error};
use crate::encode::exact_palette::Colours;
use crate::encode::palette::{BLOCK_SIDE, SAMPLE_PIXELS};
use crate::encode::png_rows::{BAND_ROWS, Band, Rows};
use crate::picture::pixels::{Layout, Pixels};

/// Parts of bands that tell beforehand whether a palette is worth trying, and their rows.
const TRIAL_BANDS: usize = 6;
const TRIAL_ROWS: usize = 4 * BLOCK_SIDE;

/// What a picture needs to be shown.
pub(crate) struct Needs {
    pub alpha: bool,
    pub colour: bool,
    /// More than eight bits a sample.
    pub depth: bool,
    /// All colours, sorted, if they fit a palette.
    pub colours: Option<Vec<[u8; 4]>>,
    /// Pixels from all over it, as RGBA.
    pub sample: Vec<u8>,
    /// Bands from all over it, as RGBA.
    pub bands: Vec<Pixels>,
}

/// Reads the picture to its end.
pub(crate) fn survey(
    rows: &Rows<'_>,
    (width, height): (u32, u32),
    layout: Layout,
    deadline: Deadline,
) -> Result<Needs, Error> {
    let mut needs =
        Needs { alpha: false, colour: false, depth: false, colours: None, sample: Vec::new(), bands: Vec::new() };
    let mut colours = Colours::default();
    let area = width as usize * height as usize;
    let (step, between) = (area.div_ceil(SAMPLE_PIXELS), (height as usize / BAND_ROWS / TRIAL_BANDS).max(1));
    let mut band = Band::new(width, layout);
    let (mut y, mut count) = (0, 0);
    let mut look = |band: &Pixels| {
        let rgba = band.to_layout(Layout::Rgba);
        let (pixels, _) = rgba.data.as_chunks::<4>();
        needs.alpha = needs.alpha || pixels.iter().any(|pixel| pixel[3] != 255);
        needs.colour = needs.colour || pixels.iter().any(|[r, g, b, _]| r != g || g != b);
        colours.add(pixels);
        for row in pixels.chunks_exact(width as usize) {
            needs.sample.extend(row.iter().skip(y % step).step_by(step).flatten());
            y += 1;
        }
        if count % between == between / 2 {
            let data = pixels.iter().take(TRIAL_ROWS * width as usize).flatten().copied().collect::<Vec<u8>>();
            needs.bands.push(Pixels { height: rgba.height.min(TRIAL_ROWS as u32), data, ..rgba });
        }
        count += 1;
    };
    let is_exact = rows.each(&mut |row| {
        if let Some(full) = band.push(row) {
            deadline.check()?;
            look(full);
        }
        Ok(())
    })?;
    if let Some(rest) = band.rest() {
        look(rest);
    }
    if y != height as usize {
        return Err(Error::corrupt("its headers disagree about its size"));
    }
    needs.depth = !is_exact;
    needs.colours = colours.all();
    Ok(needs)
}
