//! What a large picture needs to be shown, from one pass over its rows.

use crate::contract::{Deadline, Error};
use crate::encode::palette::{Chooser, Survey};
use crate::encode::png_rows::{Band, Rows};
use crate::picture::pixels::{Layout, Pixels};

/// What a picture needs to be shown.
pub(crate) struct Needs {
    pub alpha: bool,
    pub colour: bool,
    /// More than eight bits a sample.
    pub depth: bool,
    /// Chooses among its colours.
    pub chooser: Chooser,
}

/// Reads the picture to its end.
pub(crate) fn survey(
    rows: &Rows<'_>,
    (width, height): (u32, u32),
    layout: Layout,
    deadline: Deadline,
) -> Result<Needs, Error> {
    let (mut alpha, mut colour) = (false, false);
    let mut survey = Survey::of(width, height);
    let mut band = Band::new(width, layout);
    let mut count = 0;
    let mut look = |band: &Pixels| {
        let rgba = band.to_layout(Layout::Rgba);
        let (pixels, _) = rgba.data.as_chunks::<4>();
        alpha = alpha || pixels.iter().any(|pixel| pixel[3] != 255);
        colour = colour || pixels.iter().any(|[r, g, b, _]| r != g || g != b);
        survey.add(pixels);
        count += band.height;
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
    if count != height {
        return Err(Error::corrupt("its headers disagree about its size"));
    }
    Ok(Needs { alpha, colour, depth: !is_exact, chooser: survey.chooser()? })
}
