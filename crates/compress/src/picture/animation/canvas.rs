//! What frames are drawn on.

use crate::contract::Error;
use crate::picture::pixels::{Layout, Pixels};

/// A part of a canvas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// What becomes of a frame's part before the next frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    Keep,
    /// It becomes transparent.
    Clear,
    /// It becomes what it was.
    Restore,
}

/// RGBA pixels, transparent at first.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
    /// What is to be done before the next frame: the place, and what was there if that comes back.
    pending: Option<(Place, Option<Vec<[u8; 4]>>)>,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, height, pixels: vec![[0; 4]; width * height], pending: None }
    }

    /// Draws a frame: `draw` gets the canvas's pixels of each row of `place`, which is cut off at the edges, and the row's number.
    pub fn draw(
        &mut self,
        place: Place,
        disposal: Disposal,
        mut draw: impl FnMut(&mut [[u8; 4]], usize),
    ) -> Result<Pixels, Error> {
        if let Some((place, before)) = self.pending.take() {
            let mut before = before.as_deref().map(|before| before.chunks(place.width.max(1)));
            self.rows(place, |row, _| match before.as_mut().and_then(Iterator::next) {
                Some(before) => row.copy_from_slice(before),
                None => row.fill([0; 4]),
            });
        }
        let place = Place {
            width: place.width.min(self.width.saturating_sub(place.left)),
            height: place.height.min(self.height.saturating_sub(place.top)),
            ..place
        };
        match disposal {
            Disposal::Keep => {}
            Disposal::Clear => self.pending = Some((place, None)),
            Disposal::Restore => {
                let mut before = Vec::with_capacity(place.width * place.height);
                self.rows(place, |row, _| before.extend_from_slice(row));
                self.pending = Some((place, Some(before)));
            }
        }
        self.rows(place, &mut draw);
        // A side has at most 32 bits in every format.
        let (width, height) = (self.width as u32, self.height as u32);
        Pixels::new(width, height, Layout::Rgba, self.pixels.as_flattened().to_vec())
    }

    fn rows(&mut self, place: Place, mut each: impl FnMut(&mut [[u8; 4]], usize)) {
        if place.width == 0 {
            return;
        }
        let rows = self.pixels.chunks_exact_mut(self.width).skip(place.top).take(place.height);
        for (at, row) in rows.enumerate() {
            each(&mut row[place.left..place.left + place.width], at);
        }
    }
}
