//! The blocks of a GIF: size and number of frames, without decoding.
//!
//! A file that ends before its trailer is an error. Nothing is re-encoded anywhere: no encoder tried makes a GIF worthwhile smaller
//! without taking colours or frames away.

use super::Error;

/// What the block structure says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    pub frames: u32,
}

/// Walks the blocks (GIF89a specification, appendix A) up to the trailer.
pub(super) fn header(bytes: &[u8]) -> Result<Header, Error> {
    walk(bytes).ok_or_else(|| Error::corrupt("the GIF ends early"))?
}

fn walk(bytes: &[u8]) -> Option<Result<Header, Error>> {
    let side = |at: usize| Some(u32::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let (width, height) = (side(6)?, side(8)?);
    let mut at = 13 + palette(*bytes.get(10)?);
    let mut frames = 0;
    loop {
        match *bytes.get(at)? {
            0x2c => {
                frames += 1;
                at += 10 + palette(*bytes.get(at + 9)?);
                // The LZW code size, then the data.
                at = after_blocks(bytes, at + 1)?;
            }
            0x21 => at = after_blocks(bytes, at + 2)?,
            0x3b => break,
            _ => return Some(Err(Error::corrupt("the GIF has an unknown block"))),
        }
    }
    if width == 0 || height == 0 || frames == 0 {
        return Some(Err(Error::corrupt("the GIF holds no picture")));
    }
    Some(Ok(Header { width, height, frames }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn two_frames() -> Vec<u8> {
        let mut gif = b"GIF89a\x02\0\x01\0\x80\0\0".to_vec();
        gif.extend([0, 0, 0, 255, 255, 255]);
        for _ in 0..2 {
            gif.extend(b"\x21\xf9\x04\0\x0a\0\0\0");
            gif.extend(b"\x2c\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x01\0");
        }
        gif.push(0x3b);
        gif
    }

    #[test]
    fn frames_are_counted() {
        let header = header(&two_frames()).unwrap();
        assert_eq!((header.width, header.height, header.frames), (2, 1, 2));
    }

    #[test]
    fn a_gif_without_its_trailer_is_corrupt() {
        let gif = two_frames();
        for length in 6..gif.len() {
            assert!(matches!(header(&gif[..length]), Err(Error::Corrupt(_))));
        }
    }
}
