//! The container of a WebP.
//!
//! Reads chunk lengths and image headers without decoding; a chunk that does not fit the file is an error. Also wraps a bare image
//! together with a colour profile and EXIF.

use std::ops::Range;

use crate::contract::Error;

/// VP8X flags (WebP container specification).
const ANIMATION: u8 = 0x02;
const XMP: u8 = 0x04;
const EXIF: u8 = 0x08;
const ALPHA: u8 = 0x10;
const ICC: u8 = 0x20;

/// Animations have a few thousand; more than this is an attack on the memory that holds the list.
const MAX_CHUNKS: usize = 200_000;

/// One chunk: its name, and where its data lies.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub name: [u8; 4],
    pub data: Range<usize>,
}

/// The chunks at the top level.
pub(crate) fn chunks(bytes: &[u8]) -> Result<Vec<Chunk>, Error> {
    let cut = || Error::corrupt("the WebP ends early");
    let size = u32_at(bytes, 4).ok_or_else(cut)?;
    let end = size.checked_add(8).ok_or_else(cut)?;
    // Some writers count a last padding byte that they do not write.
    if end > bytes.len() + 1 {
        return Err(cut());
    }
    inside(bytes, 12..end.min(bytes.len()))
}

fn inside(bytes: &[u8], range: Range<usize>) -> Result<Vec<Chunk>, Error> {
    let cut = || Error::corrupt("a part of the WebP is cut short");
    let mut found = Vec::new();
    let mut at = range.start;
    while at + 8 <= range.end {
        let name = *bytes[at..].first_chunk().ok_or_else(cut)?;
        let length = u32_at(bytes, at + 4).ok_or_else(cut)?;
        let data_end = (at + 8).checked_add(length).ok_or_else(cut)?;
        if data_end > range.end {
            return Err(cut());
        }
        let end = (data_end + length % 2).min(range.end);
        found.push(Chunk { name, data: at + 8..data_end });
        if found.len() > MAX_CHUNKS {
            return Err(Error::corrupt("the WebP has too many chunks"));
        }
        at = end;
    }
    Ok(found)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

fn u24(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// What the container and the image's own header say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub width: u32,
    pub height: u32,
    /// Frames of an animation; 1 for a still image.
    pub frames: u32,
    pub is_animated: bool,
    pub has_alpha: bool,
    pub is_lossless: bool,
}

/// The header. Also checks that the image data is as long as it says.
pub(crate) fn header(bytes: &[u8], chunks: &[Chunk]) -> Result<Header, Error> {
    let damaged = || Error::corrupt("the WebP has no valid header");
    let first = chunks.first().ok_or_else(damaged)?;
    if &first.name != b"VP8X" {
        return still(bytes, chunks)?.ok_or_else(damaged);
    }
    let extended = &bytes[first.data.clone()];
    if extended.len() < 10 {
        return Err(damaged());
    }
    let (width, height) = (u24(&extended[4..]) + 1, u24(&extended[7..]) + 1);
    let has_alpha = extended[0] & ALPHA != 0;
    if extended[0] & ANIMATION == 0 {
        let image = still(bytes, chunks)?.ok_or_else(damaged)?;
        if (image.width, image.height) != (width, height) {
            return Err(Error::corrupt("its headers disagree about its size"));
        }
        return Ok(Header { has_alpha, ..image });
    }
    let mut header = Header { width, height, frames: 0, is_animated: true, has_alpha, is_lossless: true };
    for frame in chunks.iter().filter(|chunk| &chunk.name == b"ANMF") {
        let parts = inside(bytes, (frame.data.start + 16).min(frame.data.end)..frame.data.end)?;
        let image = still(bytes, &parts)?.ok_or_else(damaged)?;
        let place = bytes[frame.data.clone()].first_chunk::<16>().ok_or_else(damaged)?;
        let [left, top, right, bottom] =
            [2 * u24(place), 2 * u24(&place[3..]), u24(&place[6..]) + 1, u24(&place[9..]) + 1];
        let fits = left + right <= width && top + bottom <= height;
        if !fits || (image.width, image.height) != (right, bottom) {
            return Err(Error::corrupt("a frame lies outside the canvas"));
        }
        header.is_lossless &= image.is_lossless;
        header.frames += 1;
    }
    if header.frames == 0 {
        return Err(damaged());
    }
    Ok(header)
}

/// How often an animation is shown; 0 for ever.
pub(crate) fn plays(bytes: &[u8]) -> Result<u32, Error> {
    let list = chunks(bytes)?;
    let plays = data(bytes, &list, b"ANIM").and_then(|data| data.get(4..)?.first_chunk());
    let plays = plays.ok_or_else(|| Error::corrupt("the animation has no ANIM chunk"))?;
    Ok(u16::from_le_bytes(*plays).into())
}

/// A frame of a new animation: `image` is a still WebP of its own, and `left` and `top` are even.
pub(crate) struct Frame<'a> {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    /// In milliseconds.
    pub delay: u32,
    /// Whether it replaces what is under it, transparency and all.
    pub replaces: bool,
    /// Whether its place becomes transparent before the next frame.
    pub is_cleared: bool,
    pub image: &'a [u8],
}

/// Appends a frame to those of an animation.
pub(crate) fn write_frame(frames: &mut Vec<u8>, frame: &Frame<'_>) -> Result<(), Error> {
    let mut data = Vec::with_capacity(frame.image.len() + 16);
    for number in [frame.left / 2, frame.top / 2, frame.width - 1, frame.height - 1, frame.delay.min(0xff_ffff)] {
        data.extend(&number.to_le_bytes()[..3]);
    }
    data.push(u8::from(frame.replaces) << 1 | u8::from(frame.is_cleared));
    for chunk in chunks(frame.image)?.iter().filter(|chunk| matches!(&chunk.name, b"ALPH" | b"VP8 " | b"VP8L")) {
        write(&mut data, &chunk.name, &frame.image[chunk.data.clone()]);
    }
    write(frames, b"ANMF", &data);
    Ok(())
}

/// An animation with these frames. Its canvas is transparent at first.
pub(crate) fn animation(
    (width, height): (u32, u32),
    plays: u32,
    has_alpha: bool,
    frames: &[u8],
    metadata: &Metadata<'_>,
) -> Vec<u8> {
    let Metadata { icc, exif } = *metadata;
    let mut flags = ANIMATION;
    for (is_set, flag) in [(icc.is_some(), ICC), (exif.is_some(), EXIF), (has_alpha, ALPHA)] {
        if is_set {
            flags |= flag;
        }
    }
    let mut extended = vec![flags, 0, 0, 0];
    extended.extend(&(width - 1).to_le_bytes()[..3]);
    extended.extend(&(height - 1).to_le_bytes()[..3]);
    let mut body = b"WEBP".to_vec();
    write(&mut body, b"VP8X", &extended);
    if let Some(icc) = icc {
        write(&mut body, b"ICCP", icc);
    }
    // Too many plays to be counted are as good as for ever.
    let plays = u16::try_from(plays).unwrap_or(0).to_le_bytes();
    write(&mut body, b"ANIM", &[0, 0, 0, 0, plays[0], plays[1]]);
    body.extend(frames);
    if let Some(exif) = exif {
        write(&mut body, b"EXIF", exif);
    }
    let mut out = Vec::with_capacity(body.len() + 8);
    write(&mut out, b"RIFF", &body);
    out
}

/// What may stand beside the pictures of an animation.
#[derive(Default, Clone, Copy)]
pub(crate) struct Metadata<'a> {
    pub icc: Option<&'a [u8]>,
    pub exif: Option<&'a [u8]>,
}

/// The first frame of an animation that is lossy.
pub(crate) fn first_lossy<'a>(bytes: &'a [u8], chunks: &[Chunk]) -> Option<&'a [u8]> {
    chunks.iter().filter(|chunk| &chunk.name == b"ANMF").find_map(|frame| {
        let parts = inside(bytes, (frame.data.start + 16).min(frame.data.end)..frame.data.end).ok()?;
        data(bytes, &parts, b"VP8 ")
    })
}

/// The still image among `chunks`, if any.
fn still(bytes: &[u8], chunks: &[Chunk]) -> Result<Option<Header>, Error> {
    let Some(image) = chunks.iter().find(|chunk| matches!(&chunk.name, b"VP8 " | b"VP8L")) else {
        return Ok(None);
    };
    let data = &bytes[image.data.clone()];
    let header = if &image.name == b"VP8 " { lossy(data) } else { lossless(data) };
    let has_alpha = chunks.iter().any(|chunk| &chunk.name == b"ALPH");
    Ok(header.map(|header| Header { has_alpha: has_alpha || header.has_alpha, ..header }))
}

/// RFC 6386, 9.1: a key frame's tag, start code, dimensions; the first partition must fit.
fn lossy(data: &[u8]) -> Option<Header> {
    if data.len() < 10 || data[0] & 1 != 0 || data[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let first_partition = usize::try_from(u24(data) >> 5).ok()?;
    if first_partition + 10 > data.len() {
        return None;
    }
    let side = |at: usize| u32::from(u16::from_le_bytes([data[at], data[at + 1]]) & 0x3fff);
    let (width, height) = (side(6), side(8));
    (width > 0 && height > 0).then_some(Header {
        width,
        height,
        frames: 1,
        is_animated: false,
        has_alpha: false,
        is_lossless: false,
    })
}

/// WebP lossless bitstream specification, section 3.
fn lossless(data: &[u8]) -> Option<Header> {
    if *data.first()? != 0x2f {
        return None;
    }
    let bits = u32::from_le_bytes(*data.get(1..)?.first_chunk()?);
    Some(Header {
        width: (bits & 0x3fff) + 1,
        height: ((bits >> 14) & 0x3fff) + 1,
        frames: 1,
        is_animated: false,
        has_alpha: (bits >> 28) & 1 != 0,
        is_lossless: true,
    })
}

/// The data of the first chunk with this name.
pub(crate) fn data<'a>(bytes: &'a [u8], chunks: &[Chunk], name: &[u8; 4]) -> Option<&'a [u8]> {
    chunks.iter().find(|chunk| &chunk.name == name).map(|chunk| &bytes[chunk.data.clone()])
}

/// The TIFF part of the EXIF chunk; some writers put JPEG's prefix before it.
pub(crate) fn exif<'a>(bytes: &'a [u8], chunks: &[Chunk]) -> Option<&'a [u8]> {
    let exif = data(bytes, chunks, b"EXIF")?;
    Some(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

/// The coded transparency beside a lossy picture, as decoders find it: extended files only, before the picture.
pub(crate) fn alpha<'a>(bytes: &'a [u8], chunks: &[Chunk]) -> Option<&'a [u8]> {
    chunks.first().filter(|chunk| &chunk.name == b"VP8X")?;
    let before = chunks.iter().take_while(|chunk| &chunk.name != b"VP8 ");
    before.filter(|chunk| &chunk.name == b"ALPH").last().map(|chunk| &bytes[chunk.data.clone()])
}

/// A copy of `webp`, a bare still image, with a colour profile and EXIF around it, and with coded transparency if it has none.
pub(crate) fn wrap(
    webp: Vec<u8>,
    alpha: Option<&[u8]>,
    icc: Option<&[u8]>,
    exif: Option<&[u8]>,
) -> Result<Vec<u8>, Error> {
    if alpha.is_none() && icc.is_none() && exif.is_none() {
        return Ok(webp);
    }
    wrap_all(&webp, &chunks(&webp)?, &Around { alpha, icc, exif, xmp: None })
}

/// A copy of `webp`, with this XMP beside the colour profile and EXIF it may have.
pub(crate) fn with_xmp(webp: &[u8], xmp: &[u8]) -> Result<Vec<u8>, Error> {
    let list = chunks(webp)?;
    if let Some(extended) = list.first().filter(|_| header(webp, &list).is_ok_and(|header| header.is_animated)) {
        let mut body = webp[8..].to_vec();
        body[extended.data.start - 8] |= XMP;
        write(&mut body, b"XMP ", xmp);
        let mut out = Vec::with_capacity(body.len() + 8);
        write(&mut out, b"RIFF", &body);
        return Ok(out);
    }
    let around =
        Around { alpha: None, icc: data(webp, &list, b"ICCP"), exif: data(webp, &list, b"EXIF"), xmp: Some(xmp) };
    wrap_all(webp, &list, &around)
}

/// What is put around a picture beside the chunks it has already.
#[derive(Default)]
struct Around<'a> {
    alpha: Option<&'a [u8]>,
    icc: Option<&'a [u8]>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

fn wrap_all(webp: &[u8], list: &[Chunk], around: &Around<'_>) -> Result<Vec<u8>, Error> {
    let header = header(webp, list)?;
    let Around { alpha, icc, exif, xmp } = *around;
    let mut flags = 0;
    let has_alpha = alpha.is_some() || header.has_alpha;
    let parts = [(icc.is_some(), ICC), (exif.is_some(), EXIF), (xmp.is_some(), XMP), (has_alpha, ALPHA)];
    for (is_set, flag) in parts {
        if is_set {
            flags |= flag;
        }
    }
    let mut extended = vec![flags, 0, 0, 0];
    extended.extend(&(header.width - 1).to_le_bytes()[..3]);
    extended.extend(&(header.height - 1).to_le_bytes()[..3]);
    let mut body = b"WEBP".to_vec();
    write(&mut body, b"VP8X", &extended);
    if let Some(icc) = icc {
        write(&mut body, b"ICCP", icc);
    }
    if let Some(alpha) = alpha {
        write(&mut body, b"ALPH", alpha);
    }
    for chunk in list.iter().filter(|c| matches!(&c.name, b"ALPH" | b"VP8 " | b"VP8L")) {
        write(&mut body, &chunk.name, &webp[chunk.data.clone()]);
    }
    if let Some(exif) = exif {
        write(&mut body, b"EXIF", exif);
    }
    if let Some(xmp) = xmp {
        write(&mut body, b"XMP ", xmp);
    }
    let mut out = Vec::with_capacity(body.len() + 8);
    write(&mut out, b"RIFF", &body);
    Ok(out)
}

fn write(out: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    out.extend(name);
    // Chunks come from files far below 4 GiB.
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}
