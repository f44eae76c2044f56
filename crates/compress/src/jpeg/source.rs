//! Reads headers, decodes files, and encodes them again.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::colour_model::classes;
use crate::jpeg::headers::frame::Frame;
use crate::jpeg::headers::marker::{APP0, APP15, DQT, EOI, Reader, SOS, Segment, segment};
use crate::jpeg::headers::metadata::Metadata;
use crate::jpeg::headers::tables::{Steps, Tables};
use crate::jpeg::hold::picture::{Body, Picture, role, target};
use crate::jpeg::hold::planes::{self, Plane};
use crate::jpeg::hold::quality;
use crate::jpeg::hold::tokens::{self, TokenScan};
use crate::jpeg::read::flaws::Flaws;
use crate::jpeg::read::rounded::read;
use crate::jpeg::types::{Encoded, Header, Limits, Options};
use crate::jpeg::write::{bands, emit};

/// Reads the headers only, up to the first scan.
///
/// # Errors
///
/// [`Error::Corrupt`] for damaged headers or no JPEG at all, [`Error::Unsupported`] for kinds that are not handled here.
pub fn header(bytes: &[u8]) -> Result<Header, Error> {
    let (frame, metadata, _) = headers(bytes)?;
    Ok(describe(&frame, &metadata))
}

/// The quality on libjpeg's scale, 1 to 100, that fits the luma table best, by the headers alone. None without a table.
pub fn estimated_quality(bytes: &[u8]) -> Option<u8> {
    let (frame, _, tables) = headers(bytes).ok()?;
    tables.quantisation[frame.components.first()?.table].as_ref().map(quality::estimate)
}

/// What a viewer may miss in a picture made of this one, by the headers alone.
pub fn warnings(bytes: &[u8]) -> Vec<String> {
    headers(bytes).map(|(_, metadata, _)| metadata.warnings()).unwrap_or_default()
}

fn headers(bytes: &[u8]) -> Result<(Frame, Metadata<'_>, Tables), Error> {
    let mut reader = Reader::new(bytes)?;
    let mut metadata = Metadata::default();
    let mut tables = Tables::new();
    let mut frame = None;
    loop {
        let segment = reader.next()?;
        match segment.marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                frame = Some(Frame::read(segment.marker, segment.body)?);
            }
            DQT => tables.read_dqt(segment.body)?,
            SOS | EOI => break,
            _ => metadata.read(&segment),
        }
    }
    let frame = frame.ok_or_else(|| corrupt("it has no frame header"))?;
    Ok((frame, metadata, tables))
}

fn describe(frame: &Frame, metadata: &Metadata) -> Header {
    Header {
        width: frame.width,
        height: frame.height,
        components: frame.components.len() as u8,
        progressive: frame.progressive,
        colour: metadata.colour(frame),
        orientation: metadata.exif.orientation(),
        has_icc: !metadata.icc.is_empty(),
        sampling: frame.components.iter().map(|component| (component.h, component.v)).collect(),
    }
}

impl Header {
    /// How many samples of a component the picture covers in each direction. A fraction where a subsampled component's last
    /// sample is shared with what lies outside.
    pub fn extent(&self, component: usize) -> (f64, f64) {
        let own = self.sampling.get(component).copied().unwrap_or((1, 1));
        let max = |factor: fn(&(u8, u8)) -> u8| f64::from(self.sampling.iter().map(factor).max().unwrap_or(1));
        let width = f64::from(self.width) * f64::from(own.0) / max(|factors| factors.0);
        let height = f64::from(self.height) * f64::from(own.1) / max(|factors| factors.1);
        (width, height)
    }
}

/// A decoded JPEG: its quantised coefficients, ready to be encoded at any quality, any number of times.
///
/// Sequential files are held as tokens, 2 bytes for each non-zero coefficient; progressive ones as planes, at most
/// 138 bytes for each block of 64. Borrows the file for the metadata.
pub struct Source<'a> {
    header: Header,
    pub(crate) picture: Picture<'a>,
}

impl<'a> From<Picture<'a>> for Source<'a> {
    fn from(picture: Picture<'a>) -> Self {
        Self { header: describe(&picture.frame, &picture.metadata), picture }
    }
}

/// Decodes a whole file.
///
/// # Errors
///
/// Any [`Error`]: see there.
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Source<'a>, Error> {
    read(bytes, limits, None, &mut Flaws::Refused).map(Source::from)
}

/// Decodes and encodes in one go. Sequential files are rounded while they are read, and never held in full.
///
/// # Errors
///
/// Those of [`decode`].
pub fn requantise(bytes: &[u8], quality: u8, options: &Options, limits: &Limits) -> Result<Encoded, Error> {
    let source = Source::from(read(bytes, limits, Some(quality), &mut Flaws::Refused)?);
    match source.picture.body {
        Body::Sequential(_) => Ok(source.lossless(options)),
        Body::Progressive(_) => Ok(source.encode(quality, options)),
    }
}

/// A sound file of one that breaks a rule which browsers overlook: a quantisation step of zero, AC before DC in a progressive file,
/// restart markers that are lost or misnumbered. It shows what libjpeg shows, but that a restart interval without data is grey from
/// its first block on. Its warnings say what was wrong; a sound source has none. All application segments are kept.
///
/// # Errors
///
/// Those of [`decode`] for everything else that is wrong. A picture that was cut short stays so.
pub fn repair(bytes: &[u8], limits: &Limits) -> Result<Encoded, Error> {
    let mut flaws = Flaws::Found(Vec::new());
    let mut source = Source::from(read(bytes, limits, None, &mut flaws)?);
    source.picture.metadata = Metadata::default();
    let progressive = source.picture.frame.progressive;
    let bare = source.lossless(&Options { progressive, keep_copyright: false }).bytes;
    let (start, rest) = bare.split_at(2);
    let mut whole = start.to_vec();
    let mut reader = Reader::new(bytes)?;
    loop {
        let Segment { marker, body } = reader.next()?;
        match marker {
            SOS | EOI => break,
            APP0..=APP15 => segment(&mut whole, marker, &[body]),
            _ => {}
        }
    }
    whole.extend_from_slice(rest);
    let Flaws::Found(found) = flaws else { return Ok(Encoded { bytes: whole, warnings: Vec::new() }) };
    Ok(Encoded { bytes: whole, warnings: found.into_iter().map(|flaw| flaw.warning().to_owned()).collect() })
}

impl Source<'_> {
    /// What the file says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The quality on libjpeg's scale, 1 to 100, that fits the source's luma table best.
    pub fn estimated_quality(&self) -> u8 {
        self.picture.steps.first().map_or(100, quality::estimate)
    }

    /// The size in bytes of [`Source::encode`] at this quality, as baseline, found without writing it: exact but for the
    /// zeros stuffed after FF bytes, about 0.3 %.
    pub fn size_at(&self, quality: u8) -> usize {
        self.size(Some(quality))
    }

    /// The size in bytes of [`Source::lossless`] as baseline, as exact.
    pub fn lossless_size(&self) -> usize {
        self.size(None)
    }

    fn size(&self, quality: Option<u8>) -> usize {
        let (steps, scans) = self.rounded(quality, false);
        let classes = classes(self.header.colour);
        let head = emit::head(&self.picture.frame, &steps, &self.picture.metadata, false, false).len();
        let scans: usize = scans.iter().map(|scan| emit::scan_len(scan, &emit::scan_codes(scan, &classes))).sum();
        head + scans + 2
    }

    /// Encodes at a quality of 1 to 100.
    pub fn encode(&self, quality: u8, options: &Options) -> Encoded {
        self.write(Some(quality), options)
    }

    /// Encodes the coefficients as they are, with the best Huffman tables and without the metadata that is not kept.
    pub fn lossless(&self, options: &Options) -> Encoded {
        self.write(None, options)
    }

    fn write(&self, quality: Option<u8>, options: &Options) -> Encoded {
        let classes = classes(self.header.colour);
        let bytes = if options.progressive {
            let (steps, planes) = self.rounded_planes(quality);
            let mut out = emit::head(&self.picture.frame, &steps, &self.picture.metadata, options.keep_copyright, true);
            bands::write(&mut out, &self.picture.frame, &planes, &classes);
            emit::tail(&mut out);
            out
        } else if let (Body::Sequential(scans), None) = (&self.picture.body, quality) {
            self.sequential(&self.picture.steps, scans.iter(), options)
        } else {
            let (steps, scans) = self.rounded(quality, true);
            self.sequential(&steps, scans.iter(), options)
        };
        Encoded { bytes, warnings: self.picture.metadata.warnings() }
    }

    fn sequential<'s>(
        &self,
        steps: &[Steps],
        scans: impl Iterator<Item = &'s TokenScan>,
        options: &Options,
    ) -> Vec<u8> {
        let classes = classes(self.header.colour);
        let mut out = emit::head(&self.picture.frame, steps, &self.picture.metadata, options.keep_copyright, false);
        for scan in scans {
            emit::scan(&mut out, &self.picture.frame, scan, &emit::scan_codes(scan, &classes), &classes);
        }
        emit::tail(&mut out);
        out
    }

    /// The coefficients at a quality, as sequential scans; with `keep` false only their counts.
    fn rounded(&self, quality: Option<u8>, keep: bool) -> (Vec<Steps>, Vec<TokenScan>) {
        let classes = classes(self.header.colour);
        let Picture { frame, steps, .. } = &self.picture;
        let (quantisers, steps): (Vec<_>, Vec<_>) = steps
            .iter()
            .enumerate()
            .map(|(component, steps)| target(steps, quality, role(frame, self.header.colour, component)))
            .unzip();
        let scans = match &self.picture.body {
            Body::Sequential(scans) => {
                scans.iter().map(|scan| tokens::requantise(scan, &quantisers, &classes, keep)).collect()
            }
            Body::Progressive(planes) => planes::sequential_scans(&self.picture.frame)
                .iter()
                .map(|components| planes::tokens(&self.picture.frame, planes, components, &quantisers, &classes, keep))
                .collect(),
        };
        (steps, scans)
    }

    /// The coefficients at a quality, as planes.
    fn rounded_planes(&self, quality: Option<u8>) -> (Vec<Steps>, Vec<Plane>) {
        let (steps, scans) = self.rounded(quality, true);
        let mut planes = planes::empty(&self.picture.frame);
        for scan in &scans {
            planes::fill(&self.picture.frame, &mut planes, scan);
        }
        (steps, planes)
    }
}
