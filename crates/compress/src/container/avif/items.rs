//! The items of a file: which it has, what they are to each other, and where their bytes are.

use std::borrow::Cow;
use std::ops::Range;

use super::boxes::{Fields, Part, parts};

/// More boxes are not looked at in those that hold about ten.
const MAX_PARTS: usize = 64;
/// An item's properties are counted in 15 bits.
const MAX_PROPERTIES: usize = (1 << 15) - 1;

#[derive(Debug)]
pub(super) struct Item {
    pub id: u32,
    pub kind: [u8; 4],
}

/// The parts of the `meta` box that are needed.
pub(super) struct Meta<'a> {
    file: &'a [u8],
    pub primary: u32,
    pub items: Vec<Item>,
    /// `iloc`, `ipma` and `iref` are walked for each question: there are few.
    locations: Fields<'a>,
    inline: &'a [u8],
    associations: Fields<'a>,
    properties: Vec<Part<'a>>,
    references: &'a [u8],
}

impl<'a> Meta<'a> {
    pub fn of(file: &'a [u8]) -> Option<Meta<'a>> {
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

    pub fn item(&self, id: u32) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// An item's properties, and whether a reader must know each.
    pub fn properties_of(&self, id: u32) -> Vec<(Part<'a>, bool)> {
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
    pub fn alpha_of(&self, id: u32) -> Option<&Item> {
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
    pub fn referring(&self, kind: &'static [u8; 4], to: u32) -> impl Iterator<Item = u32> {
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
    pub fn data(&self, item: &Item) -> Option<Cow<'a, [u8]>> {
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
    pub fn extents(&self, item: &Item) -> Option<Vec<Range<usize>>> {
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
