//! A JPEG to the samples of its components, at a fraction of its size if wanted. The coefficients of sequential files go straight
//! into the transform.

use crate::jpeg::error::Error;
use crate::jpeg::headers::frame::{Component, Frame, Layout};
use crate::jpeg::headers::tables::{Steps, ZIGZAG};
use crate::jpeg::hold::picture::Body;
use crate::jpeg::hold::planes;
use crate::jpeg::read::bits::Feed;
use crate::jpeg::read::flaws::Flaws;
use crate::jpeg::read::image::{Coded, Scans, read};
use crate::jpeg::read::sequential::{self, Decoder, Sink};
use crate::jpeg::samples::idct::{self, Inverse};
use crate::jpeg::samples::sample_planes::SamplePlane;
use crate::jpeg::types::{Colour, Limits};

/// Decodes a whole file to one plane for each component, at as many eighths of its size as `eighths` says: 1 to 8.
///
/// # Errors
///
/// Any [`Error`]: see there.
pub fn samples(bytes: &[u8], limits: &Limits, eighths: &[usize]) -> Result<Vec<SamplePlane>, Error> {
    let picture = read(bytes, limits, Sampled { eighths, planes: [const { None }; 4] }, &mut Flaws::Refused)?;
    Ok(match picture.body {
        Body::Sequential(sampled) => sampled.planes.into_iter().flatten().collect(),
        Body::Progressive(sources) => {
            let components = picture.frame.components.iter().zip(&picture.steps).zip(eighths);
            let planes = sources.iter().zip(components);
            planes.map(|(source, ((component, steps), n))| from_coefficients(source, component, steps, *n)).collect()
        }
    })
}

/// The inverse transforms of a scan that holds all coefficients.
fn from_coefficients(source: &planes::Plane, component: &Component, steps: &Steps, eighths: usize) -> SamplePlane {
    let mut plane = Plane::new(component, component.padded_columns, (1, 1), steps, eighths);
    for at in 0..source.dc.len() {
        let block = source.block(at);
        plane.dc(source.dc[at].into());
        let mut mask = source.masks[at];
        while mask != 0 {
            let k = mask.trailing_zeros() & 63;
            mask &= mask - 1;
            plane.coefficient(k, block.get(k).into());
        }
        plane.finish_block();
    }
    plane.samples
}

struct Sampled<'a> {
    eighths: &'a [usize],
    planes: [Option<SamplePlane>; 4],
}

impl Scans for Sampled<'_> {
    fn least(&self, _: &Frame, _: Colour, _: usize, _: &Steps) -> [u32; 64] {
        [1; 64]
    }

    fn scan(
        &mut self,
        feed: &mut Feed,
        frame: &Frame,
        _colour: Colour,
        coded: Vec<Coded>,
        restart_interval: usize,
    ) -> Result<(), Error> {
        let components: Vec<usize> = coded.iter().map(|coded| coded.component).collect();
        let mut decoders = [const { None }; 4];
        for Coded { component: at, dc, ac, steps } in coded {
            let component = &frame.components[at];
            let eighths = self.eighths.get(at).copied().unwrap_or(8);
            // A scan of its own carries what holds samples, one by one (A.2.2).
            let (columns, mcu) = match components.len() {
                1 => (component.columns, (1, 1)),
                _ => (component.padded_columns, (component.h.into(), component.v.into())),
            };
            let plane = Plane::new(component, columns, mcu, &steps, eighths);
            decoders[at] = Some(Decoder::new(dc, ac, &plane.least(), plane));
        }
        decode(feed, &mut decoders, restart_interval, &Layout::new(frame, &components))?;
        for (plane, decoder) in self.planes.iter_mut().zip(decoders) {
            *plane = decoder.map(|decoder| decoder.target.samples).or(plane.take());
        }
        Ok(())
    }
}

#[inline(never)]
fn decode(
    feed: &mut Feed,
    decoders: &mut [Option<Box<Decoder<Plane>>>; 4],
    restart_interval: usize,
    layout: &Layout,
) -> Result<(), Error> {
    sequential::decode(feed, decoders, restart_interval, layout, |code, plane, bits, window| {
        let bits = code.block(bits, window, plane)?;
        plane.finish_block();
        Ok(bits)
    })
}

/// A component while its blocks become samples.
struct Plane {
    samples: SamplePlane,
    place: Place,
    /// Chosen once, by size.
    transform: Transform,
    /// Steps, in zigzag order.
    steps: [f32; 64],
    /// The block in hand, and a bit for each of its coefficients that was given; row-major.
    block: idct::Block,
    mask: u64,
}

/// One inverse transform a size.
enum Transform {
    One(Inverse<4>),
    Two(Inverse<4>),
    Three(Inverse<4>),
    Four(Inverse<4>),
    Five(Inverse<8>),
    Six(Inverse<8>),
    Seven(Inverse<8>),
    Eight(Inverse<8>),
}

impl Plane {
    /// For a scan that brings `columns` blocks to a row, `mcu` of them (across and down) at a time.
    fn new(component: &Component, columns: usize, mcu: (usize, usize), steps: &Steps, eighths: usize) -> Self {
        let transform = match eighths {
            1 => Transform::One(Inverse::new(1)),
            2 => Transform::Two(Inverse::new(2)),
            3 => Transform::Three(Inverse::new(3)),
            4 => Transform::Four(Inverse::new(4)),
            5 => Transform::Five(Inverse::new(5)),
            6 => Transform::Six(Inverse::new(6)),
            7 => Transform::Seven(Inverse::new(7)),
            _ => Transform::Eight(Inverse::new(8)),
        };
        let side = eighths.min(8);
        let (width, height) = (component.padded_columns * side, component.padded_rows * side);
        Self {
            samples: SamplePlane { width: width as u32, height: height as u32, data: vec![128; width * height] },
            place: Place { mcu, columns, left: 0, top: 0, x: 0, y: 0 },
            transform,
            steps: steps.map(f32::from),
            block: [0.0; 64],
            mask: 0,
        }
    }

    /// Which coefficients the transform looks at: those of the frequencies that are left at this size.
    fn least(&self) -> [u32; 64] {
        let side = match self.transform {
            Transform::One(_) => 1,
            Transform::Two(_) => 2,
            Transform::Three(_) => 3,
            Transform::Four(_) => 4,
            Transform::Five(_) => 5,
            Transform::Six(_) => 6,
            Transform::Seven(_) => 7,
            Transform::Eight(_) => 8,
        };
        ZIGZAG.map(|at| if at / 8 < side && at % 8 < side { 0 } else { u32::MAX })
    }

    #[inline(always)]
    fn coefficient(&mut self, k: u32, value: i32) {
        let k = (k & 63) as usize;
        let at = usize::from(ZIGZAG[k]) & 63;
        self.block[at] = value as f32 * self.steps[k];
        self.mask |= 1 << at;
    }

    /// Writes the block in hand to its place, and begins another.
    #[inline(always)]
    fn finish_block(&mut self) {
        let Self { samples, block, mask, .. } = self;
        let place = self.place.next();
        match &self.transform {
            Transform::One(inverse) => samples.put::<1, 4>(inverse, block, *mask, place),
            Transform::Two(inverse) => samples.put::<2, 4>(inverse, block, *mask, place),
            Transform::Three(inverse) => samples.put::<3, 4>(inverse, block, *mask, place),
            Transform::Four(inverse) => samples.put::<4, 4>(inverse, block, *mask, place),
            Transform::Five(inverse) => samples.put::<5, 8>(inverse, block, *mask, place),
            Transform::Six(inverse) => samples.put::<6, 8>(inverse, block, *mask, place),
            Transform::Seven(inverse) => samples.put::<7, 8>(inverse, block, *mask, place),
            Transform::Eight(inverse) => samples.put::<8, 8>(inverse, block, *mask, place),
        }
        self.block = [0.0; 64];
        self.mask = 0;
    }
}

impl Sink for Plane {
    #[inline(always)]
    fn dc(&mut self, value: i32) {
        self.coefficient(0, value);
    }

    #[inline(always)]
    fn ac(&mut self, k: u32, magnitude: u32, negative: u32) {
        self.coefficient(k, (magnitude ^ negative).wrapping_sub(negative) as i32);
    }
}

/// Where the next block of a scan belongs: blocks come by MCUs, and in them row by row (A.2.3).
struct Place {
    /// Blocks of an MCU, across and down.
    mcu: (usize, usize),
    /// Blocks to a row of the scan.
    columns: usize,
    /// The MCU's first block.
    left: usize,
    top: usize,
    /// The block in the MCU.
    x: usize,
    y: usize,
}

impl Place {
    /// Column and row of the next block.
    #[inline(always)]
    fn next(&mut self) -> (usize, usize) {
        let place = (self.left + self.x, self.top + self.y);
        self.x += 1;
        if self.x == self.mcu.0 {
            (self.x, self.y) = (0, self.y + 1);
            if self.y == self.mcu.1 {
                (self.y, self.left) = (0, self.left + self.mcu.0);
                if self.left >= self.columns {
                    (self.left, self.top) = (0, self.top + self.mcu.1);
                }
            }
        }
        place
    }
}

impl SamplePlane {
    // Eight sizes inlined into the loop over all blocks would slow each other down.
    #[inline(never)]
    fn put<const N: usize, const L: usize>(
        &mut self,
        inverse: &Inverse<L>,
        block: &idct::Block,
        mask: u64,
        (column, row): (usize, usize),
    ) {
        let width = self.width as usize;
        let lines = self.data[row * N * width + column * N..].chunks_mut(width);
        // How many rows and columns hold anything: the places of the highest bit, and of the highest in any row.
        let rows = 8 - (mask | 1).leading_zeros() as usize / 8;
        let columns = mask.to_le_bytes().into_iter().fold(1, |all, row| all | row);
        let samples = inverse.samples(block, rows, 8 - columns.leading_zeros() as usize);
        for (line, samples) in lines.zip(&samples).take(N) {
            line[..N].copy_from_slice(&samples[..N]);
        }
    }
}
