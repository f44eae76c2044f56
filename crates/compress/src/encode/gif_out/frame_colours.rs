//! The colours of a frame, or of all frames, as long as a table can hold them.

const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;
/// What a table can hold.
const MAX_COLOURS: usize = 256;

/// Different opaque colours, in the order they were met in, and how many pixels have them.
#[derive(Clone)]
pub(super) struct Colours {
    slots: Box<[u16; SLOTS]>,
    pub found: Vec<([u8; 4], u32)>,
    /// More were met than a table can hold.
    pub are_too_many: bool,
}

impl Colours {
    pub fn new() -> Colours {
        Colours { slots: Box::new([EMPTY; SLOTS]), found: Vec::new(), are_too_many: false }
    }

    /// Counts those that are opaque.
    pub fn add(&mut self, pixels: impl Iterator<Item = [u8; 4]>) {
        let mut latest = ([0; 4], 0);
        for pixel in pixels.filter(|pixel| pixel[3] == 255) {
            if pixel != latest.0 {
                if self.are_too_many {
                    return;
                }
                latest = (pixel, self.place(pixel));
            }
            if let Some((_, count)) = self.found.get_mut(latest.1) {
                *count = count.saturating_add(1);
            }
        }
    }

    fn place(&mut self, colour: [u8; 4]) -> usize {
        let slot = self.slot(colour);
        if self.slots[slot] != EMPTY {
            return self.slots[slot].into();
        }
        if self.found.len() == MAX_COLOURS {
            self.are_too_many = true;
            return usize::MAX;
        }
        self.slots[slot] = self.found.len() as u16;
        self.found.push((colour, 0));
        self.found.len() - 1
    }

    /// The place of a colour.
    pub fn index(&self, colour: [u8; 4]) -> Option<u8> {
        let at = self.slots[self.slot(colour)];
        // At most 256 have a place.
        (at != EMPTY).then_some(at as u8)
    }

    /// Where a colour is, or would be: one in four is taken at most.
    fn slot(&self, colour: [u8; 4]) -> usize {
        let [r, g, b, _] = colour.map(u32::from);
        let mut slot = ((r << 16 | g << 8 | b).wrapping_mul(0x9e37_79b1) >> 22) as usize;
        while self.slots[slot] != EMPTY && self.found[usize::from(self.slots[slot])].0 != colour {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }
}
