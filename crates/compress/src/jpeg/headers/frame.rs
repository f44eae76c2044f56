//! Frame and scan headers, and the geometry of blocks that follows from them (T.81, B.2.2, B.2.3, A.1, A.2).
//!
//! What passes here is consistent: sides above zero, sampling factors 1 to 4, no component twice.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::marker::{SOF0, SOF1, SOF2};

/// One colour component of the frame. Sides are in blocks of 8 × 8 samples.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Horizontal and vertical sampling factor: blocks per MCU in an interleaved scan.
    pub(crate) h: u8,
    pub(crate) v: u8,
    /// Selector of its quantisation table.
    pub(crate) table: usize,
    /// Blocks that hold samples: what a scan of this component alone carries (A.2.2).
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Blocks up to whole MCUs: what an interleaved scan carries (A.2.4).
    pub(crate) padded_columns: usize,
    pub(crate) padded_rows: usize,
}

/// The frame header.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) progressive: bool,
    pub(crate) components: Vec<Component>,
    pub(crate) mcu_columns: usize,
    pub(crate) mcu_rows: usize,
}

impl Frame {
    /// Reads the body of a start-of-frame segment.
    pub(crate) fn read(marker: u8, body: &[u8]) -> Result<Self, Error> {
        match marker {
            SOF0 | SOF1 | SOF2 => {}
            0xC3 => return Err(Error::Unsupported("lossless coding")),
            0xC5..=0xC7 => return Err(Error::Unsupported("hierarchical coding")),
            _ => return Err(Error::Unsupported("arithmetic coding")),
        }
        let [precision, h1, h0, w1, w0, count, ref specs @ ..] = *body else {
            return Err(corrupt("the frame header is too short"));
        };
        if precision != 8 {
            return Err(Error::Unsupported("samples that are not 8 bits deep"));
        }
        let height = u32::from(u16::from_be_bytes([h1, h0]));
        let width = u32::from(u16::from_be_bytes([w1, w0]));
        if height == 0 {
            return Err(Error::Unsupported("a height given after the image (DNL)"));
        }
        if width == 0 {
            return Err(corrupt("its width is zero"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Error::Unsupported("a number of components other than 1, 3 or 4"));
        }
        if specs.len() != 3 * usize::from(count) {
            return Err(corrupt("the frame header has the wrong length"));
        }
        let mut components = Vec::with_capacity(usize::from(count));
        for spec in specs.chunks_exact(3) {
            let (mut h, mut v) = (spec[1] >> 4, spec[1] & 15);
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return Err(corrupt("a sampling factor is not between 1 and 4"));
            }
            if spec[2] > 3 {
                return Err(corrupt("a quantisation table selector is above 3"));
            }
            if count == 1 {
                // Factors only mean something relative to each other, and a lone component is never interleaved.
                (h, v) = (1, 1);
            }
            if components.iter().any(|c: &Component| c.id == spec[0]) {
                return Err(corrupt("two components share an identifier"));
            }
            components.push(Component {
                id: spec[0],
                h,
                v,
                table: usize::from(spec[2]),
                columns: 0,
                rows: 0,
                padded_columns: 0,
                padded_rows: 0,
            });
        }
        let h_max = components.iter().map(|c| u32::from(c.h)).max().unwrap_or(1);
        let v_max = components.iter().map(|c| u32::from(c.v)).max().unwrap_or(1);
        let mcu_columns = width.div_ceil(8 * h_max) as usize;
        let mcu_rows = height.div_ceil(8 * v_max) as usize;
        for c in &mut components {
            c.columns = (width * u32::from(c.h)).div_ceil(h_max).div_ceil(8) as usize;
            c.rows = (height * u32::from(c.v)).div_ceil(v_max).div_ceil(8) as usize;
            c.padded_columns = mcu_columns * usize::from(c.h);
            c.padded_rows = mcu_rows * usize::from(c.v);
        }
        Ok(Self { width, height, progressive: marker == SOF2, components, mcu_columns, mcu_rows })
    }
}

/// One component's part in a scan: which component of the frame, and which Huffman tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScanComponent {
    pub(crate) component: usize,
    pub(crate) dc: usize,
    pub(crate) ac: usize,
}

/// The scan header (B.2.3). The last four fields matter to progressive frames only.
#[derive(Debug, Clone)]
pub(crate) struct ScanHeader {
    pub(crate) components: Vec<ScanComponent>,
    /// First and last coefficient, in zigzag order.
    pub(crate) first: u8,
    pub(crate) last: u8,
    /// Bit position before (0: none yet) and after this scan.
    pub(crate) high: u8,
    pub(crate) low: u8,
}

impl ScanHeader {
    /// Reads the body of a start-of-scan segment that belongs to `frame`.
    pub(crate) fn read(body: &[u8], frame: &Frame) -> Result<Self, Error> {
        let count = usize::from(*body.first().ok_or_else(|| corrupt("an empty scan header"))?);
        if !(1..=4).contains(&count) || body.len() != 4 + 2 * count {
            return Err(corrupt("the scan header has the wrong length"));
        }
        let mut components: Vec<ScanComponent> = Vec::with_capacity(count);
        for spec in body[1..=2 * count].chunks_exact(2) {
            let component = frame
                .components
                .iter()
                .position(|c| c.id == spec[0])
                .ok_or_else(|| corrupt("a scan names a component that the frame does not have"))?;
            let (dc, ac) = (usize::from(spec[1] >> 4), usize::from(spec[1] & 15));
            if dc > 3 || ac > 3 {
                return Err(corrupt("a Huffman table selector is above 3"));
            }
            if components.iter().any(|c| c.component == component) {
                return Err(corrupt("a scan names a component twice"));
            }
            components.push(ScanComponent { component, dc, ac });
        }
        if count > 1 && blocks_per_mcu(frame, components.iter().map(|c| c.component)) > MAX_BLOCKS_PER_MCU {
            return Err(corrupt("more than 10 blocks in an MCU"));
        }
        let [first, last, approximation] = body[1 + 2 * count..] else {
            return Err(corrupt("the scan header has the wrong length"));
        };
        Ok(Self { components, first, last, high: approximation >> 4, low: approximation & 15 })
    }
}

/// The most blocks an MCU may hold (B.2.3).
pub(crate) const MAX_BLOCKS_PER_MCU: usize = 10;

/// Blocks in an MCU that interleaves these components.
pub(crate) fn blocks_per_mcu(frame: &Frame, components: impl Iterator<Item = usize>) -> usize {
    components.map(|c| usize::from(frame.components[c].h) * usize::from(frame.components[c].v)).sum()
}

/// The order of blocks in a scan: the components of an MCU's blocks, and the number of MCUs.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// For each block of an MCU, the index of its component in the frame.
    pub(crate) mcu: Vec<usize>,
    pub(crate) mcus: usize,
}

impl Layout {
    /// A scan of one component runs over its own blocks; a scan of several runs over MCUs (A.2.2, A.2.3).
    pub(crate) fn new(frame: &Frame, components: &[usize]) -> Self {
        if let [one] = *components {
            let c = &frame.components[one];
            return Self { mcu: vec![one], mcus: c.columns * c.rows };
        }
        let mcu = components
            .iter()
            .flat_map(|&c| {
                let blocks = usize::from(frame.components[c].h) * usize::from(frame.components[c].v);
                std::iter::repeat_n(c, blocks)
            })
            .collect();
        Self { mcu, mcus: frame.mcu_columns * frame.mcu_rows }
    }
}
