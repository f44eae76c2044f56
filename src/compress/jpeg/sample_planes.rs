//! The components of a JPEG as samples, without any change of colour: out of a decoded file at a fraction of its size, and
//! into a new picture.
//!
//! For resizing. Brightness and colour stay apart and colour stays subsampled, so half the samples of RGB are touched, and no
//! rounding happens between the two transforms but that of the samples.

use std::convert::Infallible;

use super::dct::{self, Forward, Inverse};
use super::frame::{Component, Frame, Layout};
use super::image::{Body, Picture, classes, role};
use super::metadata::Metadata;
use super::planes::{for_each_block, sequential_scans, signed};
use super::source::Source;
use super::tables::{Steps, ZIGZAG};
use super::tokens::{BlockWriter, TokenReader, TokenScan, Tokens};
use super::{Colour, quality};

/// One component's samples, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Samples to a row, and rows. Both may be more than the picture needs: blocks are whole.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// `width` × `height` bytes.
    pub data: Vec<u8>,
}

impl Source<'_> {
    /// How many samples of a component the picture covers in each direction, at full size. A fraction where a subsampled
    /// component's last sample is shared with what lies outside.
    pub fn extent(&self, component: usize) -> (f64, f64) {
        let frame = &self.picture.frame;
        let max = |factor: fn(&Component) -> u8| f64::from(frame.components.iter().map(factor).max().unwrap_or(1));
        let own = &frame.components[component];
        let width = f64::from(frame.width) * f64::from(own.h) / max(|c| c.h);
        let height = f64::from(frame.height) * f64::from(own.v) / max(|c| c.v);
        (width, height)
    }

    /// All components as samples, each at as many eighths of its size as `eighths` says: 1, 2, 4 or 8.
    pub fn samples(&self, eighths: &[usize]) -> Vec<Samples> {
        let Picture { frame, steps, body, .. } = &self.picture;
        let planes = frame.components.iter().zip(steps).zip(eighths);
        let mut planes: Vec<Plane> = planes.map(|((component, steps), n)| Plane::new(component, steps, *n)).collect();
        match body {
            Body::Sequential(scans) => scans.iter().for_each(|scan| fill_from_tokens(frame, scan, &mut planes)),
            Body::Progressive(sources) => {
                for (source, plane) in sources.iter().zip(&mut planes) {
                    for at in 0..source.blocks.len() {
                        plane.coefficient(0, source.dc[at].into());
                        let mut mask = source.masks[at];
                        while mask != 0 {
                            let k = mask.trailing_zeros() & 63;
                            mask &= mask - 1;
                            plane.coefficient(k, source.blocks[at][k as usize].into());
                        }
                        plane.finish_block(at);
                    }
                }
            }
        }
        planes.into_iter().map(|plane| plane.samples).collect()
    }

    /// A picture of one component, or of brightness and two colour differences, at a quality of 1 to 100. The first component
    /// has the size of the picture; the others the same, or half of it, rounded up. `exif` is TIFF data.
    pub fn from_samples<'a>(planes: &[Samples], quality: u8, exif: Option<&'a [u8]>) -> Source<'a> {
        let first = &planes[0];
        let factor = |side: u32, other: u32| if other < side { 2 } else { 1 };
        let last = &planes[planes.len() - 1];
        let factors = (factor(first.width, last.width), factor(first.height, last.height));
        let component = |(at, id): (usize, u8)| {
            let (h, v) = if at == 0 { factors } else { (1, 1) };
            Component { id, h, v, table: 0, columns: 0, rows: 0, padded_columns: 0, padded_rows: 0 }
        };
        let components = (0..planes.len()).zip(1..).map(component).collect();
        let frame = Frame::new(first.width, first.height, false, components);
        let colour = if planes.len() == 1 { Colour::Grey } else { Colour::YCbCr };
        let steps: Vec<Steps> = (0..planes.len()).map(|at| quality::steps(quality, role(&frame, colour, at))).collect();
        let scans = sequential_scans(&frame).iter().map(|scan| tokens(&frame, scan, planes, &steps)).collect();
        let metadata = Metadata::new(exif);
        Picture { frame, metadata, steps, body: Body::Sequential(scans) }.into()
    }
}

/// A component while its blocks become samples.
struct Plane {
    samples: Samples,
    /// The samples of one block that was just finished go here; chosen once, by size.
    transform: Transform,
    /// Steps, in zigzag order.
    steps: [f32; 64],
    blocks_to_a_row: usize,
    /// The block in hand, and how many rows and columns of it hold anything.
    block: dct::Block,
    rows: usize,
    columns: usize,
}

/// One inverse transform a size.
enum Transform {
    One(Inverse<1>),
    Two(Inverse<2>),
    Four(Inverse<4>),
    Eight(Inverse<8>),
}

/// Which block of a component, and how many rows and columns of it hold anything.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    blocks_to_a_row: usize,
    rows: usize,
    columns: usize,
}

impl Plane {
    fn new(component: &Component, steps: &Steps, eighths: usize) -> Self {
        let transform = match eighths {
            1 => Transform::One(Inverse::new()),
            2 => Transform::Two(Inverse::new()),
            4 => Transform::Four(Inverse::new()),
            _ => Transform::Eight(Inverse::new()),
        };
        let side = match eighths {
            1 | 2 | 4 => eighths,
            _ => 8,
        };
        let (width, height) = (component.padded_columns * side, component.padded_rows * side);
        Self {
            samples: Samples { width: width as u32, height: height as u32, data: vec![128; width * height] },
            transform,
            steps: steps.map(f32::from),
            blocks_to_a_row: component.padded_columns,
            block: [0.0; 64],
            rows: 1,
            columns: 1,
        }
    }

    /// Takes coefficient `k` of the block in hand, in zigzag order.
    #[inline(always)]
    fn coefficient(&mut self, k: u32, value: i32) {
        let k = (k & 63) as usize;
        let at = usize::from(ZIGZAG[k]);
        self.block[at] = value as f32 * self.steps[k];
        self.rows = self.rows.max(at / 8 + 1);
        self.columns = self.columns.max(at % 8 + 1);
    }

    /// Writes the block in hand to its place, and begins another.
    #[inline(always)]
    fn finish_block(&mut self, at: usize) {
        let Self { samples, block, .. } = self;
        let place = Place { at, blocks_to_a_row: self.blocks_to_a_row, rows: self.rows, columns: self.columns };
        match &self.transform {
            Transform::One(inverse) => samples.put(inverse, block, place),
            Transform::Two(inverse) => samples.put(inverse, block, place),
            Transform::Four(inverse) => samples.put(inverse, block, place),
            Transform::Eight(inverse) => samples.put(inverse, block, place),
        }
        self.block = [0.0; 64];
        (self.rows, self.columns) = (1, 1);
    }
}

impl Samples {
    #[inline(always)]
    fn put<const N: usize>(&mut self, inverse: &Inverse<N>, block: &dct::Block, place: Place) {
        let width = self.width as usize;
        let start = place.at / place.blocks_to_a_row * N * width + place.at % place.blocks_to_a_row * N;
        let lines = self.data[start..].chunks_mut(width);
        let mut samples = [[0; N]; N];
        inverse.samples(block, place.rows, place.columns, &mut samples);
        for (line, samples) in lines.zip(&samples) {
            line[..N].copy_from_slice(samples);
        }
    }

    /// The 8 × 8 samples of a block; beyond the edge, the last ones again.
    #[inline(always)]
    fn block(&self, column: usize, row: usize) -> [[u8; 8]; 8] {
        let (width, height) = (self.width as usize, self.height as usize);
        let (left, top) = (8 * column, 8 * row);
        std::array::from_fn(|y| {
            let line = &self.data[(top + y).min(height - 1) * width..][..width];
            match line.get(left..left + 8).and_then(|samples| samples.first_chunk()) {
                Some(samples) => *samples,
                None => std::array::from_fn(|x| line[(left + x).min(width - 1)]),
            }
        })
    }
}

fn fill_from_tokens(frame: &Frame, scan: &TokenScan, planes: &mut [Plane]) {
    let mut reader = TokenReader::new(&scan.tokens);
    let mut before = [0_i32; 4];
    let visited: Result<(), Infallible> = for_each_block(frame, &scan.components, |component, at| {
        let plane = &mut planes[component];
        let (size, bits) = reader.next();
        before[component] += signed(bits, size);
        plane.coefficient(0, before[component]);
        let mut k = 0;
        while k < 63 {
            let (symbol, bits) = reader.next();
            if symbol == 0 {
                break;
            }
            k += (symbol >> 4) + 1;
            if symbol & 15 > 0 {
                plane.coefficient(k, signed(bits, symbol & 15));
            }
        }
        plane.finish_block(at);
        Ok(())
    });
    let Ok(()) = visited;
}

/// Transforms and rounds the samples of a scan's components.
fn tokens(frame: &Frame, components: &[usize], planes: &[Samples], steps: &[Steps]) -> TokenScan {
    let mut scan = TokenScan {
        components: components.to_vec(),
        layout: Layout::new(frame, components),
        tokens: Tokens::default(),
        counts: Default::default(),
    };
    let forward = Forward::new();
    let rounders: Vec<Rounder> = steps.iter().map(Rounder::new).collect();
    let classes = classes(if planes.len() == 1 { Colour::Grey } else { Colour::YCbCr });
    let mut before = [0; 4];
    let visited: Result<(), Infallible> = for_each_block(frame, components, |component, at| {
        let columns = frame.components[component].padded_columns;
        let block = forward.coefficients(&planes[component].block(at % columns, at / columns));
        let (levels, mut mask) = rounders[component].round(&block);
        scan.tokens.reserve(1);
        let mut out = BlockWriter::new(scan.tokens.space(), &mut scan.counts[classes[component]]);
        let dc = signed_level(levels[0], block[0]);
        out.dc(dc - before[component]);
        before[component] = dc;
        while mask != 0 {
            let k = mask.trailing_zeros();
            mask &= mask - 1;
            let at = usize::from(TURNED_ZIGZAG[k as usize & 63]) & 63;
            out.ac(k, levels[at], if block[at] < 0.0 { u32::MAX } else { 0 });
        }
        let len = out.finish();
        scan.tokens.keep(len);
        Ok(())
    });
    let Ok(()) = visited;
    scan
}

fn signed_level(level: u32, value: f32) -> i32 {
    if value < 0.0 { -(level as i32) } else { level as i32 }
}

/// `TURNED_ZIGZAG[k]` is the column-major index of the k-th coefficient.
const TURNED_ZIGZAG: [u8; 64] = {
    let mut turned = [0; 64];
    let mut k = 0;
    while k < 64 {
        turned[k] = ZIGZAG[k] % 8 * 8 + ZIGZAG[k] / 8;
        k += 1;
    }
    turned
};

/// Rounds the coefficients of a block, column-major as they come, all at once.
struct Rounder {
    factors: [f32; 64],
    biases: [f32; 64],
}

/// 2^23: a number just above it has its integer part in its low bits.
const TWO_TO_23: f32 = 8_388_608.0;

impl Rounder {
    fn new(steps: &Steps) -> Self {
        let mut factors = [0.0; 64];
        for (step, at) in steps.iter().zip(TURNED_ZIGZAG) {
            factors[usize::from(at)] = 1.0 / f32::from(*step);
        }
        let bias = |bias: u32| bias as f32 / 65_536.0 - 0.5;
        let mut biases = [bias(quality::AC_BIAS); 64];
        biases[0] = bias(quality::DC_BIAS);
        Self { factors, biases }
    }

    /// The magnitudes, and a bit for each AC coefficient that is not zero, in zigzag order.
    #[inline(always)]
    fn round(&self, block: &dct::Block) -> ([u32; 64], u64) {
        let mut levels = [0; 64];
        for at in 0..64 {
            // Adding 2^23 rounds to the nearest: half less, and it rounds down.
            let level = block[at].abs() * self.factors[at] + self.biases[at];
            levels[at] = (level + TWO_TO_23).to_bits() & 0x7F_FFFF;
        }
        let mut mask = 0;
        for k in 1..64 {
            mask |= u64::from(levels[usize::from(TURNED_ZIGZAG[k]) & 63] != 0) << k;
        }
        (levels, mask)
    }
}
