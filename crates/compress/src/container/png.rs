//! The chunks of a PNG.
//!
//! Reads lengths and names only; contents are checked when the image is decoded. A file that ends before its IEND is an error.

use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;

use crate::container::inflate::inflate;
use crate::container::raw_profile;
use crate::contract::Error;

pub(crate) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// One chunk: its name, where it lies, and where its data lies.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub name: [u8; 4],
    /// Length, name, data and checksum.
    pub whole: Range<usize>,
    pub data: Range<usize>,
}

/// Large files have some thousands; more than this is an attack on the memory that holds the list.
const MAX_CHUNKS: usize = 200_000;

/// All chunks from IHDR to IEND.
pub(crate) fn chunks(bytes: &[u8]) -> Result<Vec<Chunk>, Error> {
    let mut found = Vec::new();
    let mut at = SIGNATURE.len();
    loop {
        let chunk = chunk_at(bytes, at).ok_or_else(|| Error::corrupt("the PNG ends early"))?;
        at = chunk.whole.end;
        let is_last = &chunk.name == b"IEND";
        found.push(chunk);
        if found.len() > MAX_CHUNKS {
            return Err(Error::corrupt("the PNG has too many chunks"));
        }
        if is_last {
            return Ok(found);
        }
    }
}

fn chunk_at(bytes: &[u8], at: usize) -> Option<Chunk> {
    let length = u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
    let name = *bytes.get(at + 4..)?.first_chunk()?;
    let start = at + 8;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end.checked_add(4)? <= bytes.len()).then_some(Chunk { name, whole: at..end + 4, data: start..end })
}

/// What IHDR and acTL say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub width: u32,
    pub height: u32,
    /// Bits per sample.
    pub depth: u8,
    /// PNG's colour type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA.
    pub colour: u8,
    /// Rows come in seven passes.
    pub is_interlaced: bool,
    /// Frames of an APNG; 1 otherwise.
    pub frames: u32,
    pub is_animated: bool,
}

/// The header, read without decoding anything.
pub(crate) fn header(bytes: &[u8], chunks: &[Chunk]) -> Result<Header, Error> {
    let damaged = || Error::corrupt("the PNG has no valid header");
    if chunks.first().is_some_and(|chunk| &chunk.name == b"CgBI") {
        return Err(Error::unsupported_because("PNG", "Apple's own compression (CgBI)"));
    }
    let ihdr = chunks.first().filter(|chunk| &chunk.name == b"IHDR" && chunk.data.len() == 13).ok_or_else(damaged)?;
    let (words, rest) = bytes[ihdr.data.clone()].as_chunks::<4>();
    let [width, height] = [words[0], words[1]].map(u32::from_be_bytes);
    let [depth, colour] = [words[2][0], words[2][1]];
    let [interlacing] = rest else {
        return Err(damaged());
    };
    if width == 0 || height == 0 {
        return Err(damaged());
    }
    // An acTL after IDAT is ignored; the file is then a still image.
    let before_image = chunks.iter().position(|chunk| &chunk.name == b"IDAT").unwrap_or(chunks.len());
    let animation = data(bytes, &chunks[..before_image], b"acTL");
    let frames = animation.and_then(<[u8]>::first_chunk).map_or(1, |count| u32::from_be_bytes(*count));
    let is_animated = animation.is_some() && are_in_order(bytes, chunks, frames);
    let (is_interlaced, frames) = (*interlacing != 0, if is_animated { frames } else { 1 });
    Ok(Header { width, height, depth, colour, is_interlaced, frames, is_animated })
}

/// Whether there are as many frames as are announced, and their parts are numbered without a gap. Browsers show the still image of a
/// file whose are not.
fn are_in_order(bytes: &[u8], chunks: &[Chunk], frames: u32) -> bool {
    let parts = || chunks.iter().filter(|chunk| matches!(&chunk.name, b"fcTL" | b"fdAT"));
    let number = |chunk: &Chunk| bytes[chunk.data.clone()].first_chunk().map(|number| u32::from_be_bytes(*number));
    let headers = parts().filter(|chunk| &chunk.name == b"fcTL").count();
    frames > 0 && headers as u64 == u64::from(frames) && parts().zip(0..).all(|(part, at)| number(part) == Some(at))
}

/// The still image of a file with an animation, without that; `None` for other files.
pub(crate) fn still(bytes: &[u8]) -> Option<Vec<u8>> {
    const ANIMATION: [&[u8; 4]; 3] = [b"acTL", b"fcTL", b"fdAT"];
    let list = chunks(bytes).ok().filter(|_| bytes.starts_with(SIGNATURE))?;
    let is_of_animation = |name: &[u8; 4]| ANIMATION.contains(&name);
    let has_one = list.iter().any(|chunk| &chunk.name == b"acTL");
    has_one.then(|| rewrite(bytes, &list, |chunk| is_of_animation(&chunk.name), &[]))
}

/// How often an animation is shown; 0 for ever.
pub(crate) fn plays(bytes: &[u8]) -> Result<u32, Error> {
    let list = chunks(bytes)?;
    Ok(data(bytes, &list, b"acTL")
        .and_then(|data| data.get(4..)?.first_chunk())
        .map_or(1, |plays| u32::from_be_bytes(*plays)))
}

/// The chunk of this name that decoders read: the first with the right checksum; a colour profile in it must also unpack to a sensible
/// size. Further profiles are not looked at: a file could hold thousands, each of which takes megabytes to unpack.
pub(crate) fn usable<'a>(bytes: &[u8], chunks: &'a [Chunk], name: &[u8; 4]) -> Option<&'a Chunk> {
    let first = chunks.iter().find(|chunk| &chunk.name == name && is_intact(bytes, chunk));
    first.filter(|chunk| name != b"iCCP" || unpacked_profile(&bytes[chunk.data.clone()]).is_some())
}

/// The colour profile of an iCCP chunk: a name, its NUL, the method 0, and zlib data.
fn unpacked_profile(data: &[u8]) -> Option<Vec<u8>> {
    /// Profiles of printers with four inks have about a megabyte; far more is a bomb.
    const MAX_PROFILE_BYTES: usize = 4 << 20;
    let name_end = memchr::memchr(0, data)?;
    inflate(data[name_end..].strip_prefix(&[0, 0])?, MAX_PROFILE_BYTES)
}

/// The embedded colour profile.
pub(crate) fn profile(bytes: &[u8], chunks: &[Chunk]) -> Option<Vec<u8>> {
    unpacked_profile(data(bytes, chunks, b"iCCP")?)
}

/// A chunk with a colour profile.
pub(crate) fn icc_chunk(icc: &[u8]) -> Option<([u8; 4], Vec<u8>)> {
    let mut packer = flate2::write::ZlibEncoder::new(b"icc\0\0".to_vec(), flate2::Compression::best());
    packer.write_all(icc).ok()?;
    Some((*b"iCCP", packer.finish().ok()?))
}

/// A copy with this profile in the place of its own. Without one it is sRGB: what else may say how its samples look goes too.
pub(crate) fn with_profile(bytes: &[u8], icc: Option<&[u8]>) -> Option<Vec<u8>> {
    let list = chunks(bytes).ok()?;
    let place = usable(bytes, &list, b"iCCP")?.whole.start;
    let (_, data) = icc.map_or_else(|| Some((*b"iCCP", Vec::new())), icc_chunk)?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend(SIGNATURE);
    for chunk in &list {
        match &chunk.name {
            b"iCCP" if icc.is_some() && chunk.whole.start == place => write(&mut out, b"iCCP", &data),
            b"iCCP" => {}
            b"gAMA" | b"cHRM" | b"sRGB" if icc.is_none() => {}
            _ => out.extend(&bytes[chunk.whole.clone()]),
        }
    }
    Some(out)
}

/// The TIFF part of the EXIF; some writers put JPEG's prefix before it.
pub(crate) fn exif<'a>(bytes: &'a [u8], chunks: &[Chunk]) -> Option<Cow<'a, [u8]>> {
    if let Some(exif) = data(bytes, chunks, b"eXIf") {
        return Some(Cow::Borrowed(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)));
    }
    let profiles = chunks.iter().filter(|chunk| raw_profile::is_one(&chunk.name, &bytes[chunk.data.clone()]));
    let mut tried = profiles.filter(|chunk| is_intact(bytes, chunk)).take(raw_profile::MAX_TRIED);
    tried.find_map(|chunk| raw_profile::exif(&chunk.name, &bytes[chunk.data.clone()])).map(Cow::Owned)
}

/// Whether the checksum is right.
fn is_intact(bytes: &[u8], chunk: &Chunk) -> bool {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[chunk.whole.start + 4..chunk.data.end]);
    bytes[chunk.data.end..chunk.whole.end] == crc.finalize().to_be_bytes()
}

/// The data of the [usable] chunk with this name.
pub(crate) fn data<'a>(bytes: &'a [u8], chunks: &[Chunk], name: &[u8; 4]) -> Option<&'a [u8]> {
    usable(bytes, chunks, name).map(|chunk| &bytes[chunk.data.clone()])
}

/// Appends a whole chunk.
pub(crate) fn write(out: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    // Data comes from files far below 4 GiB.
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(name);
    out.extend(data);
    let mut crc = crc32fast::Hasher::new();
    crc.update(name);
    crc.update(data);
    out.extend(crc.finalize().to_be_bytes());
}

/// A copy without the chunks `drop` selects, and with `extra` put in directly before the image data.
pub(crate) fn rewrite(
    bytes: &[u8],
    chunks: &[Chunk],
    drop: impl Fn(&Chunk) -> bool,
    extra: &[([u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend(SIGNATURE);
    let mut waiting = Some(extra);
    for chunk in chunks {
        if &chunk.name == b"IDAT"
            && let Some(extra) = waiting.take()
        {
            for (name, data) in extra {
                write(&mut out, name, data);
            }
        }
        if !drop(chunk) {
            out.extend(&bytes[chunk.whole.clone()]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Vec<u8> {
        let mut png = SIGNATURE.to_vec();
        write(&mut png, b"IHDR", &[0, 0, 0, 3, 0, 0, 0, 2, 8, 6, 0, 0, 0]);
        write(&mut png, b"tEXt", b"Title\0Hat");
        write(&mut png, b"IDAT", b"not really");
        write(&mut png, b"IEND", b"");
        png
    }

    #[test]
    fn chunks_are_found_dropped_and_added() {
        let png = tiny();
        let list = chunks(&png).unwrap();
        let header = header(&png, &list).unwrap();
        assert_eq!((header.width, header.height, header.colour, header.frames), (3, 2, 6, 1));
        let out = rewrite(&png, &list, |chunk| &chunk.name == b"tEXt", &[(*b"eXIf", b"MM".to_vec())]);
        let names: Vec<_> = chunks(&out).unwrap().iter().map(|c| c.name).collect();
        assert_eq!(names, [*b"IHDR", *b"eXIf", *b"IDAT", *b"IEND"]);
    }

    #[test]
    fn an_animation_announced_after_the_image_is_none() {
        let png = tiny();
        let list = chunks(&png).unwrap();
        let control = [(*b"acTL", vec![0, 0, 0, 1, 0, 0, 0, 0]), (*b"fcTL", vec![0; 26])];
        let animated = rewrite(&png, &list, |_| false, &control);
        assert!(header(&animated, &chunks(&animated).unwrap()).unwrap().is_animated);
        // More frames are announced than there are.
        let cut = rewrite(&png, &list, |_| false, &control[..1]);
        assert!(!header(&cut, &chunks(&cut).unwrap()).unwrap().is_animated);
        let mut late = png[..list[2].whole.end].to_vec();
        write(&mut late, &control[0].0, &control[0].1);
        late.extend(&png[list[2].whole.end..]);
        let header = header(&late, &chunks(&late).unwrap()).unwrap();
        assert_eq!((header.frames, header.is_animated), (1, false));
    }

    #[test]
    fn a_profile_that_unpacks_to_too_much_is_not_there() {
        let packed = |length: usize| {
            let mut packer = flate2::write::ZlibEncoder::new(b"name\0\0".to_vec(), flate2::Compression::best());
            std::io::Write::write_all(&mut packer, &vec![7; length]).unwrap();
            packer.finish().unwrap()
        };
        for (length, is_there) in [(3000, true), (5 << 20, false)] {
            let png = tiny();
            let png = rewrite(&png, &chunks(&png).unwrap(), |_| false, &[(*b"iCCP", packed(length))]);
            let list = chunks(&png).unwrap();
            assert_eq!(profile(&png, &list).map(|profile| profile.len()), is_there.then_some(length));
            assert_eq!(data(&png, &list, b"iCCP").is_some(), is_there);
            let [other, none] = [Some(&b"other"[..]), None].map(|icc| with_profile(&png, icc));
            assert_eq!((other.is_some(), none.is_some()), (is_there, is_there));
            if let (Some(other), Some(none)) = (other, none) {
                assert_eq!(profile(&other, &chunks(&other).unwrap()).unwrap(), b"other");
                assert_eq!(none, tiny());
            }
        }
    }

    #[test]
    fn a_png_for_apple_devices_only_is_named() {
        let mut png = SIGNATURE.to_vec();
        write(&mut png, b"CgBI", &[0x50, 0, 0x20, 2]);
        png.extend(&tiny()[SIGNATURE.len()..]);
        assert!(matches!(header(&png, &chunks(&png).unwrap()), Err(Error::UnsupportedFormat { .. })));
    }

    #[test]
    fn a_png_without_its_end_is_corrupt() {
        let png = tiny();
        for length in 8..png.len() {
            assert!(matches!(chunks(&png[..length]), Err(Error::Corrupt(_))));
        }
    }
}
