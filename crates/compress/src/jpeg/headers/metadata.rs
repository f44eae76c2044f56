//! Application segments: what is kept (density, colour profile, Adobe's transform, orientation, on request the copyright) and
//! what is dropped (everything else: comments, GPS, thumbnails, further pictures).
//!
//! Whatever a segment contains, reading it cannot fail: what is not understood is dropped.

use crate::jpeg::headers::frame::Frame;
use crate::jpeg::headers::marker::{APP0, APP1, APP2, APP14, Segment, segment};
use crate::jpeg::types::Colour;
use crate::metadata::exif::{Exif, PREFIX};

/// How each profile segment starts (ICC.1, B.4): then a sequence number, a count and the data.
const ICC: &[u8] = b"ICC_PROFILE\0";

/// What the application segments of a file say.
#[derive(Default)]
pub(crate) struct Metadata<'a> {
    /// Version, unit and density of a JFIF header (ITU-T T.871, 10.1): seven bytes.
    pub(crate) jfif: Option<[u8; 7]>,
    /// Adobe's segment: its body, twelve bytes of which the last is the colour transform.
    pub(crate) adobe: Option<[u8; 12]>,
    /// Bodies of the profile segments, in file order.
    pub(crate) icc: Vec<&'a [u8]>,
    pub(crate) exif: Exif<'a>,
    /// Further pictures follow the first one (CIPA DC-007).
    several_pictures: bool,
    gain_map: bool,
}

impl<'a> Metadata<'a> {
    /// That of a new picture in the colours of JFIF. `exif` is TIFF data.
    pub(crate) fn new(exif: Option<&'a [u8]>) -> Self {
        // Version 1.1, no unit, square pixels (T.871, 10.1).
        let jfif = Some([1, 1, 0, 0, 1, 0, 1]);
        Self { jfif, exif: exif.map(Exif::read).unwrap_or_default(), ..Self::default() }
    }

    /// Takes what is worth keeping from one segment.
    pub(crate) fn read(&mut self, segment: &Segment<'a>) {
        let body = segment.body;
        match segment.marker {
            APP0 if self.jfif.is_none() => {
                self.jfif = body.strip_prefix(b"JFIF\0").and_then(|rest| rest.first_chunk()).copied();
            }
            APP1 => {
                if let Some(tiff) = body.strip_prefix(PREFIX) {
                    if self.exif.is_empty() {
                        self.exif = Exif::read(tiff);
                    }
                } else if memchr::memmem::find(body, b"ns.adobe.com/hdr-gain-map/").is_some() {
                    self.gain_map = true;
                }
            }
            APP2 => {
                if body.starts_with(ICC) {
                    self.icc.push(body);
                } else if body.starts_with(b"MPF\0") {
                    self.several_pictures = true;
                } else if body.starts_with(b"urn:iso:std:iso:ts:21496:-1\0") {
                    self.gain_map = true;
                }
            }
            APP14 if self.adobe.is_none() && body.starts_with(b"Adobe") => {
                self.adobe = body.first_chunk().copied();
            }
            _ => {}
        }
    }

    /// The colour model, decided as libjpeg does (`default_decompress_parms`): by JFIF, by Adobe's transform, or by the
    /// identifiers of the components. All of these are written again, so that readers decide the same.
    pub(crate) fn colour(&self, frame: &Frame) -> Colour {
        let transform = self.adobe.map(|body| body[11]);
        let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
        match (ids.len(), transform) {
            (1, _) => Colour::Grey,
            (3, _) if self.jfif.is_some() => Colour::YCbCr,
            (3, Some(0)) => Colour::Rgb,
            (3, Some(_)) => Colour::YCbCr,
            (3, None) if ids == *b"RGB" => Colour::Rgb,
            (3, None) => Colour::YCbCr,
            (_, Some(2)) => Colour::Ycck,
            _ => Colour::Cmyk,
        }
    }

    /// What a viewer may miss in the result.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.gain_map {
            warnings.push("The HDR gain map was dropped; the standard-range picture is kept.".to_owned());
        } else if self.several_pictures {
            warnings.push("The file contains more than one picture (MPF); only the first is kept.".to_owned());
        }
        warnings
    }

    /// Appends the segments that are kept, in the order that T.871 asks for: JFIF first.
    pub(crate) fn write(&self, out: &mut Vec<u8>, keep_copyright: bool) {
        if let Some(jfif) = self.jfif {
            // Two zero bytes: no thumbnail.
            segment(out, APP0, &[b"JFIF\0", &jfif, &[0, 0]]);
        }
        if let Some(exif) = self.exif.write(keep_copyright) {
            segment(out, APP1, &[PREFIX, &exif]);
        }
        for body in &self.icc {
            segment(out, APP2, &[body]);
        }
        if let Some(adobe) = self.adobe {
            segment(out, APP14, &[&adobe]);
        }
    }
}
