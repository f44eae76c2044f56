//! Pixels in memory: eight bits per sample, rows without gaps, in one of four layouts.
//!
//! The buffer always holds exactly width × height × channels bytes, and neither side is zero.

use crate::contract::Error;

/// The samples of a pixel, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

impl Layout {
    pub fn channels(self) -> usize {
        match self {
            Layout::Grey => 1,
            Layout::GreyAlpha => 2,
            Layout::Rgb => 3,
            Layout::Rgba => 4,
        }
    }

    pub fn has_alpha(self) -> bool {
        matches!(self, Layout::GreyAlpha | Layout::Rgba)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub width: u32,
    pub height: u32,
    pub layout: Layout,
    pub data: Vec<u8>,
}

impl Pixels {
    pub fn new(width: u32, height: u32, layout: Layout, data: Vec<u8>) -> Result<Pixels, Error> {
        let expected = width as usize * height as usize * layout.channels();
        if expected == 0 || data.len() != expected {
            return Err(Error::corrupt("the decoded size is wrong"));
        }
        Ok(Pixels { width, height, layout, data })
    }

    /// The same picture in another layout. Leaving alpha out means ignoring it: see [`Pixels::flatten`].
    pub fn to_layout(&self, layout: Layout) -> Pixels {
        let data = match (self.layout, layout) {
            (from, to) if from == to => self.data.clone(),
            (Layout::Grey, to) => expand(&self.data, to, |&[v]| [v, v, v, 255]),
            (Layout::GreyAlpha, to) => expand(&self.data, to, |&[v, a]| [v, v, v, a]),
            (Layout::Rgb, to) => expand(&self.data, to, |&[r, g, b]| [r, g, b, 255]),
            (Layout::Rgba, to) => expand(&self.data, to, |&pixel| pixel),
        };
        Pixels { layout, data, ..*self }
    }

    /// Whether any pixel is not opaque.
    pub fn is_translucent(&self) -> bool {
        let channels = self.layout.channels();
        self.layout.has_alpha() && self.data.chunks_exact(channels).any(|pixel| pixel[channels - 1] != 255)
    }

    /// Puts a colour under the transparency; the result has no alpha.
    pub fn flatten(self, background: [u8; 3]) -> Pixels {
        if !self.layout.has_alpha() {
            return self;
        }
        let Pixels { width, height, layout, mut data } = self.into_opaque();
        if !layout.has_alpha() {
            return Pixels { width, height, layout, data };
        }
        let over = |colour: [u8; 3], alpha: u8| {
            let mix = |at: usize| {
                let alpha = u32::from(alpha);
                let sum = u32::from(colour[at]) * alpha + u32::from(background[at]) * (255 - alpha);
                ((sum + 127) / 255) as u8
            };
            [mix(0), mix(1), mix(2), 255]
        };
        if layout == Layout::GreyAlpha {
            data = expand(&data, Layout::Rgb, |&[v, a]| over([v; 3], a));
        } else {
            shrink(&mut data, |&[r, g, b, a]: &[u8; 4]| {
                let [r, g, b, _] = over([r, g, b], a);
                [r, g, b]
            });
        }
        Pixels { width, height, layout: Layout::Rgb, data }
    }

    /// Drops alpha if all pixels are opaque. Needs no second buffer.
    pub fn into_opaque(self) -> Pixels {
        if !self.layout.has_alpha() || self.is_translucent() {
            return self;
        }
        let Pixels { width, height, layout, mut data } = self;
        let layout = if layout == Layout::GreyAlpha {
            shrink(&mut data, |&[v, _]: &[u8; 2]| [v]);
            Layout::Grey
        } else {
            shrink(&mut data, |&[r, g, b, _]: &[u8; 4]| [r, g, b]);
            Layout::Rgb
        };
        Pixels { width, height, layout, data }
    }
}

/// A still picture, upright.
pub(crate) struct Decoded {
    pub pixels: Pixels,
    /// The profile the samples are in; `None` is sRGB.
    pub icc: Option<Vec<u8>>,
    /// The TIFF part of the source's EXIF.
    pub exif: Option<Vec<u8>>,
}

/// Maps every pixel of `N` samples to one of `M`, at most as many, in its own buffer.
fn shrink<const N: usize, const M: usize>(data: &mut Vec<u8>, pixel: impl Fn(&[u8; N]) -> [u8; M]) {
    let count = data.len() / N;
    for at in 0..count {
        if let Some(from) = data[at * N..].first_chunk::<N>() {
            let to = pixel(from);
            data[at * M..(at + 1) * M].copy_from_slice(&to);
        }
    }
    data.truncate(count * M);
    data.shrink_to_fit();
}

/// Maps every `N`-sample pixel to RGBA and writes the samples `to` asks for. Grey takes the green sample.
fn expand<const N: usize>(data: &[u8], to: Layout, rgba: impl Fn(&[u8; N]) -> [u8; 4]) -> Vec<u8> {
    let (pixels, _) = data.as_chunks::<N>();
    let mut out = Vec::with_capacity(pixels.len() * to.channels());
    for pixel in pixels {
        let [r, g, b, a] = rgba(pixel);
        match to {
            Layout::Grey => out.push(g),
            Layout::GreyAlpha => out.extend([g, a]),
            Layout::Rgb => out.extend([r, g, b]),
            Layout::Rgba => out.extend([r, g, b, a]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_convert_and_transparency_is_mixed() {
        let pixels = Pixels::new(2, 1, Layout::Rgba, vec![10, 20, 30, 255, 0, 0, 0, 0]).unwrap();
        assert!(pixels.is_translucent());
        assert_eq!(pixels.to_layout(Layout::Rgb).data, [10, 20, 30, 0, 0, 0]);
        assert_eq!(pixels.clone().flatten([1, 2, 3]).data, [10, 20, 30, 1, 2, 3]);
        let grey = Pixels::new(2, 1, Layout::GreyAlpha, vec![7, 255, 8, 255]).unwrap();
        assert_eq!(grey.clone().flatten([0; 3]).data, [7, 8]);
        let veiled = Pixels::new(2, 1, Layout::GreyAlpha, vec![7, 255, 8, 0]).unwrap();
        assert_eq!(veiled.clone().into_opaque(), veiled);
        assert_eq!(veiled.flatten([1, 2, 3]).data, [7, 7, 7, 1, 2, 3]);
        assert_eq!(grey.to_layout(Layout::Rgba).data, [7, 7, 7, 255, 8, 8, 8, 255]);
        assert!(Pixels::new(2, 2, Layout::Grey, vec![0; 3]).is_err());
        assert!(Pixels::new(0, 2, Layout::Grey, vec![]).is_err());
    }
}
