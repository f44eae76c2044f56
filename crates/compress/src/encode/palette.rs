//! How few colours a picture needs at a quality.
//!
//! A quality stands for a score, the one that a JPEG of that quality has. The number of colours that gives it is found from guesses
//! over a part of the picture; no file is written for that.

use std::collections::BTreeMap;

use fast_ssim2::Ssimulacra2Reference;

use crate::contract::Error;
use crate::encode::dither::Dither;
use crate::encode::exact_palette::{Colours, Lookup};
use crate::encode::jpeg_out::PixelEncoder;
use crate::encode::png_guess::{Mosaic, Tiles};
use crate::encode::quantise::{Histogram, MAX_COLOURS, Mapper, Palette, Splits};
use crate::encode::{Encoder as _, png_indexed};
use crate::picture::pixels::{Layout, Pixels};

/// Qualities and the guesses aimed at, straight lines between.
const AIMS: [(u8, f64); 7] = [(1, 30.0), (10, 46.0), (25, 61.0), (50, 73.0), (80, 86.0), (90, 90.5), (99, 96.0)];
/// A palette of all the colours that it can hold is used if it is as good as this share of the quality asked for.
const MISSED: f64 = 0.7;
/// Where a search for the number of colours begins, and how many points twice as many of them are worth.
const FIRST: f64 = 48.0;
const POINTS_A_DOUBLING: f64 = 9.0;
/// Guesses for a quality.
const GUESSES: usize = 4;
/// Twice as many colours are worth less the more there are: a straight line between two guesses would stay below the aim.
const SAG: f64 = 0.7;
/// A picture with more slopes than this may be dithered, if that is worth some points. Of pictures that are hardly smooth, dithering
/// would only make the files larger.
const SMOOTH_SHARE: f64 = 0.2;
const WORTHWHILE: f64 = 1.5;
/// Guesses for how few colours suffice then.
const FEWER_GUESSES: usize = 2;
/// A drawing with more slopes than this has computed gradients. Their tiles are guessed to be better than they are, and bands show: the
/// aim is so many points higher, and more for each further share of slopes.
const GRADIENT_SHARE: f64 = 0.14;
const GRADIENT_EXTRA: f64 = 6.0;
const GRADIENT_SLOPE: f64 = 50.0;
const GRADIENT_MOST: f64 = 16.0;
/// How much further away than the nearest colour a repeated one may be, as a share of how far a pixel usually is. In drawings more blurs
/// text for few bytes; in gradients it makes bands wider.
const FURTHER: f32 = 1.0;
const FURTHER_IN_DRAWINGS: f32 = 0.7;
const FURTHER_IN_GRADIENTS: f32 = 0.35;
/// A photograph that had a palette is mostly gradients if it has more slopes than this at an eighth of its size. Repeating a colour
/// there takes away its dithering: outlines appear.
const EVEN_SLOPE_SHARE: f64 = 0.5;
/// Numbers of colours closer than this are not told apart.
const CLOSE: f64 = 1.12;
/// A picture with no more colours than this keeps them all.
const FEW: usize = 16;

/// The guess aimed at.
pub(crate) fn aim(quality: u8) -> f64 {
    let quality = quality.max(1);
    let above = AIMS.partition_point(|(known, _)| *known <= quality).clamp(1, AIMS.len() - 1);
    let ((low, under), (high, over)) = (AIMS[above - 1], AIMS[above]);
    under + (over - under) * f64::from(quality - low) / f64::from(high - low)
}

/// What takes rows of RGBA pixels, some at a time.
pub(crate) type TakeRows<'a> = dyn FnMut(&[[u8; 4]]) -> Result<(), Error> + 'a;
/// What makes indices of them.
type Indexer<'a> = dyn FnMut(&[[u8; 4]], &mut Vec<u8>) + 'a;

/// The colours of one picture.
pub(crate) struct Chooser {
    histogram: Histogram,
    exact: Option<Vec<[u8; 4]>>,
    /// The share of slopes in a drawing that has gradients.
    slopes: Option<f64>,
    /// How much further away a repeated colour may be.
    further: f32,
    splits: Splits,
    tiles: Tiles,
    mosaic: Mosaic,
    is_opaque: bool,
    size: (u32, u32),
    reference: Ssimulacra2Reference,
    /// Guesses by number of colours, without and with dithering.
    plain: BTreeMap<usize, f64>,
    dithered: BTreeMap<usize, f64>,
}

/// What a picture is written with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    /// All its colours, sorted.
    Exact(Vec<[u8; 4]>),
    Plain(Palette),
    /// Dithered where it is smooth.
    Dithered(Palette),
    /// No palette is good enough.
    None,
}

/// Looks at the rows of a picture.
pub(crate) struct Survey {
    histogram: Histogram,
    colours: Colours,
    tiles: Tiles,
    is_opaque: bool,
    size: (u32, u32),
}

impl Survey {
    pub fn of(width: u32, height: u32) -> Survey {
        let tiles = Tiles::of((width as usize, height as usize));
        Survey {
            histogram: Histogram::new(),
            colours: Colours::up_to(MAX_COLOURS),
            tiles,
            is_opaque: true,
            size: (width, height),
        }
    }

    /// Adds whole rows.
    pub fn add(&mut self, pixels: &[[u8; 4]]) {
        self.histogram.add(pixels);
        self.colours.add(pixels);
        self.tiles.add(pixels);
        self.is_opaque = self.is_opaque && pixels.iter().all(|pixel| pixel[3] == 255);
    }

    pub fn chooser(self) -> Result<Chooser, Error> {
        let Survey { histogram, colours, tiles, is_opaque, size } = self;
        let mosaic = tiles.mosaic();
        let (splits, reference) = (Splits::of(&histogram), mosaic.reference()?);
        let (plain, dithered) = (BTreeMap::new(), BTreeMap::new());
        let exact = colours.all();
        let slopes = if histogram.is_flat() && exact.is_none() { Some(mosaic.gradient_share()) } else { None };
        let slopes = slopes.filter(|share| *share > GRADIENT_SHARE);
        let further = match (histogram.is_flat(), &exact) {
            (true, None) if slopes.is_some() => FURTHER_IN_GRADIENTS,
            (true, None) => FURTHER_IN_DRAWINGS,
            (false, Some(_)) if mosaic.even_slope_share() > EVEN_SLOPE_SHARE => FURTHER_IN_GRADIENTS,
            _ => FURTHER,
        };
        Ok(Chooser {
            histogram,
            exact,
            slopes,
            further,
            splits,
            tiles,
            mosaic,
            is_opaque,
            size,
            reference,
            plain,
            dithered,
        })
    }
}

/// Hands out a picture in bands of whole rows.
pub(crate) fn each_band(pixels: &Pixels, take: &mut TakeRows) -> Result<(), Error> {
    /// Rows that become RGBA together.
    const BAND_ROWS: usize = 64;
    let row = pixels.width as usize * pixels.layout.channels();
    for rows in pixels.data.chunks(row * BAND_ROWS) {
        if pixels.layout == Layout::Rgba {
            take(rows.as_chunks().0)?;
            continue;
        }
        let band = Pixels::new(pixels.width, (rows.len() / row) as u32, pixels.layout, rows.to_vec())?;
        take(band.to_layout(Layout::Rgba).data.as_chunks().0)?;
    }
    Ok(())
}

impl Chooser {
    pub fn of(pixels: &Pixels) -> Result<Chooser, Error> {
        let mut survey = Survey::of(pixels.width, pixels.height);
        each_band(pixels, &mut |rows| {
            survey.add(rows);
            Ok(())
        })?;
        survey.chooser()
    }

    /// Whether the picture is a drawing or a screenshot rather than a photograph.
    pub fn is_flat(&self) -> bool {
        self.histogram.is_flat()
    }

    /// About how many bytes a JPEG of this quality has, from a sample of the picture. `None` of what is transparent or a drawing.
    pub fn as_jpeg(&self, quality: u8) -> Result<Option<u64>, Error> {
        if !self.is_opaque || self.is_flat() {
            return Ok(None);
        }
        let sample = self.sample_pixels()?.to_layout(Layout::Rgb);
        let bytes = PixelEncoder::new(&sample, quality, None, false)?.size_at(quality)?;
        Ok(Some(self.in_proportion(bytes, sample.data.len() / 3)))
    }

    /// Pixels from all over the picture.
    pub fn sample_pixels(&self) -> Result<Pixels, Error> {
        let (width, pixels) = self.tiles.sample();
        Pixels::new(width as u32, (pixels.len() / width) as u32, Layout::Rgba, pixels.into_flattened())
    }

    /// What the whole picture takes, where so many pixels of it take these bytes.
    pub fn in_proportion(&self, bytes: u64, sampled: usize) -> u64 {
        bytes * u64::from(self.size.0) * u64::from(self.size.1) / sampled as u64
    }

    /// All colours, if they fit a palette.
    pub fn exact(&self) -> Option<&[[u8; 4]]> {
        self.exact.as_deref()
    }

    pub fn choose(&mut self, quality: u8) -> Result<Choice, Error> {
        if let Some(exact) = &self.exact
            && exact.len() <= FEW
        {
            return Ok(Choice::Exact(exact.clone()));
        }
        let aim = aim(quality) + self.extra();
        let most = self.splits.most();
        let count = self.count(aim)?;
        let guess = self.plain(count)?;
        if let Some(exact) = &self.exact
            && (count >= exact.len() || guess < aim)
        {
            return Ok(Choice::Exact(exact.clone()));
        }
        if let Some(fewer) = self.dithered_instead(count, guess, aim)? {
            return Ok(Choice::Dithered(self.splits.palette(fewer)));
        }
        if guess >= aim || count < most {
            return Ok(Choice::Plain(self.splits.palette(count)));
        }
        let dithered = self.dithered(most)?;
        Ok(match guess.max(dithered) {
            best if best < self::aim((f64::from(quality) * MISSED) as u8) => Choice::None,
            _ if dithered > guess => Choice::Dithered(self.splits.palette(most)),
            _ => Choice::Plain(self.splits.palette(most)),
        })
    }

    /// The guess for what is chosen at a quality.
    pub fn guessed_score(&mut self, quality: u8) -> Result<f64, Error> {
        match self.choose(quality)? {
            Choice::Exact(_) | Choice::None => Ok(100.0),
            Choice::Plain(palette) => self.plain(palette.colours.len()),
            Choice::Dithered(palette) => self.dithered(palette.colours.len()),
        }
    }

    /// About how many bytes a choice takes, from a sample of the picture. `None` without a palette.
    pub fn guessed_size(&self, choice: &Choice) -> Result<Option<u64>, Error> {
        /// Quick; and what the slower levels of a file leave of that, in percent.
        const LEVEL: i32 = 5;
        const LEFT: u64 = 82;
        if *choice == Choice::None {
            return Ok(None);
        }
        let (width, pixels) = self.tiles.sample();
        let indices = self.indices(choice, width, &pixels)?;
        let mut packed = Vec::new();
        png_indexed::packed(&indices, png_indexed::bits(choice.colours().len()), &mut packed);
        let bytes = png_indexed::deflated(&packed, LEVEL)?.len() as u64;
        Ok(Some(self.in_proportion(bytes * LEFT / 100, pixels.len())))
    }

    /// How much higher the aim is.
    fn extra(&self) -> f64 {
        match self.slopes {
            None => 0.0,
            Some(share) => (GRADIENT_EXTRA + (share - GRADIENT_SHARE) * GRADIENT_SLOPE).min(GRADIENT_MOST),
        }
    }

    fn mapper<'a>(&'a self, palette: &Palette) -> Mapper<'a> {
        Mapper::new(&self.histogram, palette, self.further)
    }

    /// With how many colours a photograph is dithered: where slopes take up much of it, `count` colours would leave bands.
    fn dithered_instead(&mut self, count: usize, guess: f64, aim: f64) -> Result<Option<usize>, Error> {
        let is_smooth = !self.is_flat() && self.exact.is_none() && self.mosaic.smooth_share() > SMOOTH_SHARE;
        if !is_smooth || self.dithered(count)? < guess + WORTHWHILE {
            return Ok(None);
        }
        let mut fewer = count;
        for _ in 0..FEWER_GUESSES {
            let surplus = self.dithered(fewer)? - aim;
            let next = ((fewer as f64 * (-surplus / POINTS_A_DOUBLING).exp2()) as usize).max(FEW);
            if surplus < 1.0 || next >= fewer || self.dithered(next)? < aim {
                break;
            }
            fewer = next;
        }
        Ok(Some(fewer))
    }

    /// The least number of colours that is guessed to reach the aim; the most there are if none does.
    fn count(&mut self, aim: f64) -> Result<usize, Error> {
        let most = self.splits.most();
        for _ in 0..GUESSES {
            let below = self.plain.iter().rev().find(|(_, guess)| **guess < aim).map(|(count, guess)| (*count, *guess));
            let least = below.map_or(0, |(count, _)| count);
            let above = self.plain.range(least + 1..).next().map(|(count, guess)| (*count, *guess));
            let next = match (below, above) {
                (None, None) => FIRST,
                (Some((count, guess)), None) => count as f64 * ((aim + 0.5 - guess) / POINTS_A_DOUBLING).exp2(),
                (None, Some((count, guess))) => count as f64 * ((aim + 0.5 - guess) / POINTS_A_DOUBLING).exp2(),
                (Some((low, under)), Some((high, over))) => {
                    if high <= low + 1 || high as f64 <= low as f64 * CLOSE {
                        return Ok(high);
                    }
                    let share = ((aim - under) / (over - under)).clamp(0.1, 0.9).powf(SAG);
                    low as f64 * (high as f64 / low as f64).powf(share)
                }
            };
            let next = (next.ceil() as usize).clamp(2, most);
            if self.plain.contains_key(&next) {
                break;
            }
            self.plain(next)?;
        }
        let below = self.plain.iter().rev().find(|(_, guess)| **guess < aim).map_or(0, |(count, _)| *count);
        Ok(self.plain.range(below + 1..).next().map_or(most, |(count, _)| *count))
    }

    fn plain(&mut self, count: usize) -> Result<f64, Error> {
        if let Some(guess) = self.plain.get(&count) {
            return Ok(*guess);
        }
        let palette = self.splits.palette(count);
        let mut indices = Vec::new();
        self.mapper(&palette).map(self.mosaic.pixels(), self.mosaic.width(), &mut indices);
        let guess = self.guess(&palette.colours, &indices)?;
        self.plain.insert(count, guess);
        Ok(guess)
    }

    fn dithered(&mut self, count: usize) -> Result<f64, Error> {
        if let Some(guess) = self.dithered.get(&count) {
            return Ok(*guess);
        }
        let palette = self.splits.palette(count);
        let mut indices = Vec::new();
        Dither::new(&palette, self.mosaic.width()).map(self.mosaic.pixels(), &mut indices);
        let guess = self.guess(&palette.colours, &indices)?;
        self.dithered.insert(count, guess);
        Ok(guess)
    }

    fn guess(&self, palette: &[[u8; 4]], indices: &[u8]) -> Result<f64, Error> {
        self.mosaic.score(&self.reference, indices.iter().map(|index| palette[usize::from(*index)]))
    }

    /// Whether all colours might take no more bytes than the chosen ones, by a part of the picture.
    pub fn is_exact_rival(&self, choice: &Choice) -> Result<bool, Error> {
        /// The quickest, and how much more than the real one its ratio may be, in percent.
        const LEVEL: i32 = 1;
        const MARGIN: usize = 110;
        let Some(colours) = &self.exact else {
            return Ok(false);
        };
        let length = |choice: &Choice| Ok::<_, Error>(png_indexed::deflated(&self.sample(choice)?, LEVEL)?.len());
        Ok(length(&Choice::Exact(colours.clone()))? * 100 <= length(choice)? * MARGIN)
    }

    /// Indices of a part of the picture, the one that guesses are made from.
    pub fn sample(&self, choice: &Choice) -> Result<Vec<u8>, Error> {
        self.indices(choice, self.mosaic.width(), self.mosaic.pixels())
    }

    fn indices(&self, choice: &Choice, width: usize, pixels: &[[u8; 4]]) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        let take = &mut |indices: &[u8]| {
            all.extend_from_slice(indices);
            Ok(())
        };
        self.map(choice, width as u32, |bands| bands(pixels), take)?;
        Ok(all)
    }

    /// Hands out the indices of a picture, from bands of whole rows that `bands` hands out.
    pub fn map(
        &self,
        choice: &Choice,
        width: u32,
        bands: impl FnOnce(&mut TakeRows) -> Result<(), Error>,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let width = width as usize;
        let mut indices = Vec::new();
        let each = |make: &mut Indexer| {
            bands(&mut |pixels| {
                indices.clear();
                make(pixels, &mut indices);
                take(&indices)
            })
        };
        match choice {
            Choice::None => Err(Error::failed("a picture without a palette")),
            Choice::Exact(palette) => {
                let mut lookup = Lookup::new(palette);
                each(&mut |pixels, indices| indices.extend(lookup.map(pixels.as_flattened())))
            }
            Choice::Plain(palette) => {
                let mut mapper = self.mapper(palette);
                each(&mut |pixels, indices| mapper.map(pixels, width, indices))
            }
            Choice::Dithered(palette) => {
                let mut dither = Dither::new(palette, width);
                each(&mut |pixels, indices| dither.map(pixels, indices))
            }
        }
    }
}

impl Choice {
    pub fn colours(&self) -> &[[u8; 4]] {
        match self {
            Choice::Exact(colours) => colours,
            Choice::Plain(palette) | Choice::Dithered(palette) => &palette.colours,
            Choice::None => &[],
        }
    }

    pub fn is_lossless(&self) -> bool {
        matches!(self, Choice::Exact(_) | Choice::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::pictures::{Random, photo};

    #[test]
    fn a_higher_quality_aims_higher() {
        assert!((1..=99).all(|quality| aim(quality) < aim(quality + 1) || quality == 99));
        assert_eq!((aim(1), aim(50), aim(99)), (30.0, 73.0, 96.0));
    }

    #[test]
    fn a_higher_quality_has_more_colours() {
        let mut chooser = Chooser::of(&photo(300, 200, Layout::Rgb)).unwrap();
        let mut before = 0;
        for quality in [5, 15, 25, 35] {
            let choice = chooser.choose(quality).unwrap();
            assert!(matches!(choice, Choice::Plain(_) | Choice::Dithered(_)), "{quality}: {choice:?}");
            let count = choice.colours().len();
            assert!(count > before, "{quality}: {count} after {before}");
            before = count;
        }
    }

    #[test]
    fn all_colours_are_tried_where_they_take_about_as_many_bytes() {
        let mut shades = photo(300, 200, Layout::Rgb);
        shades.data.chunks_exact_mut(3).for_each(|pixel| pixel.fill(pixel[1] & 0xf8 | 4));
        let mut chooser = Chooser::of(&shades).unwrap();
        assert!(chooser.exact().is_some_and(|colours| colours.len() > FEW));
        let few = Choice::Plain(chooser.splits.palette(3));
        assert!(!chooser.is_exact_rival(&few).unwrap());
        let choice = chooser.choose(99).unwrap();
        assert!(chooser.is_exact_rival(&choice).unwrap(), "{choice:?}");
    }

    #[test]
    fn few_colours_are_all_kept_and_too_many_are_not_reduced() {
        let stripes: Vec<u8> = (0..64 * 64 * 3).map(|at| (at / 3 % 16 * 15) as u8).collect();
        let stripes = Pixels::new(64, 64, Layout::Rgb, stripes).unwrap();
        let choice = Chooser::of(&stripes).unwrap().choose(1).unwrap();
        assert!(matches!(&choice, Choice::Exact(colours) if colours.len() == 16), "{choice:?}");

        let mut random = Random(7);
        let noise = (0..200 * 200 * 3).map(|_| random.next() as u8).collect();
        let noise = Pixels::new(200, 200, Layout::Rgb, noise).unwrap();
        assert_eq!(Chooser::of(&noise).unwrap().choose(95).unwrap(), Choice::None);
    }
}
