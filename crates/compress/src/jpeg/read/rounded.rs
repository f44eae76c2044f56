//! Sequential scans to tokens, rounded to a quality while they are read: one streaming pass, without planes or pixels.

use crate::jpeg::error::Error;
use crate::jpeg::headers::colour_model::classes;
use crate::jpeg::headers::frame::{Frame, Layout};
use crate::jpeg::headers::tables::Steps;
use crate::jpeg::hold::picture::{Body, Picture, role, target};
use crate::jpeg::hold::quality::Quantiser;
use crate::jpeg::hold::tokens::{BlockWriter, Counts, TokenScan, Tokens};
use crate::jpeg::read::bits::{Bits, Feed, Window};
use crate::jpeg::read::flaws::Flaws;
use crate::jpeg::read::image::{self, Coded, Scans};
use crate::jpeg::read::sequential::{self, Code, Decoder, Sink};
use crate::jpeg::types::{Colour, Limits};

/// Decodes; with a quality, the coefficients of a sequential file are rounded to it on the way.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    quality: Option<u8>,
    flaws: &mut Flaws,
) -> Result<Picture<'a>, Error> {
    let scans = Rounded { quality, scans: Vec::new(), steps: [None; 4] };
    let Picture { frame, metadata, steps: mut source, body } = image::read(bytes, limits, scans, flaws)?;
    let body = match body {
        Body::Sequential(rounded) => {
            source.iter_mut().zip(rounded.steps).for_each(|(steps, rounded)| *steps = rounded.unwrap_or(*steps));
            Body::Sequential(rounded.scans)
        }
        Body::Progressive(planes) => Body::Progressive(planes),
    };
    Ok(Picture { frame, metadata, steps: source, body })
}

struct Rounded {
    quality: Option<u8>,
    scans: Vec<TokenScan>,
    /// Per component, those that the coefficients have now.
    steps: [Option<Steps>; 4],
}

impl Scans for Rounded {
    fn least(&self, frame: &Frame, colour: Colour, component: usize, steps: &Steps) -> [u32; 64] {
        let (quantiser, _) = target(steps, self.quality, role(frame, colour, component));
        std::array::from_fn(|k| quantiser.least(k as u32))
    }

    fn scan(
        &mut self,
        feed: &mut Feed,
        frame: &Frame,
        colour: Colour,
        coded: Vec<Coded>,
        restart_interval: usize,
    ) -> Result<(), Error> {
        let components: Vec<usize> = coded.iter().map(|coded| coded.component).collect();
        let mut decoders = [const { None }; 4];
        for Coded { component, dc, ac, steps } in coded {
            let (quantiser, steps) = target(&steps, self.quality, role(frame, colour, component));
            self.steps[component] = Some(steps);
            let least = std::array::from_fn(|k| quantiser.least(k as u32));
            let rounding = Rounding { quantiser, counts: Counts::default(), before: 0 };
            decoders[component] = Some(Decoder::new(dc, ac, &least, rounding));
        }
        let layout = Layout::new(frame, &components);
        let decode = if feed.may_resync() { decode_with_gaps } else { decode };
        let tokens = decode(feed, &mut decoders, restart_interval, &layout)?;
        let mut counts: [Counts; 2] = Default::default();
        for (decoder, class) in decoders.iter().zip(classes(colour)) {
            if let Some(decoder) = decoder {
                counts[class].add(&decoder.target.counts);
            }
        }
        self.scans.push(TokenScan { components, layout, tokens, counts });
        Ok(())
    }
}

#[inline(never)]
fn decode(
    feed: &mut Feed,
    decoders: &mut [Option<Box<Decoder<Rounding>>>; 4],
    restart_interval: usize,
    layout: &Layout,
) -> Result<Tokens, Error> {
    let mut tokens = Tokens::default();
    sequential::decode(feed, decoders, restart_interval, layout, |code, target, bits, window| {
        block(&mut tokens, code, target, bits, window)
    })?;
    Ok(tokens)
}

#[cold]
fn decode_with_gaps(
    feed: &mut Feed,
    decoders: &mut [Option<Box<Decoder<Rounding>>>; 4],
    restart_interval: usize,
    layout: &Layout,
) -> Result<Tokens, Error> {
    let mut tokens = Tokens::default();
    sequential::decode_with_gaps(feed, decoders, restart_interval, layout, &mut |code, target, bits, window| {
        block(&mut tokens, code, target, bits, window)
    })?;
    Ok(tokens)
}

#[inline(always)]
fn block(
    tokens: &mut Tokens,
    code: &mut Code,
    target: &mut Rounding,
    bits: Bits,
    window: &Window,
) -> Result<Bits, Error> {
    tokens.reserve(1);
    let Rounding { quantiser, counts, before } = target;
    let mut block = RoundedBlock { quantiser, out: BlockWriter::new(tokens.space(), counts), before };
    let bits = code.block(bits, window, &mut block)?;
    let len = block.out.finish();
    tokens.keep(len);
    Ok(bits)
}

/// How the coefficients of a component are rounded, and the result.
struct Rounding {
    quantiser: Quantiser,
    counts: Counts,
    /// The DC value before, as written. What is written has no restarts: there, predictions run on.
    before: i32,
}

struct RoundedBlock<'a> {
    quantiser: &'a Quantiser,
    out: BlockWriter<'a>,
    before: &'a mut i32,
}

impl Sink for RoundedBlock<'_> {
    #[inline(always)]
    fn dc(&mut self, value: i32) {
        let rounded = self.quantiser.dc(value);
        self.out.dc(rounded - *self.before);
        *self.before = rounded;
    }

    #[inline(always)]
    fn ac(&mut self, k: u32, magnitude: u32, negative: u32) {
        self.out.ac(k, self.quantiser.ac(k, magnitude), negative);
    }
}
