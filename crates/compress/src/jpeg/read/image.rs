//! An image while its scans arrive: walks over a file's segments and decodes its scans.
//!
//! Limits are checked before memory is asked for; an image counts as whole only with all its MCUs and its end marker.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::frame::{Frame, ScanComponent, ScanHeader};
use crate::jpeg::headers::marker::{DHT, DQT, DRI, EOI, Reader, SOI, SOS};
use crate::jpeg::headers::metadata::Metadata;
use crate::jpeg::headers::tables::{Steps, Tables};
use crate::jpeg::hold::picture::{Body, Picture};
use crate::jpeg::hold::planes::{self, Plane};
use crate::jpeg::read::bits::Feed;
use crate::jpeg::read::flaws::{Flaw, Flaws};
use crate::jpeg::read::lookup::{Kind, Lookup};
use crate::jpeg::read::progressive;
use crate::jpeg::types::{Colour, Limits};

/// What becomes of a file's scans.
pub(crate) trait Scans {
    /// For each position the smallest magnitude of an AC coefficient that counts, at least 1. Those below may be left out.
    fn least(&self, frame: &Frame, colour: Colour, component: usize, steps: &Steps) -> [u32; 64];

    /// Decodes one scan of a sequential file.
    fn scan(
        &mut self,
        feed: &mut Feed,
        frame: &Frame,
        colour: Colour,
        coded: Vec<Coded>,
        restart_interval: usize,
    ) -> Result<(), Error>;
}

/// A component in a scan: its Huffman tables, and its quantisation table.
pub(crate) struct Coded {
    pub(crate) component: usize,
    pub(crate) dc: Lookup,
    pub(crate) ac: Lookup,
    pub(crate) steps: Steps,
}

/// Decodes a file: a sequential one into `scans`, a progressive one into planes.
pub(crate) fn read<'a, S: Scans>(
    bytes: &'a [u8],
    limits: &Limits,
    scans: S,
    flaws: &mut Flaws,
) -> Result<Picture<'a, S>, Error> {
    let mut reader = Reader::new(bytes)?;
    let mut tables = Tables::new();
    let mut metadata = Metadata::default();
    let mut image: Option<Image<S>> = None;
    let mut body = Some(scans);
    let mut scans = 0;
    loop {
        let segment = reader.next()?;
        match segment.marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let body = body.take().ok_or_else(|| corrupt("it has two frame headers"))?;
                let frame = Frame::read(segment.marker, segment.body)?;
                check(&frame, bytes.len(), limits)?;
                image = Some(Image::new(frame, body));
            }
            DHT => tables.read_dht(segment.body)?,
            DQT => tables.read_dqt(segment.body)?,
            DRI => tables.read_dri(segment.body)?,
            SOS => {
                let image = image.as_mut().ok_or_else(|| corrupt("a scan comes before the frame header"))?;
                scans += 1;
                if scans > limits.max_scans {
                    return Err(Error::TooManyScans { limit: limits.max_scans });
                }
                let header = ScanHeader::read(segment.body, &image.frame)?;
                let used = image.scan(&header, reader.rest(), &tables, &metadata, flaws)?;
                reader.skip(used);
            }
            EOI => break,
            SOI => return Err(corrupt("a second image starts inside the first")),
            0xCC => return Err(Error::Unsupported("arithmetic coding")),
            0xDE | 0xDF => return Err(Error::Unsupported("hierarchical coding")),
            // What decides the colour model must not change once scans are being decoded.
            _ if scans == 0 => metadata.read(&segment),
            _ => {}
        }
    }
    image.ok_or_else(|| corrupt("it has no frame header"))?.finish(metadata)
}

/// Refuses what is too large, and what cannot be true: every block takes at least two bits in a sequential file (a DC code and
/// an end of block) and one in a progressive one (a DC code), so a small file cannot ask for much memory.
fn check(frame: &Frame, file_len: usize, limits: &Limits) -> Result<(), Error> {
    let (width, height) = (frame.width, frame.height);
    if u64::from(width) * u64::from(height) > limits.max_pixels || width.max(height) > limits.max_side {
        let Limits { max_pixels, max_side, .. } = *limits;
        return Err(Error::TooManyPixels { width, height, max_pixels, max_side });
    }
    let blocks: u64 = frame.components.iter().map(|c| c.columns as u64 * c.rows as u64).sum();
    let bits_per_block = if frame.progressive { 1 } else { 2 };
    if blocks * bits_per_block > file_len as u64 * 8 {
        return Err(corrupt("it is too short for its number of pixels"));
    }
    Ok(())
}

/// An image while its scans arrive.
struct Image<S> {
    frame: Frame,
    /// The quantisation table of each component, taken when its first scan starts: tables may be redefined later.
    steps: Vec<Option<Steps>>,
    scans: S,
    planes: Vec<Plane>,
    progress: progressive::Progress,
    /// Some scan brought the DC of several components, and so that of padding blocks too.
    padding_known: bool,
}

impl<S: Scans> Image<S> {
    fn new(frame: Frame, scans: S) -> Self {
        let count = frame.components.len();
        Self {
            steps: vec![None; count],
            scans,
            planes: Vec::new(),
            progress: progressive::NO_PROGRESS,
            padding_known: count == 1,
            frame,
        }
    }

    /// Decodes one scan from `data`; returns how many bytes it took.
    fn scan(
        &mut self,
        header: &ScanHeader,
        data: &[u8],
        tables: &Tables,
        metadata: &Metadata,
        flaws: &mut Flaws,
    ) -> Result<usize, Error> {
        for c in &header.components {
            let steps = &mut self.steps[c.component];
            if steps.is_none() {
                let table = self.frame.components[c.component].table;
                let source = tables.quantisation[table].ok_or_else(|| corrupt("a quantisation table is missing"))?;
                if source.contains(&0) {
                    flaws.note(Flaw::ZeroStep)?;
                }
                *steps = Some(source);
            } else if !self.frame.progressive {
                return Err(corrupt("a component appears twice"));
            }
        }
        let mut feed = Feed::new(data);
        if matches!(flaws, Flaws::Found(_)) {
            feed.allow_resync();
        }
        if self.frame.progressive {
            if self.planes.is_empty() {
                self.planes = planes::empty(&self.frame);
            }
            progressive::advance(header, &mut self.progress, flaws)?;
            // A scan of AC coefficients has one component.
            let component = header.components[0].component;
            let steps = self.steps[component].unwrap_or([1; 64]);
            let least = self.scans.least(&self.frame, metadata.colour(&self.frame), component, &steps);
            progressive::decode(&mut feed, &self.frame, header, tables, &mut self.planes, &least)?;
            self.padding_known |= header.first == 0 && header.components.len() == self.frame.components.len();
        } else {
            let coded = header.components.iter().map(|c| self.coded(c, tables)).collect::<Result<_, _>>()?;
            let colour = metadata.colour(&self.frame);
            self.scans.scan(&mut feed, &self.frame, colour, coded, tables.restart_interval)?;
        }
        if feed.was_resynced() {
            flaws.note(Flaw::Restarts)?;
        }
        Ok(feed.finish())
    }

    fn coded(&self, c: &ScanComponent, tables: &Tables) -> Result<Coded, Error> {
        let missing = || corrupt("a Huffman table is missing");
        let dc = Lookup::new(tables.dc[c.dc].as_ref().ok_or_else(missing)?, Kind::Dc)?;
        let ac = Lookup::new(tables.ac[c.ac].as_ref().ok_or_else(missing)?, Kind::Ac)?;
        let steps = self.steps[c.component].ok_or_else(|| corrupt("a quantisation table is missing"))?;
        Ok(Coded { component: c.component, dc, ac, steps })
    }

    /// Checks that nothing is missing.
    fn finish(mut self, metadata: Metadata<'_>) -> Result<Picture<'_, S>, Error> {
        let missing = || corrupt("a component is missing");
        let steps = self.steps.iter().copied().collect::<Option<_>>().ok_or_else(missing)?;
        let body = if self.frame.progressive {
            if self.progress.iter().take(self.frame.components.len()).any(|component| component[0] < 0) {
                return Err(missing());
            }
            if !self.padding_known {
                planes::pad(&self.frame, &mut self.planes);
            }
            Body::Progressive(self.planes)
        } else {
            Body::Sequential(self.scans)
        };
        Ok(Picture { frame: self.frame, metadata, steps, body })
    }
}
