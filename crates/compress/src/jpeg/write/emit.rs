//! Writes a JPEG file: headers, tables, and tokens as entropy-coded data (T.81, annexes B and F.1).
//!
//! The output is baseline whenever every step fits 8 bits, has no restarts, and its Huffman tables fit exactly this image.

use crate::jpeg::headers::frame::Frame;
use crate::jpeg::headers::marker::{DHT, DQT, EOI, SOF0, SOF1, SOF2, SOI, SOS, segment};
use crate::jpeg::headers::metadata::Metadata;
use crate::jpeg::headers::tables::Steps;
use crate::jpeg::hold::tokens::{EOB, TokenReader, TokenScan};
use crate::jpeg::write::codes::Codes;

/// Codes of both classes: DC and AC; `None` where no component of the scan uses the class.
pub(crate) type ScanCodes = [Option<(Codes, Codes)>; 2];

/// The best codes for a scan.
pub(crate) fn scan_codes(scan: &TokenScan, classes: &[usize]) -> ScanCodes {
    std::array::from_fn(|class| {
        let used = scan.components.iter().any(|&component| classes[component] == class);
        used.then(|| {
            let counts = &scan.counts[class];
            (Codes::optimal(&counts.dc), Codes::optimal(&counts.ac()))
        })
    })
}

/// Bytes of a scan with these codes, its tables and header included; stuffed zeros, about one byte in 300, are not.
pub(crate) fn scan_len(scan: &TokenScan, codes: &ScanCodes) -> usize {
    let mut bits = 0;
    let mut bytes = 4 + 2 + 2 + 1 + 2 * scan.components.len() + 3;
    for (codes, counts) in codes.iter().zip(&scan.counts) {
        if let Some((dc, ac)) = codes {
            bits += dc.cost(&counts.dc) + ac.cost(&counts.ac());
            bytes += dc.table_len() + ac.table_len();
        }
    }
    bytes + bits.div_ceil(8) as usize
}

/// Start of image, application segments, quantisation tables and frame header. `steps` has one table per component.
pub(crate) fn head(
    frame: &Frame,
    steps: &[Steps],
    metadata: &Metadata,
    keep_copyright: bool,
    progressive: bool,
) -> Vec<u8> {
    let mut out = vec![0xFF, SOI];
    metadata.write(&mut out, keep_copyright);

    // Components with equal steps share a table.
    let mut tables: Vec<&Steps> = Vec::new();
    let selectors: Vec<u8> = steps
        .iter()
        .map(|steps| {
            let known = tables.iter().position(|&table| table == steps);
            known.unwrap_or_else(|| {
                tables.push(steps);
                tables.len() - 1
            }) as u8
        })
        .collect();
    let mut body = Vec::new();
    let mut baseline = true;
    for (table, selector) in tables.iter().zip(0_u8..) {
        // Only 16-bit tables hold steps above 255, and those are not baseline (table B.4). They come from the source alone.
        if table.iter().any(|&step| step > 255) {
            baseline = false;
            body.push(1 << 4 | selector);
            body.extend(table.iter().flat_map(|step| step.to_be_bytes()));
        } else {
            body.push(selector);
            body.extend(table.iter().map(|&step| step as u8));
        }
    }
    segment(&mut out, DQT, &[&body]);

    body.clear();
    body.push(8);
    body.extend_from_slice(&(frame.height as u16).to_be_bytes());
    body.extend_from_slice(&(frame.width as u16).to_be_bytes());
    body.push(frame.components.len() as u8);
    for (component, selector) in frame.components.iter().zip(selectors) {
        body.extend_from_slice(&[component.id, component.h << 4 | component.v, selector]);
    }
    let marker = match (progressive, baseline) {
        (true, _) => SOF2,
        (false, true) => SOF0,
        (false, false) => SOF1,
    };
    segment(&mut out, marker, &[&body]);
    out
}

/// Appends one sequential scan: its Huffman tables, its header, its data.
pub(crate) fn scan(out: &mut Vec<u8>, frame: &Frame, scan: &TokenScan, codes: &ScanCodes, classes: &[usize]) {
    let mut body = Vec::new();
    for (codes, class) in codes.iter().zip(0_u8..) {
        if let Some((dc, ac)) = codes {
            table(&mut body, class, dc);
            table(&mut body, 1 << 4 | class, ac);
        }
    }
    segment(out, DHT, &[&body]);
    let selectors = scan.components.iter().map(|&c| (frame.components[c].id, (classes[c] << 4 | classes[c]) as u8));
    scan_header(out, selectors, [0, 63, 0]);

    let mut writer = BitWriter::new(out, scan_len(scan, codes));
    let mut reader = TokenReader::new(&scan.tokens);
    for _ in 0..scan.layout.mcus {
        for &component in &scan.layout.mcu {
            let Some((dc, ac)) = &codes[classes[component]] else {
                continue;
            };
            let (size, bits) = reader.next();
            writer.symbol(dc.get(size), bits, size);
            let mut k = 0;
            while k < 63 {
                let (symbol, bits) = reader.next();
                writer.symbol(ac.get(symbol), bits, symbol & 15);
                if symbol == u32::from(EOB) {
                    break;
                }
                k += (symbol >> 4) + 1;
            }
        }
    }
    writer.finish();
}

/// Appends one table to the body of a define-Huffman-tables segment.
pub(crate) fn table(body: &mut Vec<u8>, selector: u8, codes: &Codes) {
    body.push(selector);
    body.extend_from_slice(&codes.spec.counts);
    body.extend_from_slice(&codes.spec.symbols);
}

/// Appends a start of scan (B.2.3): identifier and table selectors of each component; first and last coefficient, bit positions.
pub(crate) fn scan_header(out: &mut Vec<u8>, components: impl Iterator<Item = (u8, u8)>, spectral: [u8; 3]) {
    let components: Vec<u8> = components.flat_map(|(id, selectors)| [id, selectors]).collect();
    segment(out, SOS, &[&[(components.len() / 2) as u8], &components, &spectral]);
}

/// Ends the file.
pub(crate) fn tail(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xFF, EOI]);
}

/// Bytes gathered before zeros are stuffed after every FF among them.
const BUFFER: usize = 16 * 1024;

/// Bits to bytes, with a zero stuffed after every FF (B.1.1.5).
///
/// Most symbols are shorter than a byte, so no branch should depend on when one is full: eight bytes are stored every time, and
/// the position moves by those that are. FFs are rare, and are looked for in one go.
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    buffer: Box<[u8; BUFFER + 8]>,
    at: usize,
    /// Bits that do not fill a byte yet, left-justified.
    acc: u64,
    /// How many: below 8 between calls.
    count: u32,
}

impl<'a> BitWriter<'a> {
    /// Appends to `out`; `expected` bytes are a hint.
    pub(crate) fn new(out: &'a mut Vec<u8>, expected: usize) -> Self {
        out.reserve(expected + expected / 128 + 16);
        Self { out, buffer: Box::new([0; BUFFER + 8]), at: 0, acc: 0, count: 0 }
    }

    /// A symbol's code (value and length) and the `size` ≤ 15 bits that follow it.
    #[inline(always)]
    pub(crate) fn symbol(&mut self, (code, length): (u32, u32), bits: u32, size: u32) {
        self.put(code << size | bits, length + size);
    }

    /// The low `length` ≤ 32 bits of `value`; the others must be zero.
    #[inline(always)]
    pub(crate) fn put(&mut self, value: u32, length: u32) {
        self.count += length;
        self.acc |= u64::from(value) << ((64 - self.count) & 63);
        let at = self.at & (BUFFER - 1);
        self.buffer[at..at + 8].copy_from_slice(&self.acc.to_be_bytes());
        let full = self.count & !7;
        self.at += (full / 8) as usize;
        self.acc <<= full & 63;
        self.count &= 7;
        if self.at > BUFFER - 8 {
            self.flush();
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        let mut rest = &self.buffer[..self.at];
        while let Some(found) = memchr::memchr(0xFF, rest) {
            self.out.extend_from_slice(&rest[..=found]);
            self.out.push(0);
            rest = &rest[found + 1..];
        }
        self.out.extend_from_slice(rest);
        self.at = 0;
    }

    /// Fills the last byte with ones (F.1.2.3) and writes what is left.
    pub(crate) fn finish(mut self) {
        let padding = (8 - self.count) % 8;
        self.put((1 << padding) - 1, padding);
        self.flush();
    }
}
