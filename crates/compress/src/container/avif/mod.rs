//! AVIF: one still picture in an ISO base media file (ISO/IEC 14496-12, 23008-12; AV1 Image File Format 1.1), and what belongs to it.
//!
//! Finds the items and their properties; the pictures themselves are AV1. No offset is trusted, and nothing is allocated but
//! lists no longer than the file.

mod boxes;
mod items;

use std::borrow::Cow;
use std::ops::Range;

use self::boxes::{Fields, Part};
use self::items::{Item, Meta};
use crate::contract::{Error, Format};

/// The pictures of a file, and what is said of them.
#[derive(Debug)]
pub(crate) struct Avif<'a> {
    /// Pixels as stored.
    pub width: u32,
    pub height: u32,
    pub colour: Cow<'a, [u8]>,
    /// A picture of the same size whose samples are the transparency.
    pub alpha: Option<Cow<'a, [u8]>>,
    /// The colours have been multiplied by it.
    pub is_premultiplied: bool,
    pub is_grey: bool,
    /// As EXIF numbers it, 1–8. EXIF itself has no say in this format.
    pub orientation: u8,
    pub icc: Option<&'a [u8]>,
    pub coding: Option<Coding>,
}

/// How colours are coded, in the numbers of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
    pub is_full_range: bool,
}

/// Reads the boxes around the pictures.
pub(crate) fn read(bytes: &[u8]) -> Result<Avif<'_>, Error> {
    if bytes.get(8..12) == Some(b"avis") {
        return Err(Error::unsupported_because(Format::Avif, "an animation"));
    }
    let meta = Meta::of(bytes).ok_or_else(damaged)?;
    let primary = meta.item(meta.primary).ok_or_else(damaged)?;
    if &primary.kind != b"av01" {
        return Err(Error::unsupported_because(Format::Avif, "a picture put together from others"));
    }
    let mut properties = Properties::default();
    for (property, is_essential) in meta.properties_of(primary.id) {
        if !properties.take(property) && is_essential {
            return Err(Error::unsupported_because(Format::Avif, "an unusual coding"));
        }
    }
    let (width, height) = properties.size.ok_or_else(damaged)?;
    if width == 0 || height == 0 {
        return Err(Error::corrupt("it has no pixels"));
    }
    let alpha = meta.alpha_of(primary.id);
    Ok(Avif {
        width,
        height,
        colour: meta.data(primary).ok_or_else(damaged)?,
        is_premultiplied: alpha.is_some_and(|alpha| meta.referring(b"prem", alpha.id).any(|from| from == primary.id)),
        alpha: alpha.map(|alpha| meta.data(alpha).ok_or_else(damaged)).transpose()?,
        is_grey: properties.is_grey,
        orientation: orientation(properties.turns, properties.mirror),
        icc: properties.icc,
        coding: properties.coding,
    })
}

/// Where its EXIF's TIFF data and its XMP packet lie, if each is in one place.
pub(crate) fn metadata(bytes: &[u8]) -> (Option<Range<usize>>, Option<Range<usize>>) {
    let Some(meta) = Meta::of(bytes) else { return (None, None) };
    // Pieces may follow each other without a gap.
    let range = |item: &Item| {
        let mut pieces = meta.extents(item)?.into_iter();
        let first = pieces.next()?;
        pieces.try_fold(first, |whole, piece| (whole.end == piece.start).then_some(whole.start..piece.end))
    };
    let find = |kind: &[u8; 4]| meta.items.iter().filter(|item| &item.kind == kind).find_map(range);
    // Before the TIFF data stands how many bytes to skip (23008-12, A.2.1).
    let exif = find(b"Exif").and_then(|range| {
        let skip = u32::from_be_bytes(*bytes.get(range.clone())?.first_chunk()?);
        let start = range.start.checked_add(4)?.checked_add(usize::try_from(skip).ok()?)?;
        (start < range.end).then_some(start..range.end)
    });
    (exif, find(b"mime"))
}

fn damaged() -> Error {
    Error::corrupt("the boxes of the AVIF are damaged")
}

/// Quarter turns against the clock, then an axis (23008-12, 6.5.10 and 6.5.12), as an orientation of EXIF.
fn orientation(turns: u8, mirror: Option<u8>) -> u8 {
    match (turns & 3, mirror.map(|axis| axis & 1)) {
        (0, None) => 1,
        (1, None) => 8,
        (2, None) => 3,
        (_, None) => 6,
        // Top to bottom.
        (0, Some(0)) => 4,
        (1, Some(0)) => 5,
        (2, Some(0)) => 2,
        (_, Some(0)) => 7,
        // Left to right.
        (0, _) => 2,
        (1, _) => 7,
        (2, _) => 4,
        (_, _) => 5,
    }
}

/// What the properties of a picture say.
#[derive(Default)]
struct Properties<'a> {
    size: Option<(u32, u32)>,
    is_grey: bool,
    turns: u8,
    mirror: Option<u8>,
    icc: Option<&'a [u8]>,
    coding: Option<Coding>,
}

impl<'a> Properties<'a> {
    /// Whether the property is known.
    fn take(&mut self, part: Part<'a>) -> bool {
        self.read(part).unwrap_or(false)
    }

    fn read(&mut self, part: Part<'a>) -> Option<bool> {
        let mut fields = Fields(part.data);
        match &part.name {
            b"ispe" => {
                fields.version()?;
                self.size = Some((fields.id(true)?, fields.id(true)?));
            }
            // The bit after profile, level, tier and depth (AV1-ISOBMFF, 2.3.3).
            b"av1C" => self.is_grey = part.data.get(2)? >> 4 & 1 == 1,
            b"irot" => self.turns = *part.data.first()?,
            b"imir" => self.mirror = Some(*part.data.first()?),
            b"colr" => match &fields.name()? {
                b"nclx" => {
                    let mut number = || u16::try_from(fields.number(2)?).ok();
                    let [primaries, transfer, matrix] = [number()?, number()?, number()?];
                    let is_full_range = fields.number(1)? >> 7 == 1;
                    self.coding = Some(Coding { primaries, transfer, matrix, is_full_range });
                }
                b"prof" | b"rICC" => self.icc = Some(fields.0),
                _ => {}
            },
            b"pixi" | b"pasp" | b"auxC" | b"a1op" | b"a1lx" | b"lsel" => {}
            _ => return Some(false),
        }
        Some(true)
    }
}
