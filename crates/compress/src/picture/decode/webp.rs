//! WebP files to pixels, or to planes.

use crate::container::webp;
use crate::contract::Error;
use crate::header::guarded::guarded;
use crate::header::probe::Probe;
use crate::jpeg::SamplePlane;
use crate::picture::orient;
use crate::picture::pixels::{Decoded, Layout, Pixels};

/// Brightness and two colour differences of half the size, as a lossy WebP holds them and a lossless one can be shown; upright.
/// Transparency is decoded and dropped.
pub(crate) fn webp_planes(bytes: &[u8], probe: &Probe) -> Result<[SamplePlane; 3], Error> {
    guarded(|| {
        let planes = webp_decoder(bytes)?.decode_yuv().map_err(damaged_webp)?;
        let (width, height) = (planes.width, planes.height);
        let half = (width.div_ceil(2), height.div_ceil(2));
        let is_plain =
            (planes.y_stride, planes.u_stride, planes.v_stride) == (width as usize, half.0 as usize, half.0 as usize);
        if (width, height) != (probe.width, probe.height) || !is_plain {
            return Err(Error::corrupt("its headers disagree about its size"));
        }
        let upright = |width, height, data| {
            let plane = Pixels::new(width, height, Layout::Grey, data)?;
            let Pixels { width, height, data, .. } = orient::apply(plane, probe.orientation);
            Ok(SamplePlane { width, height, data })
        };
        Ok([upright(width, height, planes.y)?, upright(half.0, half.1, planes.u)?, upright(half.0, half.1, planes.v)?])
    })
}

/// libwebp finds the picture in the container by itself.
fn webp_decoder(bytes: &[u8]) -> Result<webpx::Decoder<'_>, Error> {
    // The pixels have been judged on the header.
    let config = webpx::DecoderConfig::new().limits(webpx::Limits::none());
    Ok(webpx::Decoder::new(bytes).map_err(damaged_webp)?.config(config))
}

fn damaged_webp(_: webpx::At<webpx::Error>) -> Error {
    Error::corrupt("the picture in the WebP cannot be decoded")
}

pub(super) fn decode(bytes: &[u8], scaled: Option<(u32, u32)>) -> Result<Decoded, Error> {
    let list = webp::chunks(bytes)?;
    let decoder = webp_decoder(bytes)?;
    let (width, height) = (decoder.info().width, decoder.info().height);
    // An extended header that announces no alpha outweighs alpha data, as in browsers.
    let has_alpha = webp::header(bytes, &list)?.has_alpha && decoder.info().has_alpha;
    let layout = if has_alpha { Layout::Rgba } else { Layout::Rgb };
    let (width, height, data) = match scaled {
        Some((width, height)) => {
            let decoder = decoder.scale(width, height);
            let decoded = if has_alpha { decoder.decode_rgba_raw() } else { decoder.decode_rgb_raw() };
            let (data, width, height) = decoded.map_err(damaged_webp)?;
            (width, height, data)
        }
        None => {
            let row = width as usize * layout.channels();
            let mut data = vec![0; row * height as usize];
            // At most 16,384 pixels of four bytes.
            let decoded = if has_alpha {
                decoder.decode_rgba_into(&mut data, row as u32)
            } else {
                decoder.decode_rgb_into(&mut data, row as u32)
            };
            decoded.map_err(damaged_webp)?;
            (width, height, data)
        }
    };
    Ok(Decoded {
        pixels: Pixels::new(width, height, layout, data)?,
        icc: webp::data(bytes, &list, b"ICCP").map(<[u8]>::to_vec),
        exif: webp::exif(bytes, &list).map(<[u8]>::to_vec),
    })
}
