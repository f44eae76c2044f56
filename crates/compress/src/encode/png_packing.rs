//! Which filters and which level of deflate suit untouched pixels, by some of their rows.
//!
//! oxipng's level 2 compresses the whole picture with each of four filters, and once more as well as it can. Some of the rows tell nearly
//! as much.

use oxipng::{BitDepth, ColorType, Deflater, FilterStrategy, Options, RawImage};

use crate::contract::Error;
use crate::encode::exact_palette::Colours;
use crate::encode::palette::each_band;
use crate::encode::quantise::MAX_COLOURS;
use crate::picture::pixels::{Layout, Pixels};

/// What nearly all pictures need one of, and by how many percent one may be worse than the other in a sample to be tried on the whole.
const FILTERS: [FilterStrategy; 2] = [FilterStrategy::NONE, FilterStrategy::Bigrams];
const CLOSE_PERCENT: usize = 25;
/// libdeflate's levels: for a first look, for most files, and where that saves a percent more than the one before.
const QUICK_LEVEL: u8 = 5;
const LEVEL: u8 = 10;
const SLOW_LEVEL: u8 = 11;
const SAVED_PERCENT: usize = 1;
/// Samples: so many bands of rows, each a share of the height, but not less than so many rows. Many show all there is; lower ones do
/// not show how rows resemble those above.
const MANY: Bands = Bands { count: 8, share: 96, least: 8 };
const HIGH: Bands = Bands { count: 2, share: 64, least: 16 };
/// Lower pictures would hardly be larger than the sample.
const LEAST_ROWS: u32 = 256;

/// oxipng's options for these pixels; its level 2 for pictures of few rows.
pub(super) fn options(pixels: &Pixels) -> Result<Options, Error> {
    let mut options = Options::from_preset(2);
    if pixels.height < LEAST_ROWS {
        return Ok(options);
    }
    options.palette_reduction = has_few_colours(pixels)?;
    let many = sample(pixels, &MANY)?;
    let mut lengths = Vec::new();
    for filter in FILTERS {
        lengths.push((length(&many, &with(&options, [filter.clone()], QUICK_LEVEL))?, filter));
    }
    lengths.sort_by_key(|(length, _)| *length);
    let (shortest, best) = lengths[0].clone();
    let high = sample(pixels, &HIGH)?;
    let [usual, slow] = [LEVEL, SLOW_LEVEL].map(|level| length(&high, &with(&options, [best.clone()], level)));
    let level = if slow? * 100 <= usual? * (100 - SAVED_PERCENT) { SLOW_LEVEL } else { LEVEL };
    let close = lengths.into_iter().filter(|(length, _)| *length * 100 <= shortest * (100 + CLOSE_PERCENT));
    Ok(with(&options, close.map(|(_, filter)| filter), level))
}

fn length(sample: &Pixels, options: &Options) -> Result<usize, Error> {
    Ok(raw_image(sample)?.create_optimized_png(options).map_err(Error::failed)?.len())
}

/// The pixels as oxipng takes them.
pub(super) fn raw_image(pixels: &Pixels) -> Result<RawImage, Error> {
    let colour = match pixels.layout {
        Layout::Grey => ColorType::Grayscale { transparent_shade: None },
        Layout::GreyAlpha => ColorType::GrayscaleAlpha,
        Layout::Rgb => ColorType::RGB { transparent_color: None },
        Layout::Rgba => ColorType::RGBA,
    };
    RawImage::new(pixels.width, pixels.height, colour, BitDepth::Eight, pixels.data.clone()).map_err(Error::failed)
}

fn with(options: &Options, filters: impl IntoIterator<Item = FilterStrategy>, level: u8) -> Options {
    let deflater = Deflater::Libdeflater { compression: level };
    Options { filters: filters.into_iter().collect(), deflater, ..options.clone() }
}

/// Whether a palette holds all colours. oxipng looks for that as well, but in a sample it might find it of that alone.
fn has_few_colours(pixels: &Pixels) -> Result<bool, Error> {
    let mut colours = Colours::up_to(MAX_COLOURS);
    each_band(pixels, &mut |rows| {
        colours.add(rows);
        Ok(())
    })?;
    Ok(colours.all().is_some())
}

struct Bands {
    count: usize,
    share: usize,
    least: usize,
}

/// Bands of whole rows, evenly spread.
fn sample(pixels: &Pixels, bands: &Bands) -> Result<Pixels, Error> {
    let height = pixels.height as usize;
    let row = pixels.width as usize * pixels.layout.channels();
    let rows = (height / bands.share).max(bands.least);
    let starts = (0..bands.count).map(|band| (height - rows) * (2 * band + 1) / (2 * bands.count));
    let data: Vec<u8> = starts.flat_map(|start| &pixels.data[start * row..(start + rows) * row]).copied().collect();
    Pixels::new(pixels.width, (bands.count * rows) as u32, pixels.layout, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::pictures::photo;

    #[test]
    fn a_photograph_is_filtered_and_a_drawing_is_not() {
        let photo = options(&photo(200, 400, Layout::Rgb)).unwrap();
        assert!(photo.filters.contains(&FilterStrategy::Bigrams) && !photo.palette_reduction);
        let drawn = (0..200 * 400).flat_map(|at| if at % 977 < 300 { [200, 30, 30] } else { [255; 3] }).collect();
        let drawing = options(&Pixels::new(200, 400, Layout::Rgb, drawn).unwrap()).unwrap();
        assert!(drawing.filters.contains(&FilterStrategy::NONE) && drawing.palette_reduction);
    }

    #[test]
    fn a_sample_has_rows_from_all_over_the_picture() {
        let rows = (0..960).flat_map(|row| [(row / 4) as u8; 3]).collect();
        let pixels = Pixels::new(1, 960, Layout::Rgb, rows).unwrap();
        let many = sample(&pixels, &MANY).unwrap();
        assert_eq!(many.height, 80);
        let starts: Vec<u8> = many.data.chunks_exact(30).map(|band| band[0]).collect();
        assert_eq!(starts, [14, 44, 74, 103, 133, 163, 192, 222]);
    }
}
