//! Boxes, and the numbers in them (ISO/IEC 14496-12).

/// A box: its name and its data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub name: [u8; 4],
    pub data: &'a [u8],
}

/// The boxes in `data`, up to the first that is longer than what is left.
pub(super) fn parts(mut data: &[u8]) -> impl Iterator<Item = Part<'_>> {
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
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Of 0 to 8 bytes.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Of 2 bytes, or of 4 where the box's version says so.
    pub fn id(&mut self, is_wide: bool) -> Option<u32> {
        u32::try_from(self.number(if is_wide { 4 } else { 2 })?).ok()
    }

    pub fn name(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.try_into().ok()
    }

    /// Version and flags.
    pub fn version(&mut self) -> Option<(u8, u32)> {
        let both = u32::try_from(self.number(4)?).ok()?;
        Some(((both >> 24) as u8, both & 0x00FF_FFFF))
    }
}
