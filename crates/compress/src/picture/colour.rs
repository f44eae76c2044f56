//! Converts pixels to sRGB, so that they look the same where nobody reads colour profiles.
//!
//! Used only where pixels are rewritten anyway; otherwise the profile is kept. An unreadable profile changes nothing.

use moxcms::{
    Chromaticity, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, Layout as Samples, MatrixCoefficients,
    ProfileText, ToneReprCurve, TransformOptions,
};

use crate::contract::Error;
use crate::metadata::profile::has_primaries_of_srgb;
use crate::picture::pixels::{Layout, Pixels};

/// Pixels converted at once; bounds the extra buffer.
const BATCH_PIXELS: usize = 1 << 16;

/// Converts in place. Returns whether the profile could be used.
pub(crate) fn to_srgb(pixels: &mut Pixels, icc: &[u8]) -> bool {
    let Ok(profile) = ColorProfile::new_from_slice(icc) else {
        return false;
    };
    match profile.color_space {
        DataColorSpace::Rgb => {
            if is_srgb(&profile) {
                return true;
            }
            let (layout, samples) =
                if pixels.layout.has_alpha() { (Layout::Rgba, Samples::Rgba) } else { (Layout::Rgb, Samples::Rgb) };
            if pixels.layout != layout {
                *pixels = pixels.to_layout(layout);
            }
            convert(pixels, &profile, samples).is_ok()
        }
        DataColorSpace::Gray => {
            let samples = match pixels.layout {
                Layout::Grey => Samples::Gray,
                Layout::GreyAlpha => Samples::GrayAlpha,
                Layout::Rgb | Layout::Rgba => return false,
            };
            convert(pixels, &profile, samples).is_ok()
        }
        _ => false,
    }
}

/// Whether pixels under this profile can be converted.
pub(crate) fn is_convertible(icc: &[u8]) -> bool {
    let Ok(profile) = ColorProfile::new_from_slice(icc) else {
        return false;
    };
    let from = match profile.color_space {
        DataColorSpace::Rgb => Samples::Rgb,
        DataColorSpace::Gray => Samples::Gray,
        // Four inks travel in the layout of four samples.
        DataColorSpace::Cmyk => Samples::Rgba,
        _ => return false,
    };
    profile.create_transform_8bit(from, &ColorProfile::new_srgb(), Samples::Rgb, TransformOptions::default()).is_ok()
}

/// Whether this is a profile of sRGB: pixels under it are ready.
pub(crate) fn is_srgb_profile(icc: &[u8]) -> bool {
    ColorProfile::new_from_slice(icc).is_ok_and(|profile| is_srgb(&profile))
}

/// Whether the profile names itself sRGB and has its primaries: converting would only add rounding errors. Variants with
/// another curve or range say so in their names: "e-sRGB", "Linear sRGB".
fn is_srgb(profile: &ColorProfile) -> bool {
    let says_srgb = |text: &str| {
        let is_itself = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        text.split_once("sRGB").is_some_and(|(before, _)| is_itself(before)) && !text.to_lowercase().contains("linear")
    };
    if !has_primaries_of_srgb(profile, 0.01) {
        return false;
    }
    match &profile.description {
        Some(ProfileText::PlainString(text)) => says_srgb(text),
        Some(ProfileText::Localizable(texts)) => texts.iter().any(|text| says_srgb(&text.value)),
        Some(ProfileText::Description(text)) => says_srgb(&text.ascii_string),
        None => false,
    }
}

fn convert(pixels: &mut Pixels, profile: &ColorProfile, samples: Samples) -> Result<(), moxcms::CmsError> {
    let (to, keep): (Samples, &[usize]) = match pixels.layout {
        Layout::Grey => (Samples::Rgb, &[1]),
        Layout::GreyAlpha => (Samples::Rgba, &[1, 3]),
        Layout::Rgb => (Samples::Rgb, &[0, 1, 2]),
        Layout::Rgba => (Samples::Rgba, &[0, 1, 2, 3]),
    };
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(samples, &srgb, to, TransformOptions::default())?;
    let to_channels = if to == Samples::Rgb { 3 } else { 4 };
    let channels = pixels.layout.channels();
    let mut out = vec![0; BATCH_PIXELS * to_channels];
    for batch in pixels.data.chunks_mut(BATCH_PIXELS * channels) {
        let out = &mut out[..batch.len() / channels * to_channels];
        transform.transform(batch, out)?;
        for (pixel, converted) in batch.chunks_exact_mut(channels).zip(out.chunks_exact(to_channels)) {
            for (sample, at) in pixel.iter_mut().zip(keep) {
                *sample = converted[*at];
            }
        }
    }
    Ok(())
}

/// A profile for samples encoded with this exponent (PNG's gAMA, such as 1 ⁄ 2.2), with the x and y of white, red, green and blue.
/// `None` when that is sRGB within what one can see, or nonsense.
pub(crate) fn profile_of(gamma: f32, primaries: Option<[[f32; 2]; 4]>) -> Option<Vec<u8>> {
    /// White, red, green and blue of sRGB (IEC 61966-2-1).
    const SRGB: [[f32; 2]; 4] = [[0.3127, 0.329], [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]];
    let primaries = primaries.unwrap_or(SRGB);
    let is_close = |[x, y]: [f32; 2], [u, v]: [f32; 2]| (x - u).abs() < 0.01 && (y - v).abs() < 0.01;
    let is_srgb = primaries.into_iter().zip(SRGB).all(|(a, b)| is_close(a, b));
    if is_srgb && (gamma * 2.2 - 1.0).abs() < 0.05 {
        return None;
    }
    let is_sane = (0.1..=10.0).contains(&gamma)
        && primaries.iter().all(|[x, y]| (0.0..=1.0).contains(x) && (0.01..=1.0).contains(y));
    if !is_sane {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if !is_srgb {
        let [white, red, green, blue] = primaries.map(|[x, y]| Chromaticity::new(x, y));
        profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    }
    let curve = ToneReprCurve::Parametric(vec![1.0 / gamma]);
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    profile.cicp = None;
    profile.description = None;
    profile.encode().ok()
}

/// A profile for samples with these primaries and this curve (ITU-T H.273, as in PNG's cICP). `None` when that is sRGB, and an
/// empty one, which nobody can read, when it is a high dynamic range or anything else that does not simply convert to sRGB.
pub(crate) fn profile_of_code_points(primaries: u8, transfer: u8, is_full_range: bool) -> Option<Vec<u8>> {
    const SRGB: (u8, u8) = (1, 13);
    /// BT.709 and what equals it, plain gammas, linear, sRGB, BT.2020.
    const CURVES: [u8; 9] = [1, 4, 5, 6, 7, 8, 13, 14, 15];
    if (primaries, transfer, is_full_range) == (SRGB.0, SRGB.1, true) {
        return None;
    }
    let make = || {
        let code = CicpProfile {
            color_primaries: primaries.try_into().ok()?,
            transfer_characteristics: transfer.try_into().ok()?,
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        };
        let mut profile = ColorProfile::new_srgb();
        profile.cicp = None;
        profile.update_rgb_colorimetry_from_cicp(code);
        // Set where the primaries are known ones.
        profile.cicp.take()?;
        profile.description = None;
        profile.encode().ok()
    };
    let usable = if is_full_range && CURVES.contains(&transfer) { make() } else { None };
    Some(usable.unwrap_or_default())
}

/// CMYK, four samples per pixel where 255 is full ink, to sRGB. Without a usable profile a plain formula is used.
pub(crate) fn cmyk_to_srgb(width: u32, height: u32, cmyk: &[u8], icc: Option<&[u8]>) -> Result<Pixels, Error> {
    let mut rgb = vec![0; cmyk.len() / 4 * 3];
    if !with_profile(cmyk, &mut rgb, icc) {
        let (inks, _) = cmyk.as_chunks::<4>();
        for (pixel, [c, m, y, k]) in rgb.chunks_exact_mut(3).zip(inks) {
            for (sample, ink) in pixel.iter_mut().zip([c, m, y]) {
                let light = u32::from(255 - ink) * u32::from(255 - k);
                *sample = ((light + 127) / 255) as u8;
            }
        }
    }
    Pixels::new(width, height, Layout::Rgb, rgb)
}

fn with_profile(cmyk: &[u8], rgb: &mut [u8], icc: Option<&[u8]>) -> bool {
    let Some(profile) = icc.and_then(|icc| ColorProfile::new_from_slice(icc).ok()) else {
        return false;
    };
    if profile.color_space != DataColorSpace::Cmyk {
        return false;
    }
    // Four inks travel in the layout of four samples.
    let Ok(transform) = profile.create_transform_8bit(
        Samples::Rgba,
        &ColorProfile::new_srgb(),
        Samples::Rgb,
        TransformOptions::default(),
    ) else {
        return false;
    };
    cmyk.chunks(BATCH_PIXELS * 4)
        .zip(rgb.chunks_mut(BATCH_PIXELS * 3))
        .all(|(from, to)| transform.transform(from, to).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_p3_red_becomes_a_stronger_srgb_red() {
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        let mut pixels = Pixels::new(1, 1, Layout::Rgb, vec![200, 60, 50]).unwrap();
        assert!(to_srgb(&mut pixels, &p3));
        assert!(pixels.data[0] > 205 && pixels.data[1] < 60, "{:?}", pixels.data);
    }

    #[test]
    fn srgb_and_rubbish_change_nothing() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        let mut pixels = Pixels::new(1, 1, Layout::Rgb, vec![200, 60, 50]).unwrap();
        assert!(to_srgb(&mut pixels, &srgb));
        assert_eq!(pixels.data, [200, 60, 50]);
        assert!(!to_srgb(&mut pixels, b"no profile"));
        assert_eq!(pixels.data, [200, 60, 50]);
    }

    #[test]
    fn only_srgb_itself_is_left_alone() {
        let named = |name: &str, mut profile: ColorProfile| {
            let text = moxcms::LocalizableString::new("en".to_owned(), "US".to_owned(), name.to_owned());
            profile.description = Some(ProfileText::Localizable(vec![text]));
            is_srgb(&profile)
        };
        assert!(named("sRGB IEC61966-2.1", ColorProfile::new_srgb()));
        for variant in ["Artifex esRGB", "e-sRGB", "scRGB", "Linear sRGB", "sRGB linear", "Display P3"] {
            assert!(!named(variant, ColorProfile::new_srgb()), "{variant}");
        }
        assert!(!named("sRGB IEC61966-2.1", ColorProfile::new_display_p3()));
    }

    #[test]
    fn a_linear_grey_is_brightened() {
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let mut pixels = Pixels::new(1, 1, Layout::GreyAlpha, vec![55, 99]).unwrap();
        assert!(to_srgb(&mut pixels, &linear));
        assert!(pixels.data[0].abs_diff(128) <= 2, "{:?}", pixels.data);
        assert_eq!(pixels.data[1], 99);
    }

    #[test]
    fn a_gamma_stands_for_a_profile() {
        assert_eq!(profile_of(0.45455, None), None);
        let linear = profile_of(1.0, None).unwrap();
        let mut pixels = Pixels::new(1, 1, Layout::Rgb, vec![55, 55, 55]).unwrap();
        assert!(to_srgb(&mut pixels, &linear));
        assert!(pixels.data.iter().all(|v| v.abs_diff(128) <= 2), "{:?}", pixels.data);
        let wide = [[0.3127, 0.329], [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]];
        let wide = profile_of(0.45455, Some(wide)).unwrap();
        let mut pixels = Pixels::new(1, 1, Layout::Rgb, vec![200, 60, 50]).unwrap();
        assert!(to_srgb(&mut pixels, &wide));
        assert!(pixels.data[0] > 205, "{:?}", pixels.data);
    }

    #[test]
    fn code_points_stand_for_a_profile() {
        assert_eq!(profile_of_code_points(1, 13, true), None);
        // PQ, a narrow range, unspecified primaries.
        for unusable in [(9, 16, true), (1, 13, false), (2, 13, true)] {
            assert_eq!(profile_of_code_points(unusable.0, unusable.1, unusable.2), Some(Vec::new()), "{unusable:?}");
        }
        let converted = |icc: &[u8]| {
            let mut pixels = Pixels::new(2, 1, Layout::Rgb, vec![200, 60, 50, 10, 128, 240]).unwrap();
            assert!(to_srgb(&mut pixels, icc));
            pixels.data
        };
        let by_numbers = converted(&profile_of_code_points(12, 13, true).unwrap());
        let by_profile = converted(&ColorProfile::new_display_p3().encode().unwrap());
        assert!(by_numbers.iter().zip(&by_profile).all(|(a, b)| a.abs_diff(*b) <= 1), "{by_numbers:?} {by_profile:?}");
    }

    #[test]
    fn inks_without_a_profile_follow_the_plain_formula() {
        let cmyk = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255];
        let pixels = cmyk_to_srgb(3, 1, &cmyk, None).unwrap();
        assert_eq!(pixels.data, [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }
}
