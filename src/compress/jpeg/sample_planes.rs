//! The components of a JPEG as samples, without any change of colour: out of a decoded file at a fraction of its size, and
//! into a new picture.
//!
//! For resizing. Brightness and colour stay apart and colour stays subsampled, so half the samples of RGB are touched, and no
//! rounding happens between the two transforms but that of the samples.

use std::convert::Infallible;

use super::error::Error;
use super::fdct;
use super::frame::{Component, Frame};
use super::idct::{self, Inverse};
use super::image::{Body, Picture};
use super::pixels::{Blocks, encode};
use super::planes::{for_each_block, signed};
use super::source::Source;
use super::tables::{Steps, ZIGZAG};
use super::tokens::{TokenReader, TokenScan};

/// One component's samples, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplePlane {
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

    /// All components as samples, each at as many eighths of its size as `eighths` says: 1 to 8.
    pub fn samples(&self, eighths: &[usize]) -> Vec<SamplePlane> {
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
}

/// The coefficients of a picture whose components are samples already, at their quality: write them with [`Source::lossless`].
///
/// One component, or brightness and two colour differences; `subsampled` when those have half the picture's size, rounded up.
/// `tiff` is EXIF data to keep.
///
/// # Errors
///
/// [`Error::Corrupt`] for sides that do not fit a JPEG.
pub fn from_planes<'a>(
    planes: &[SamplePlane],
    quality: u8,
    subsampled: bool,
    tiff: Option<&'a [u8]>,
) -> Result<Source<'a>, Error> {
    let (width, height) = planes.first().map_or((0, 0), |plane| (plane.width, plane.height));
    encode(width, height, planes.len(), quality, subsampled, tiff, Planes(planes))
}

struct Planes<'a>(&'a [SamplePlane]);

impl Blocks for Planes<'_> {
    #[inline(always)]
    fn block(&self, component: usize, row: usize, column: usize) -> fdct::Samples {
        self.0[component].block(column, row)
    }
}

/// A component while its blocks become samples.
struct Plane {
    samples: SamplePlane,
    /// The samples of one block that was just finished go here; chosen once, by size.
    transform: Transform,
    /// Steps, in zigzag order.
    steps: [f32; 64],
    blocks_to_a_row: usize,
    /// The block in hand, and how many rows and columns of it hold anything.
    block: idct::Block,
    rows: usize,
    columns: usize,
}

/// One inverse transform a size.
enum Transform {
    One(Inverse<1, 4>),
    Two(Inverse<2, 4>),
    Three(Inverse<3, 4>),
    Four(Inverse<4, 4>),
    Five(Inverse<5, 8>),
    Six(Inverse<6, 8>),
    Seven(Inverse<7, 8>),
    Eight(Inverse<8, 8>),
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
            3 => Transform::Three(Inverse::new()),
            4 => Transform::Four(Inverse::new()),
            5 => Transform::Five(Inverse::new()),
            6 => Transform::Six(Inverse::new()),
            7 => Transform::Seven(Inverse::new()),
            _ => Transform::Eight(Inverse::new()),
        };
        let side = eighths.min(8);
        let (width, height) = (component.padded_columns * side, component.padded_rows * side);
        Self {
            samples: SamplePlane { width: width as u32, height: height as u32, data: vec![128; width * height] },
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
            Transform::Three(inverse) => samples.put(inverse, block, place),
            Transform::Four(inverse) => samples.put(inverse, block, place),
            Transform::Five(inverse) => samples.put(inverse, block, place),
            Transform::Six(inverse) => samples.put(inverse, block, place),
            Transform::Seven(inverse) => samples.put(inverse, block, place),
            Transform::Eight(inverse) => samples.put(inverse, block, place),
        }
        self.block = [0.0; 64];
        (self.rows, self.columns) = (1, 1);
    }
}

impl SamplePlane {
    // Eight sizes inlined into the loop over all blocks would slow each other down.
    #[inline(never)]
    fn put<const N: usize, const L: usize>(&mut self, inverse: &Inverse<N, L>, block: &idct::Block, place: Place) {
        let width = self.width as usize;
        let start = place.at / place.blocks_to_a_row * N * width + place.at % place.blocks_to_a_row * N;
        let lines = self.data[start..].chunks_mut(width);
        let mut samples = [[0; N]; N];
        inverse.samples(block, place.rows, place.columns, &mut samples);
        for (line, samples) in lines.zip(&samples) {
            line[..N].copy_from_slice(samples);
        }
    }

    /// The 8 × 8 samples of a block, 128 less than stored; beyond the edge, the last ones again.
    #[inline(always)]
    fn block(&self, column: usize, row: usize) -> fdct::Samples {
        let (width, height) = (self.width as usize, self.height as usize);
        let (left, top) = (8 * column, 8 * row);
        std::array::from_fn(|y| {
            let line = &self.data[(top + y).min(height - 1) * width..][..width];
            let samples = match line.get(left..left + 8).and_then(|samples| samples.first_chunk()) {
                Some(samples) => *samples,
                None => std::array::from_fn(|x| line[(left + x).min(width - 1)]),
            };
            samples.map(|sample: u8| f32::from(sample) - 128.0)
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
