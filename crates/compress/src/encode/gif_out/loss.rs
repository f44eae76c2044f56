//! What may be lost at a quality.

/// What may be lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    /// How far from its colour a pixel may stay as it is, or get another one: a squared distance.
    pub limit: u32,
    /// What a bit is worth in these.
    pub bit: u32,
    /// A frame with more colours than a table is not written.
    pub is_exact: bool,
}

impl Loss {
    pub const NONE: Loss = Loss { limit: 0, bit: 1, is_exact: true };

    /// At quality 50 a pixel may be off by sixteen levels of brightness.
    pub fn at(quality: u8) -> Loss {
        let lost = 100 - u32::from(quality.min(100));
        Loss { limit: lost * 5, bit: (lost * 2).max(1), is_exact: false }
    }

    /// Whether a pixel may stay as it is.
    pub fn may_stay(&self, shown: [u8; 4], wanted: [u8; 4]) -> bool {
        shown == wanted || (shown[3] == wanted[3] && distance(shown, wanted) <= self.limit)
    }
}

/// How far two opaque colours are from each other, squared.
pub(super) fn distance(a: [u8; 4], b: [u8; 4]) -> u32 {
    square([0, 1, 2].map(|at| i32::from(a[at]) - i32::from(b[at])))
}

/// How visible a difference of colours is: brightness counts most.
pub(super) fn square([r, g, b]: [i32; 3]) -> u32 {
    if (r, g, b) == (0, 0, 0) {
        return 0;
    }
    // ITU-R BT.601's shares of 256, and the differences to brightness at a half and two fifths.
    let y = (77 * r + 150 * g + 29 * b) >> 8;
    let (red, blue) = (r - y, b - y);
    // Whatever differs is not equal.
    1.max((y * y + ((red * red) >> 2) + ((blue * blue * 10) >> 6)) as u32)
}
