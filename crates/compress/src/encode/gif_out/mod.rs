//! Writes GIF, still and animated: each frame draws only what changed, in as few colours and codes as its quality needs.
//!
//! Frames, delays and the number of plays stay. What is lost is lost in three ways: pixels that hardly change stay as they are, a
//! frame has fewer colours, and a pixel may have a colour near its own where that makes strings longer ([`lzw`]).

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::container::gif::{self, Frame};
use crate::contract::Error;
use crate::encode::changes::{Part, changed};
use crate::encode::quantise::{Histogram, Mapper, Splits};
use crate::encode::{Encoded, Encoder, sheet};
use crate::picture::animation::{Animation, Delay, Reel, Shown};
use crate::picture::pixels::Pixels;

mod frame_colours;
mod loss;
mod lzw;

use frame_colours::Colours;
use loss::{Loss, distance};

/// What a table can hold.
const MAX_COLOURS: usize = 256;
/// Colours that may replace another: more cost time and gain nothing.
const NEAR: usize = 6;
/// Pixels with less alpha are transparent.
const OPAQUE_FROM_ALPHA: u8 = 128;

pub(crate) struct GifEncoder<'a> {
    animation: Animation<'a>,
    /// The colours of all frames together.
    colours: Colours,
    /// Files made so far, by quality.
    made: BTreeMap<u8, Vec<u8>>,
}

impl<'a> GifEncoder<'a> {
    pub fn new(animation: Animation<'a>) -> Result<GifEncoder<'a>, Error> {
        let mut colours = Colours::new();
        let mut reel = animation.reel()?;
        let (width, height) = animation.size();
        let (width, mut before) = (width as usize, vec![[0; 4]; width as usize * height as usize]);
        while let Some(shown) = next(&mut reel)? {
            let pixels = rgba(&shown);
            for (before, row) in before.chunks_exact(width).zip(pixels.chunks_exact(width)) {
                if before != row {
                    colours.add(row.iter().copied());
                }
            }
            before.copy_from_slice(pixels);
        }
        Ok(GifEncoder { animation, colours, made: BTreeMap::new() })
    }

    /// `None` where a frame has more colours than a table, and none may be lost.
    fn write(&self, loss: &Loss) -> Result<Option<Vec<u8>>, Error> {
        let mut writer = Writer::new(&self.animation, &self.colours, loss)?;
        let mut reel = self.animation.reel()?;
        let mut current = next(&mut reel)?;
        while let Some(shown) = current {
            let following = next(&mut reel)?;
            if !writer.frame(&shown, following.as_ref())? {
                return Ok(None);
            }
            current = following;
        }
        gif::end(&mut writer.out);
        Ok(Some(writer.out))
    }
}

/// The next picture, each pixel opaque or transparent black.
fn next(reel: &mut Reel<'_>) -> Result<Option<Shown>, Error> {
    let mut shown = reel.next()?;
    if let Some(Shown { pixels, .. }) = &mut shown {
        for pixel in pixels.data.as_chunks_mut::<4>().0 {
            if pixel[3] < OPAQUE_FROM_ALPHA {
                *pixel = [0; 4];
            } else {
                pixel[3] = 255;
            }
        }
    }
    Ok(shown)
}

fn rgba(shown: &Shown) -> &[[u8; 4]] {
    shown.pixels.data.as_chunks().0
}

impl Encoder for GifEncoder<'_> {
    fn own_quality(&self) -> u8 {
        100
    }

    fn encode(&mut self, quality: u8) -> Result<Encoded, Error> {
        let bytes = match self.made.get(&quality) {
            Some(bytes) => bytes.clone(),
            None => {
                let bytes =
                    self.write(&Loss::at(quality))?.ok_or_else(|| Error::failed("a frame has too many colours"))?;
                self.made.insert(quality, bytes.clone());
                bytes
            }
        };
        Ok(Encoded { bytes, quality: Some(quality), warnings: Vec::new() })
    }

    fn lossless(&mut self) -> Result<Option<Encoded>, Error> {
        let bytes = if self.animation.is_resized() { None } else { self.write(&Loss::NONE)? };
        Ok(bytes.map(|bytes| Encoded { bytes, quality: None, warnings: Vec::new() }))
    }

    fn shown(&mut self, encoded: &Encoded) -> Result<Pixels, Error> {
        sheet::of_file(&encoded.bytes, self.animation.deadline())
    }
}

/// Colours with symbols, and what they may be replaced by.
struct Table {
    colours: Vec<[u8; 4]>,
    /// The symbol that draws nothing.
    transparent: Option<u8>,
    near: Vec<Vec<u8>>,
}

impl Table {
    fn new(colours: Vec<[u8; 4]>, transparent: Option<u8>, loss: &Loss) -> Table {
        let near = if loss.limit == 0 {
            Vec::new()
        } else {
            let near_to = |at: usize| {
                let mut near: Vec<(u32, u8)> = (0..colours.len())
                    .filter(|other| *other != at && colours[at][3] > 0 && colours[*other][3] > 0)
                    .map(|other| (distance(colours[at], colours[other]), other as u8))
                    .filter(|(away, _)| *away <= loss.limit)
                    .collect();
                near.sort_unstable();
                near.truncate(NEAR);
                near.into_iter().map(|(_, other)| other).collect()
            };
            (0..colours.len()).map(near_to).collect()
        };
        Table { colours, transparent, near }
    }

    fn rgb(&self) -> Vec<[u8; 3]> {
        self.colours.iter().map(|[r, g, b, _]| [*r, *g, *b]).collect()
    }
}

/// A file that is being written.
struct Writer<'l> {
    width: usize,
    /// What is shown before the next frame is drawn.
    shown: Vec<[u8; 4]>,
    /// The table of all frames, and which of the source's colours has which symbol.
    shared: Option<(Rc<Table>, Colours, Vec<u8>)>,
    loss: &'l Loss,
    out: Vec<u8>,
    symbols: Vec<u8>,
}

impl<'l> Writer<'l> {
    fn new(animation: &Animation<'_>, colours: &Colours, loss: &'l Loss) -> Result<Writer<'l>, Error> {
        let (width, height) = animation.size();
        let side = |side: u32| {
            u16::try_from(side).map_err(|_| Error::failed("GIF output is limited to 65535 pixels per side"))
        };
        let shared =
            (!colours.are_too_many && colours.found.len() < MAX_COLOURS && !animation.is_resized()).then(|| {
                let mut sorted: Vec<([u8; 4], u32)> = colours.found.clone();
                // Frequent colours first: a frame that has only these has shorter codes.
                sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let mut table = vec![[0; 4]];
                table.extend(sorted.into_iter().map(|(colour, _)| colour));
                let symbols = symbols(colours, &table);
                (Rc::new(Table::new(table, Some(0), loss)), colours.clone(), symbols)
            });
        let table = shared.as_ref().map_or_else(Vec::new, |(table, ..)| table.rgb());
        Ok(Writer {
            width: width as usize,
            shown: vec![[0; 4]; width as usize * height as usize],
            out: gif::start(side(width)?, side(height)?, &table, animation.plays()?),
            shared,
            loss,
            symbols: Vec::new(),
        })
    }

    /// Whether the frame could be written.
    fn frame(&mut self, shown: &Shown, next: Option<&Shown>) -> Result<bool, Error> {
        let (wanted, loss) = (rgba(shown), self.loss);
        let drawn = changed(&self.shown, wanted, self.width, |before, after| !loss.may_stay(before, after));
        // What the next frame does not cover any more must be cleared after this one.
        let cleared = next
            .and_then(|next| changed(wanted, rgba(next), self.width, |before, after| before[3] > 0 && after[3] == 0));
        let part = match (drawn, cleared) {
            (Some(drawn), Some(cleared)) => drawn.and(cleared),
            (Some(part), None) | (None, Some(part)) => part,
            // A frame shows at least a pixel.
            (None, None) => Part { left: 0, top: 0, width: 1, height: 1 },
        };
        let (before, after) = (part.cut(&self.shown, self.width), part.cut(wanted, self.width));
        let may_stay: Vec<bool> = before.iter().zip(&after).map(|(a, b)| loss.may_stay(*a, *b)).collect();
        let Some((table, own, is_shared)) = self.symbols_for(&after, &may_stay, part.width) else {
            return Ok(false);
        };
        let highest = own.iter().copied().chain(table.near.iter().flatten().copied()).max().unwrap_or(0);
        let highest = highest.max(table.transparent.unwrap_or(0));
        let bits = (u16::from(highest) + 1).next_power_of_two().trailing_zeros().max(2) as u8;
        let picture = lzw::Picture {
            width: part.width,
            wanted: &after,
            before: &before,
            may_stay: &may_stay,
            own: &own,
            colours: &table.colours,
            transparent: table.transparent,
            near: &table.near,
            limit: loss.limit,
            bit: loss.bit,
        };
        let data = lzw::encode(&picture, bits, &mut self.symbols);
        let mut drawn = before;
        for (pixel, symbol) in drawn.iter_mut().zip(&self.symbols) {
            if Some(*symbol) != table.transparent {
                *pixel = table.colours[usize::from(*symbol)];
            }
        }
        part.put(&mut self.shown, self.width, &drawn);
        if cleared.is_some() {
            part.fill(&mut self.shown, self.width, [0; 4]);
        }
        let colours = (!is_shared).then(|| table.rgb());
        // The sides of the screen have 16 bits.
        let [left, top, width, height] = [part.left, part.top, part.width, part.height].map(|side| side as u16);
        gif::write(
            &mut self.out,
            &Frame {
                left,
                top,
                width,
                height,
                delay: hundredths(shown.delay),
                is_cleared: cleared.is_some(),
                transparent: table.transparent,
                colours: colours.as_deref(),
                data: &data,
            },
        );
        Ok(true)
    }

    /// The table of a frame, the symbol of each pixel, and whether the table is the shared one.
    fn symbols_for(&self, pixels: &[[u8; 4]], may_stay: &[bool], width: usize) -> Option<(Rc<Table>, Vec<u8>, bool)> {
        if let Some((table, colours, symbols)) = &self.shared {
            let symbol = |pixel: &[u8; 4]| match colours.index(*pixel) {
                Some(at) if pixel[3] > 0 => symbols[usize::from(at)],
                _ => 0,
            };
            return Some((Rc::clone(table), pixels.iter().map(symbol).collect(), true));
        }
        let loss = self.loss;
        let must = || pixels.iter().zip(may_stay).filter(|(_, may_stay)| !**may_stay).map(|(pixel, _)| *pixel);
        let mut colours = Colours::new();
        colours.add(must());
        let needs_transparent = may_stay.contains(&true) || pixels.iter().any(|pixel| pixel[3] == 0);
        let most = MAX_COLOURS - usize::from(needs_transparent);
        if !colours.are_too_many && colours.found.len() <= most {
            let kept = colours.found.iter().map(|(colour, _)| *colour).collect();
            let (table, transparent) = with_transparent(kept, needs_transparent);
            let symbols = symbols(&colours, &table);
            let own = pixels
                .iter()
                .map(|pixel| match (pixel[3], colours.index(*pixel)) {
                    (255, Some(at)) => symbols[usize::from(at)],
                    _ => transparent.unwrap_or(0),
                })
                .collect();
            return Some((Rc::new(Table::new(table, transparent, loss)), own, false));
        }
        if loss.is_exact {
            return None;
        }
        let must: Vec<[u8; 4]> = must().collect();
        let mut histogram = Histogram::new();
        histogram.add(&must);
        let mut palette = Splits::of(&histogram).palette(most);
        palette.colours.retain(|colour| colour[3] > 0);
        let mut own = Vec::with_capacity(pixels.len());
        let mut everything = Histogram::new();
        everything.add(pixels);
        Mapper::new(&everything, &palette, 1.0).map(pixels, width, &mut own);
        let (table, transparent) = with_transparent(palette.colours, needs_transparent);
        for (symbol, pixel) in own.iter_mut().zip(pixels) {
            *symbol = match transparent {
                Some(transparent) if pixel[3] == 0 => transparent,
                Some(_) => *symbol + 1,
                None => *symbol,
            };
        }
        Some((Rc::new(Table::new(table, transparent, loss)), own, false))
    }
}

/// Puts the symbol that draws nothing first.
fn with_transparent(mut colours: Vec<[u8; 4]>, is_needed: bool) -> (Vec<[u8; 4]>, Option<u8>) {
    if is_needed {
        colours.insert(0, [0; 4]);
    }
    (colours, is_needed.then_some(0))
}

/// The symbol of each of these colours, all of which are in the table.
fn symbols(colours: &Colours, table: &[[u8; 4]]) -> Vec<u8> {
    // A table has at most 256 colours.
    let symbol = |colour| table.iter().position(|own| *own == colour).unwrap_or(0) as u8;
    colours.found.iter().map(|(colour, _)| symbol(*colour)).collect()
}

fn hundredths(delay: Delay) -> u16 {
    let hundredths =
        (u64::from(delay.numerator) * 100 + u64::from(delay.denominator) / 2) / u64::from(delay.denominator);
    u16::try_from(hundredths).unwrap_or(u16::MAX)
}
