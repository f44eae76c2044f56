//! Which part of a picture a new frame of an animation must draw.

/// A part of a picture, at least a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Part {
    /// The smallest part with both of these.
    pub fn and(self, other: Part) -> Part {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let right = (self.left + self.width).max(other.left + other.width);
        let bottom = (self.top + self.height).max(other.top + other.height);
        Part { left, top, width: right - left, height: bottom - top }
    }

    /// The same, from an even column and row on.
    pub fn evened(self) -> Part {
        let Part { left, top, width, height } = self;
        Part { left: left & !1, top: top & !1, width: width + (left & 1), height: height + (top & 1) }
    }

    pub fn area(&self) -> usize {
        self.width * self.height
    }

    /// Its pixels, of a picture with rows of `width`.
    pub fn cut<T: Copy>(&self, picture: &[T], width: usize) -> Vec<T> {
        let mut cut = Vec::with_capacity(self.area());
        for row in picture.chunks_exact(width).skip(self.top).take(self.height) {
            cut.extend_from_slice(&row[self.left..self.left + self.width]);
        }
        cut
    }

    /// Puts pixels there.
    pub fn put<T: Copy>(&self, picture: &mut [T], width: usize, pixels: &[T]) {
        let rows = picture.chunks_exact_mut(width).skip(self.top).take(self.height);
        for (row, pixels) in rows.zip(pixels.chunks_exact(self.width)) {
            row[self.left..self.left + self.width].copy_from_slice(pixels);
        }
    }

    pub fn fill<T: Copy>(&self, picture: &mut [T], width: usize, pixel: T) {
        for row in picture.chunks_exact_mut(width).skip(self.top).take(self.height) {
            row[self.left..self.left + self.width].fill(pixel);
        }
    }
}

/// The smallest part with all pixels that differ between two pictures with rows of `width`. Equal pixels never do.
pub(super) fn changed(
    before: &[[u8; 4]],
    after: &[[u8; 4]],
    width: usize,
    differ: impl Fn([u8; 4], [u8; 4]) -> bool,
) -> Option<Part> {
    let mut found: Option<Part> = None;
    for (top, (before, after)) in before.chunks_exact(width).zip(after.chunks_exact(width)).enumerate() {
        if before == after {
            continue;
        }
        let is_changed = |at: &usize| differ(before[*at], after[*at]);
        let Some(left) = (0..width).find(is_changed) else {
            continue;
        };
        let right = (left..width).rfind(is_changed).unwrap_or(left) + 1;
        let row = Part { left, top, width: right - left, height: 1 };
        found = Some(found.map_or(row, |found| found.and(row)));
    }
    found
}
