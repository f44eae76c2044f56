//! AVIF: one still picture in an ISO base media file (ISO/IEC 14496-12, 23008-12; AV1 Image File Format 1.1), and what belongs to it.
//!
//! Finds the items and their properties; the pictures themselves are AV1. No offset is trusted, and nothing is allocated but
//! lists no longer than the file.

use std::borrow::Cow;
use std::ops::Range;

use crate::contract::{Error, Format};

/// More boxes are not looked at in those that hold about ten.
const MAX_PARTS: usize = 64;
/// An item's properties are counted in 15 bits.
const MAX_PROPERTIES: usize = (1 << 15) - 1;

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

/// A box: its name and its data.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    name: [u8; 4],
    data: &'a [u8],
}

/// The boxes in `data`, up to the first that is longer than what is left.
fn parts(mut data: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let mut head = Fields(data);
        let (short, name) = (head.number(4)?, head.name()?);
        let size = match short {
            0 => data.len(),
            1 => usize::try_from(head.number(8)?).ok()?,
            size => usize::try_from(size).ok()?,
        };
        let part = Part { name, data: data.get(data.len() - head.0.len()..size)? };
        data = &data[size..];
        Some(part)
    })
}

/// Big-endian numbers one after the other.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Of 0 to 8 bytes.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Of 2 bytes, or of 4 where the box's version says so.
    fn id(&mut self, is_wide: bool) -> Option<u32> {
        u32::try_from(self.number(if is_wide { 4 } else { 2 })?).ok()
    }

    fn name(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.try_into().ok()
    }

    /// Version and flags.
    fn version(&mut self) -> Option<(u8, u32)> {
        let both = u32::try_from(self.number(4)?).ok()?;
        Some(((both >> 24) as u8, both & 0x00FF_FFFF))
    }
}

#[derive(Debug)]
struct Item {
    id: u32,
    kind: [u8; 4],
}

/// The parts of the `meta` box that are needed.
struct Meta<'a> {
    file: &'a [u8],
    primary: u32,
    items: Vec<Item>,
    /// `iloc`, `ipma` and `iref` are walked for each question: there are few.
    locations: Fields<'a>,
    inline: &'a [u8],
    associations: Fields<'a>,
    properties: Vec<Part<'a>>,
    references: &'a [u8],
}

impl<'a> Meta<'a> {
    fn of(file: &'a [u8]) -> Option<Meta<'a>> {
        let meta = parts(file).find(|part| &part.name == b"meta")?;
        let children: Vec<Part<'a>> = parts(meta.data.get(4..)?).take(MAX_PARTS).collect();
        let find =
            |list: &[Part<'a>], name: &[u8; 4]| list.iter().find(|part| &part.name == name).map(|part| part.data);
        let mut primary = Fields(find(&children, b"pitm")?);
        let (version, _) = primary.version()?;
        let described: Vec<Part<'a>> = parts(find(&children, b"iprp")?).take(MAX_PARTS).collect();
        Some(Meta {
            file,
            primary: primary.id(version > 0)?,
            items: items(find(&children, b"iinf")?)?,
            locations: Fields(find(&children, b"iloc")?),
            inline: find(&children, b"idat").unwrap_or_default(),
            associations: Fields(find(&described, b"ipma")?),
            properties: parts(find(&described, b"ipco")?).take(MAX_PROPERTIES).collect(),
            references: find(&children, b"iref").unwrap_or_default(),
        })
    }

    fn item(&self, id: u32) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// An item's properties, and whether a reader must know each.
    fn properties_of(&self, id: u32) -> Vec<(Part<'a>, bool)> {
        self.associated(id).unwrap_or_default()
    }

    /// 23008-12, 9.3.2.
    fn associated(&self, wanted: u32) -> Option<Vec<(Part<'a>, bool)>> {
        let mut fields = self.associations;
        let (version, flags) = fields.version()?;
        let bytes = if flags & 1 == 1 { 2 } else { 1 };
        for _ in 0..fields.number(4)? {
            let id = fields.id(version > 0)?;
            let count = usize::try_from(fields.number(1)?).ok()?;
            let mut list = Fields(fields.take(count * bytes)?);
            if id != wanted {
                continue;
            }
            let mut found = Vec::with_capacity(count);
            while let Some(entry) = list.number(bytes) {
                let essential = 1 << (8 * bytes - 1);
                // They are counted from 1; 0 is none.
                let at = usize::try_from(entry & (essential - 1)).ok()?;
                let property = at.checked_sub(1).and_then(|at| self.properties.get(at));
                found.extend(property.map(|property| (*property, entry & essential != 0)));
            }
            return Some(found);
        }
        None
    }

    /// The picture that is the transparency of another.
    fn alpha_of(&self, id: u32) -> Option<&Item> {
        const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];
        let is_alpha = |part: &Part| {
            let name = part.data.get(4..).unwrap_or_default();
            &part.name == b"auxC" && ALPHA.contains(&name.split(|byte| *byte == 0).next().unwrap_or_default())
        };
        /// A picture has a depth map and the like besides, not more.
        const MAX_AUXILIARIES: usize = 16;
        let mut auxiliaries = self.referring(b"auxl", id).take(MAX_AUXILIARIES).filter_map(|id| self.item(id));
        auxiliaries
            .find(|item| &item.kind == b"av01" && self.properties_of(item.id).iter().any(|(part, _)| is_alpha(part)))
    }

    /// The items with a reference of this kind to another (14496-12, 8.11.12).
    fn referring(&self, kind: &'static [u8; 4], to: u32) -> impl Iterator<Item = u32> {
        let mut fields = Fields(self.references);
        let is_wide = fields.version().is_some_and(|(version, _)| version > 0);
        parts(fields.0).filter(move |part| &part.name == kind).filter_map(move |part| {
            let mut list = Fields(part.data);
            let from = list.id(is_wide)?;
            list.number(2)?;
            std::iter::from_fn(|| list.id(is_wide)).any(|id| id == to).then_some(from)
        })
    }

    /// An item's bytes: borrowed where they are in one piece.
    fn data(&self, item: &Item) -> Option<Cow<'a, [u8]>> {
        let extents = self.extents(item)?;
        if let [range] = &extents[..] {
            return self.file.get(range.clone()).map(Cow::Borrowed);
        }
        let length: usize = extents.iter().map(ExactSizeIterator::len).sum();
        if length > self.file.len() {
            return None;
        }
        let pieces: Option<Vec<&[u8]>> = extents.into_iter().map(|range| self.file.get(range)).collect();
        Some(Cow::Owned(pieces?.concat()))
    }

    /// Where an item's bytes lie in the file (14496-12, 8.11.3).
    fn extents(&self, item: &Item) -> Option<Vec<Range<usize>>> {
        let mut fields = self.locations;
        let (version, _) = fields.version()?;
        let sizes = fields.number(2)?;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|shift| (sizes >> shift & 15) as usize);
        let index = if version == 0 { 0 } else { index };
        if [offset, length, base, index].into_iter().any(|bytes| bytes > 8) {
            return None;
        }
        for _ in 0..fields.id(version > 1)? {
            let id = fields.id(version > 1)?;
            let method = if version == 0 { 0 } else { fields.number(2)? & 15 };
            let is_here = fields.number(2)? == 0;
            let base = fields.number(base)?;
            let count = usize::try_from(fields.number(2)?).ok()?;
            let mut list = Fields(fields.take(count * (index + offset + length))?);
            if id != item.id {
                continue;
            }
            let (start, whole) = match method {
                0 => (0, self.file.len()),
                1 => (self.inline.as_ptr().addr() - self.file.as_ptr().addr(), self.inline.len()),
                _ => return None,
            };
            let mut found = Vec::with_capacity(count);
            for _ in 0..count {
                list.take(index)?;
                let from = usize::try_from(base.checked_add(list.number(offset)?)?).ok()?;
                // No length is all that is left.
                let bytes = match usize::try_from(list.number(length)?).ok()? {
                    0 => whole.checked_sub(from)?,
                    bytes => bytes,
                };
                let end = from.checked_add(bytes).filter(|end| *end <= whole)?;
                found.push(start + from..start + end);
            }
            return is_here.then_some(found);
        }
        None
    }
}

/// Those that `iinf` lists by number and kind (14496-12, 8.11.6).
fn items(data: &[u8]) -> Option<Vec<Item>> {
    let mut fields = Fields(data);
    let (version, _) = fields.version()?;
    fields.id(version > 0)?;
    let item = |part: Part| {
        let mut fields = Fields(part.data);
        let (version, _) = fields.version()?;
        let id = fields.id(version > 2)?;
        fields.number(2)?;
        Some(Item { id, kind: fields.name()? })
    };
    Some(parts(fields.0).filter(|part| &part.name == b"infe").filter_map(item).collect())
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
