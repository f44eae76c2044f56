//! The blocks of a GIF: size and number of frames, without decoding.
//!
//! Takes what browsers take: a screen too small for the first frame, zeros between blocks, extensions of unknown kinds, no colour
//! table, no trailer. A file that ends inside a block is an error. Also writes the blocks of new files.

use std::borrow::Cow;
use std::ops::Range;

use crate::contract::Error;

const IMAGE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;
/// The extension that says how long a frame is shown and which colour is transparent.
const CONTROL: u8 = 0xf9;
/// How an application extension begins that says how often the frames are shown.
const LOOPS: [&[u8]; 2] = [b"\x21\xff\x0bNETSCAPE2.0\x03\x01", b"\x21\xff\x0bANIMEXTS1.0\x03\x01"];
/// How an application extension with XMP begins (XMP specification part 3, 1.1.2).
const XMP: &[u8] = b"\x21\xff\x0bXMP DataXMP";
/// Plain text, control, comment, application.
const KNOWN_EXTENSIONS: [u8; 4] = [0x01, CONTROL, 0xfe, 0xff];

/// What the block structure says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub width: u32,
    pub height: u32,
    pub frames: u32,
    /// How often the frames are shown; 0 for ever.
    pub plays: u32,
}

/// Walks the blocks (GIF89a specification, appendix A) up to the trailer or the end.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, Error> {
    blocks(bytes).map(|blocks| blocks.header)
}

/// The same pictures as a file without peculiarities, which every decoder reads. Borrowed where there are none.
pub(crate) fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let Blocks { header, pictures, is_plain, .. } = blocks(bytes)?;
    if is_plain {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = bytes[..6].to_vec();
    for side in [header.width, header.height] {
        out.extend(u16::try_from(side).unwrap_or(u16::MAX).to_le_bytes());
    }
    let flags = bytes[10];
    match palette(flags) {
        0 => {
            // A table of our own: the specification recommends black and white as the first two (section 18).
            out.extend([flags | 0x87, 0, 0]);
            out.extend([0, 0, 0, 255, 255, 255]);
            out.extend((2..=255).flat_map(|grey| [grey; 3]));
        }
        length => out.extend(&bytes[10..13 + length]),
    }
    for picture in pictures {
        out.extend(&bytes[picture]);
    }
    out.push(TRAILER);
    Ok(Cow::Owned(out))
}

/// Where the extensions with XMP are.
pub(crate) fn xmp(bytes: &[u8]) -> Vec<Range<usize>> {
    blocks(bytes).map_or_else(|_| Vec::new(), |blocks| blocks.xmp)
}

struct Blocks {
    header: Header,
    /// Frames and their control extensions.
    pictures: Vec<Range<usize>>,
    /// Extensions with XMP.
    xmp: Vec<Range<usize>>,
    is_plain: bool,
}

fn blocks(bytes: &[u8]) -> Result<Blocks, Error> {
    walk(bytes).ok_or_else(|| Error::corrupt("the GIF ends early"))?
}

/// `None` where the file ends inside a block.
fn walk(bytes: &[u8]) -> Option<Result<Blocks, Error>> {
    let side = |at: usize| Some(u32::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let (mut width, mut height) = (side(6)?, side(8)?);
    let flags = *bytes.get(10)?;
    let mut is_plain = palette(flags) > 0;
    let (mut pictures, mut xmp) = (Vec::new(), Vec::new());
    let (mut frames, mut plays) = (0, 1);
    // A control extension has come, and the frame it is for has not.
    let mut awaits_frame = false;
    let mut at = 13 + palette(flags);
    loop {
        let start = at;
        match bytes.get(at) {
            Some(&IMAGE) => {
                if frames == 0 {
                    // Browsers enlarge the screen for the first frame and cut off the others.
                    let (right, bottom) = (side(at + 1)? + side(at + 5)?, side(at + 3)? + side(at + 7)?);
                    is_plain &= right <= width && bottom <= height;
                    (width, height) = (width.max(right), height.max(bottom));
                }
                frames += 1;
                awaits_frame = false;
                at += 10 + palette(*bytes.get(at + 9)?);
                // The LZW code size, then the data.
                at = after_blocks(bytes, at + 1)?;
                pictures.push(start..at);
            }
            Some(&EXTENSION) => {
                let label = *bytes.get(at + 1)?;
                at = after_blocks(bytes, at + 2)?;
                is_plain &= KNOWN_EXTENSIONS.contains(&label);
                if label == CONTROL {
                    awaits_frame = true;
                    pictures.push(start..at);
                }
                if let Some(after) =
                    LOOPS.iter().find_map(|start_of_loops| bytes[start..].strip_prefix(*start_of_loops))
                    && let Some(repeats) = after.first_chunk().map(|repeats| u16::from_le_bytes(*repeats))
                {
                    // The number says how often they are shown again.
                    plays = if repeats == 0 { 0 } else { u32::from(repeats) + 1 };
                }
                if bytes[start..].starts_with(XMP) {
                    xmp.push(start..at);
                }
            }
            Some(&TRAILER) => break,
            Some(0) => {
                is_plain = false;
                at += 1;
            }
            Some(_) => return Some(Err(Error::corrupt("the GIF has an unknown block"))),
            None if frames > 0 && !awaits_frame => {
                is_plain = false;
                break;
            }
            None => return None,
        }
    }
    if width == 0 || height == 0 || frames == 0 {
        return Some(Err(Error::corrupt("the GIF contains no image")));
    }
    Some(Ok(Blocks { header: Header { width, height, frames, plays }, pictures, xmp, is_plain }))
}

/// Bytes of the colour table these flags announce.
fn palette(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

/// A frame of a new file.
pub(crate) struct Frame<'a> {
    pub left: u16,
    pub top: u16,
    pub width: u16,
    pub height: u16,
    /// In hundredths of a second.
    pub delay: u16,
    /// Whether its place becomes transparent before the next frame.
    pub is_cleared: bool,
    pub transparent: Option<u8>,
    /// A table of its own; at most 256 colours.
    pub colours: Option<&'a [[u8; 3]]>,
    /// The code size and the blocks of data.
    pub data: &'a [u8],
}

/// The start of a new file: `colours` are at most 256, and `plays` is as in [`Header`].
pub(crate) fn start(width: u16, height: u16, colours: &[[u8; 3]], plays: u32) -> Vec<u8> {
    let mut out = b"GIF89a".to_vec();
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    let flags = if colours.is_empty() { 0 } else { 0x80 | table_bits(colours.len()) };
    out.extend([flags, 0, 0]);
    table(&mut out, colours);
    if plays != 1 {
        out.extend(LOOPS[0]);
        // Too many to be counted is as good as for ever.
        let repeats = u16::try_from(plays.saturating_sub(1)).unwrap_or(0);
        out.extend(repeats.to_le_bytes());
        out.push(0);
    }
    out
}

pub(crate) fn write(out: &mut Vec<u8>, frame: &Frame<'_>) {
    if frame.delay > 0 || frame.is_cleared || frame.transparent.is_some() {
        let flags = if frame.is_cleared { 2 << 2 } else { 1 << 2 } | u8::from(frame.transparent.is_some());
        out.extend([EXTENSION, CONTROL, 4, flags]);
        out.extend(frame.delay.to_le_bytes());
        out.extend([frame.transparent.unwrap_or(0), 0]);
    }
    out.push(IMAGE);
    for side in [frame.left, frame.top, frame.width, frame.height] {
        out.extend(side.to_le_bytes());
    }
    out.push(frame.colours.map_or(0, |colours| 0x80 | table_bits(colours.len())));
    table(out, frame.colours.unwrap_or_default());
    out.extend(frame.data);
}

pub(crate) fn end(out: &mut Vec<u8>) {
    out.push(TRAILER);
}

/// What stands in the flags: a table has two to the power of one more than this.
fn table_bits(colours: usize) -> u8 {
    (colours.clamp(2, 256).next_power_of_two().trailing_zeros() - 1) as u8
}

fn table(out: &mut Vec<u8>, colours: &[[u8; 3]]) {
    if !colours.is_empty() {
        out.extend(colours.as_flattened());
        let length = 2 << table_bits(colours.len());
        out.extend(std::iter::repeat_n([0; 3], length - colours.len()).flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8] = b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
    const CONTROLLED: &[u8] = b"\x21\xf9\x04\0\x0a\0\0\0";
    const FRAME: &[u8] = b"\x2c\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x0a\0";

    fn two_frames() -> Vec<u8> {
        [START, CONTROLLED, FRAME, CONTROLLED, FRAME, b";"].concat()
    }

    #[test]
    fn frames_are_counted() {
        let header = header(&two_frames()).unwrap();
        assert_eq!((header.width, header.height, header.frames), (2, 1, 2));
    }

    #[test]
    fn a_gif_that_ends_inside_a_block_is_corrupt() {
        let gif = two_frames();
        let first_frame_ends = START.len() + CONTROLLED.len() + FRAME.len();
        for length in 6..gif.len() - 1 {
            let cut = header(&gif[..length]);
            // Behind a whole frame nothing says that there were more.
            let is_whole = length == first_frame_ends;
            assert_eq!(cut.is_ok(), is_whole, "{length}: {cut:?}");
            assert!(is_whole || matches!(cut, Err(Error::Corrupt(_))));
        }
        assert_eq!(header(&gif[..gif.len() - 1]).unwrap().frames, 2);
    }

    #[test]
    fn a_peculiar_file_is_made_plain_with_the_same_pictures() {
        let plain_one = [START, CONTROLLED, FRAME, b";"].concat();
        assert!(matches!(plain(&plain_one).unwrap(), Cow::Borrowed(_)));
        let tiny = [b"GIF89a\0\0\0\0\x80\0\0", &START[13..]].concat();
        for odd in [
            [START, CONTROLLED, FRAME].concat(),
            [START, CONTROLLED, FRAME, b"\0\0;"].concat(),
            [START, CONTROLLED, b"\x21\x99\x02ab\0", FRAME, b";"].concat(),
            [&tiny, CONTROLLED, FRAME, b";"].concat(),
        ] {
            assert_eq!(plain(&odd).unwrap(), plain_one);
        }
    }

    #[test]
    fn without_a_colour_table_black_and_white_come_first() {
        let gif = [b"GIF89a\x02\0\x01\0\0\0\0", FRAME, b";"].concat();
        let plain = plain(&gif).unwrap();
        assert_eq!(plain[10], 0x87);
        assert_eq!(plain[13..22], [0, 0, 0, 255, 255, 255, 2, 2, 2]);
        assert_eq!(plain.len(), 13 + 768 + FRAME.len() + 1);
    }
}
