//! Writes a large PNG a band of rows at a time, so that memory does not grow with the picture.
//!
//! The source is read once to learn what it needs — transparency, colour, how many colours — and once more for each file made of it.
//! A file that turns out larger than allowed is given up on the way.

use std::io::{self, Write};

use ::png::{BitDepth, ColorType, DeflateCompression, Filter, Transformations};

use crate::container::png;
use crate::contract::{Deadline, Error};
use crate::encode::palette::{Choice, TakeRows};
use crate::encode::png_rows::{Band, Rows};
use crate::encode::png_steps::Reducible;
use crate::encode::png_survey::{Needs, survey};
use crate::encode::{Encoded, png_indexed};
use crate::header::guarded::guarded;
use crate::picture::decode;
use crate::picture::pixels::{Layout, Pixels};

/// zlib's levels: for palettes, for full colours, and for those of which there are more bytes than `FAST_DEFLATE_ABOVE_BYTES`.
const LEVEL_INDEXED: u8 = 6;
const LEVEL_FULL: u8 = 5;
const LEVEL_FAST: u8 = 2;
const FAST_DEFLATE_ABOVE_BYTES: usize = 64_000_000;
/// Where chunks can be put in: after the signature and IHDR.
const AFTER_HEADER: usize = 33;

/// Whether a PNG of so many pixels, and bytes in each, is to be written this way. The other way packs a little better.
pub(crate) fn is_large(pixels: u64, pixel_bytes: u8) -> bool {
    pixels > 10_000_000 || pixels * u64::from(pixel_bytes) > 32_000_000
}

/// One large picture.
pub(crate) struct BandedPng<'a> {
    rows: Rows<'a>,
    width: u32,
    height: u32,
    layout: Layout,
    needs: Needs,
    /// Chunks that travel with the pixels.
    extra: Vec<([u8; 4], Vec<u8>)>,
    /// Whether a palette may stand for the colours: a profile of grey cannot describe one.
    allows_palette: bool,
    /// The source, where a file that is no smaller is of no use.
    original: Option<&'a [u8]>,
    deadline: Deadline,
}

/// How samples are written.
enum Form {
    /// As they are in the source.
    Own,
    Full(Layout),
    Indexed(Choice),
}

impl<'a> BandedPng<'a> {
    pub fn new(
        rows: Rows<'a>,
        (width, height): (u32, u32),
        extra: Vec<([u8; 4], Vec<u8>)>,
        allows_palette: bool,
        original: Option<&'a [u8]>,
        deadline: Deadline,
    ) -> Result<BandedPng<'a>, Error> {
        let layout = rows.layout()?;
        let needs = survey(&rows, (width, height), layout, deadline)?;
        Ok(BandedPng { rows, width, height, layout, needs, extra, allows_palette, original, deadline })
    }

    /// The form in which nothing is lost, of pixels of eight bits or all there is.
    fn exact(&self, is_deep: bool) -> Form {
        let full = match (self.needs.colour, self.needs.alpha) {
            (false, false) => Layout::Grey,
            (false, true) => Layout::GreyAlpha,
            (true, false) => Layout::Rgb,
            (true, true) => Layout::Rgba,
        };
        match self.needs.chooser.exact() {
            _ if is_deep => Form::Own,
            // More shades than four bits can tell apart compress better as what they are.
            Some(colours) if self.allows_palette && (full != Layout::Grey || colours.len() <= 16) => {
                Form::Indexed(Choice::Exact(colours.to_vec()))
            }
            _ => Form::Full(full),
        }
    }

    /// A file of at most `most` bytes. `None` if it would be longer.
    fn write(&self, form: &Form, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut sink = Bounded { bytes: Vec::new(), most, is_exceeded: false };
        match self.write_to(&mut sink, form) {
            Err(_) if sink.is_exceeded => return Ok(None),
            result => result?,
        }
        let mut bytes = sink.bytes;
        let mut extra = Vec::new();
        for (name, data) in &self.extra {
            png::write(&mut extra, name, data);
        }
        bytes.splice(AFTER_HEADER..AFTER_HEADER, extra);
        Ok(Some(bytes))
    }

    fn write_to(&self, sink: &mut Bounded, form: &Form) -> Result<(), Error> {
        let mut encoder = ::png::Encoder::new(sink, self.width, self.height);
        encoder.set_depth(BitDepth::Eight);
        let row_bytes = self.width as usize * self.layout.channels() * if self.needs.depth { 2 } else { 1 };
        let level = if row_bytes * self.height as usize > FAST_DEFLATE_ABOVE_BYTES { LEVEL_FAST } else { LEVEL_FULL };
        encoder.set_deflate_compression(DeflateCompression::Level(level));
        encoder.set_filter(Filter::Adaptive);
        let choice = match form {
            Form::Own => return self.copy_to(encoder),
            Form::Full(layout) => {
                encoder.set_color(colour_type(*layout));
                let mut writer = encoder.write_header().map_err(Error::failed)?;
                let mut stream = writer.stream_writer().map_err(Error::failed)?;
                self.each_band(&mut |band| stream.write_all(&band.to_layout(*layout).data).map_err(Error::failed))?;
                stream.finish().map_err(Error::failed)?;
                return writer.finish().map_err(Error::failed);
            }
            Form::Indexed(choice) => choice,
        };
        let colours = choice.colours();
        let bits = png_indexed::bits(colours.len());
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::from_u8(bits).unwrap_or(BitDepth::Eight));
        encoder.set_palette(colours.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect::<Vec<u8>>());
        let transparency = png_indexed::transparency(colours);
        if !transparency.is_empty() {
            encoder.set_trns(transparency);
        }
        encoder.set_deflate_compression(DeflateCompression::Level(LEVEL_INDEXED));
        encoder.set_filter(Filter::NoFilter);
        let mut writer = encoder.write_header().map_err(Error::failed)?;
        let mut stream = writer.stream_writer().map_err(Error::failed)?;
        let mut packed = Vec::new();
        let bands =
            |take: &mut TakeRows| self.each_band(&mut |band| take(band.to_layout(Layout::Rgba).data.as_chunks().0));
        self.needs.chooser.map(choice, self.width, bands, &mut |indices| {
            packed.clear();
            for row in indices.chunks_exact(self.width as usize) {
                png_indexed::packed(row, bits, &mut packed);
            }
            stream.write_all(&packed).map_err(Error::failed)
        })?;
        stream.finish().map_err(Error::failed)?;
        writer.finish().map_err(Error::failed)
    }

    /// Writes the samples of the file itself, whatever their depth and colour.
    fn copy_to(&self, mut encoder: ::png::Encoder<'_, &mut Bounded>) -> Result<(), Error> {
        let Rows::File(file) = self.rows else {
            return Err(Error::failed("there is no file"));
        };
        let mut reader = guarded(|| decode::png_reader(file, Transformations::IDENTITY))?;
        let info = reader.info();
        encoder.set_color(info.color_type);
        encoder.set_depth(info.bit_depth);
        if let Some(trns) = &info.trns {
            encoder.set_trns(trns.to_vec());
        }
        let mut writer = encoder.write_header().map_err(Error::failed)?;
        let mut stream = writer.stream_writer().map_err(Error::failed)?;
        while let Some(row) = reader.next_row().map_err(decode::png_error)? {
            self.deadline.check()?;
            stream.write_all(row.data()).map_err(Error::failed)?;
        }
        stream.finish().map_err(Error::failed)?;
        writer.finish().map_err(Error::failed)
    }

    fn each_band(&self, take: &mut dyn FnMut(&Pixels) -> Result<(), Error>) -> Result<(), Error> {
        let take = &mut |band: &Pixels| {
            self.deadline.check()?;
            take(band)
        };
        let mut band = Band::new(self.width, self.layout);
        self.rows.each(&mut |row| match band.push(row) {
            Some(full) => take(full),
            None => Ok(()),
        })?;
        band.rest().map_or(Ok(()), take)
    }
}

fn colour_type(layout: Layout) -> ColorType {
    match layout {
        Layout::Grey => ColorType::Grayscale,
        Layout::GreyAlpha => ColorType::GrayscaleAlpha,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => ColorType::Rgba,
    }
}

/// A sink that takes a limited number of bytes.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    is_exceeded: bool,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.most {
            self.is_exceeded = true;
            return Err(io::Error::other("the file becomes too long"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reducible for BandedPng<'_> {
    fn as_jpeg(&self, quality: u8) -> Result<Option<u64>, Error> {
        self.needs.chooser.as_jpeg(quality)
    }

    fn reduced(&mut self, quality: u8) -> Result<Encoded, Error> {
        let choice = if self.allows_palette { self.needs.chooser.choose(quality)? } else { Choice::None };
        let most = self.original.map_or(usize::MAX, <[u8]>::len);
        let form = match choice {
            Choice::None => return self.lossless(),
            Choice::Exact(_) => self.exact(false),
            chosen => Form::Indexed(chosen),
        };
        let is_lossless = !matches!(form, Form::Indexed(Choice::Plain(_) | Choice::Dithered(_)));
        let Some(lossy) = self.write(&form, most)? else {
            return self.lossless();
        };
        if (!is_lossless || self.needs.depth)
            && let Some(bytes) = self.write(&self.exact(self.needs.depth), lossy.len())?
        {
            return Ok(Encoded { bytes, quality: None, warnings: Vec::new() });
        }
        let is_exact = is_lossless && !self.needs.depth;
        Ok(Encoded { bytes: lossy, quality: Some(quality).filter(|_| !is_exact), warnings: Vec::new() })
    }

    fn guessed_size(&mut self, quality: u8) -> Result<Option<u64>, Error> {
        let choice = if self.allows_palette { self.needs.chooser.choose(quality)? } else { Choice::None };
        self.needs.chooser.guessed_size(&choice)
    }

    fn guessed_score(&mut self, quality: u8) -> Result<Option<f64>, Error> {
        if self.allows_palette { self.needs.chooser.guessed_score(quality).map(Some) } else { Ok(Some(100.0)) }
    }

    /// The source's pixels; the source itself where they cannot be written smaller.
    fn lossless(&self) -> Result<Encoded, Error> {
        let most = self.original.map_or(usize::MAX, <[u8]>::len);
        let bytes = match (self.write(&self.exact(self.needs.depth), most)?, self.original) {
            (Some(bytes), _) => bytes,
            (None, Some(original)) => original.to_vec(),
            (None, None) => return Err(Error::failed("the PNG became too large")),
        };
        Ok(Encoded { bytes, quality: None, warnings: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contract::Format;
    use crate::encode::Encoder;
    use crate::encode::png_rows::BAND_ROWS;
    use crate::encode::png_steps::PngEncoder;
    use crate::header::probe;
    use crate::tests::pictures::{self, photo};

    fn banded(pixels: Pixels) -> BandedPng<'static> {
        let size = (pixels.width, pixels.height);
        BandedPng::new(Rows::Pixels(pixels), size, Vec::new(), true, None, Deadline::after(Duration::MAX)).unwrap()
    }

    fn decoded(bytes: &[u8]) -> Pixels {
        decode::decode(bytes, &probe::probe(bytes, Format::Png).unwrap()).unwrap().pixels
    }

    /// A picture of so many colours, the last one translucent.
    fn coloured(colours: u32) -> Pixels {
        let pixel = |at: u32| {
            let colour = at * 7 % colours;
            [colour as u8, 255 - colour as u8, 30, if colour + 1 == colours { 90 } else { 255 }]
        };
        let (width, height) = (37, BAND_ROWS as u32 * 2 + 5);
        Pixels::new(width, height, Layout::Rgba, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn nothing_is_lost_in_any_layout_or_number_of_colours() {
        for layout in [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba] {
            let pixels = photo(41, BAND_ROWS as u32 + 3, layout);
            let file = banded(pixels.clone()).lossless().unwrap().bytes;
            assert_eq!(decoded(&file).to_layout(Layout::Rgba), pixels.to_layout(Layout::Rgba), "{layout:?}");
        }
        for (colours, depth) in [(2, 1), (3, 2), (16, 4), (17, 8), (256, 8)] {
            let pixels = coloured(colours);
            let encoded = banded(pixels.clone()).lossless().unwrap();
            let list = png::chunks(&encoded.bytes).unwrap();
            let header = png::header(&encoded.bytes, &list).unwrap();
            assert_eq!((header.colour, header.depth), (3, depth), "{colours}");
            assert_eq!(decoded(&encoded.bytes).to_layout(Layout::Rgba), pixels, "{colours}");
        }
        let opaque = Pixels::new(9, 9, Layout::Rgba, [3, 3, 3, 255].repeat(81)).unwrap();
        let file = banded(opaque).lossless().unwrap().bytes;
        assert_eq!(decoded(&file).to_layout(Layout::Rgb).data, [3; 243]);
    }

    #[test]
    fn sixteen_bits_stay_where_nothing_may_be_lost() {
        let pixels = photo(40, 80, Layout::Rgb);
        let deep: Vec<u8> = pixels.data.iter().flat_map(|sample| [*sample, 17]).collect();
        let file = pictures::png_with(&Pixels { data: deep.clone(), ..pixels }, |encoder| {
            encoder.set_depth(BitDepth::Sixteen);
        });
        let never = Deadline::after(Duration::MAX);
        let encoder = BandedPng::new(Rows::File(&file), (40, 80), Vec::new(), true, Some(&file), never).unwrap();
        let packed = encoder.lossless().unwrap().bytes;
        assert!(packed.len() < file.len());
        let mut reader = decode::png_reader(&packed, Transformations::IDENTITY).unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut samples).unwrap();
        assert_eq!(samples, deep);
    }

    #[test]
    fn colours_become_fewer_and_noise_keeps_them() {
        let smooth = photo(300, 200, Layout::Rgb);
        let encoded = PngEncoder::over(banded(smooth.clone())).encode(50).unwrap();
        assert_eq!(encoded.quality, Some(50));
        let shown = decoded(&encoded.bytes).to_layout(Layout::Rgb);
        assert_ne!(shown, smooth);
        let off: f64 = shown.data.iter().zip(&smooth.data).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        assert!(off / (smooth.data.len() as f64) < 8.0, "{off}");

        let mut random = pictures::Random(7);
        let noise = (0..200 * 200 * 4).map(|_| random.next() as u8).collect();
        let noise = Pixels::new(200, 200, Layout::Rgba, noise).unwrap();
        assert_eq!(PngEncoder::over(banded(noise)).encode(95).unwrap().quality, None);
    }

    #[test]
    fn a_file_that_becomes_too_long_is_given_up() {
        let encoder = banded(photo(60, 90, Layout::Rgb));
        let form = encoder.exact(false);
        let length = encoder.write(&form, usize::MAX).unwrap().unwrap().len();
        assert!(encoder.write(&form, length).unwrap().is_some());
        assert!(encoder.write(&form, length - 1).unwrap().is_none());
    }
}
