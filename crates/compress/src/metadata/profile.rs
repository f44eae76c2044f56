//! Colour profiles are bytes too: the smallest one that looks the same.
//!
//! Only profiles of primaries and curves are touched. Those of tables, of grey or of inks, and what cannot be read, stay as they are.

use std::borrow::Cow;

use moxcms::{ColorProfile, DataColorSpace, ProfileText, ToneReprCurve, Xyzd};

use crate::container::{jpeg_segments, png, webp};
use crate::contract::Format;

/// A profile of this length is small, whatever it is beside.
pub(crate) const SMALL: u64 = 1_024;
/// A profile that cannot be shortened by so much stays as it is.
const WORTHWHILE_BYTES: usize = 100;
/// sRGB's curve as ICC.1 writes it (10.18, function type 3): gamma, a, b, c, d.
const SRGB_CURVE: [f32; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45];

/// The profile of a file.
pub(crate) struct Embedded {
    pub icc: Vec<u8>,
    /// How many of the file's bytes it takes.
    pub stored: usize,
}

impl Embedded {
    pub fn of(bytes: &[u8], format: Format) -> Option<Embedded> {
        let (icc, stored) = match format {
            Format::Jpeg => {
                let icc = jpeg_segments::icc(bytes)?;
                let length = icc.len();
                (icc, length)
            }
            Format::Png => {
                let list = png::chunks(bytes).ok()?;
                // Code points are preferred to a profile.
                if png::data(bytes, &list, b"cICP").is_some() {
                    return None;
                }
                (png::profile(bytes, &list)?, stored(bytes, format))
            }
            Format::Webp => {
                let icc = webp::data(bytes, &webp::chunks(bytes).ok()?, b"ICCP")?;
                (icc.to_vec(), icc.len())
            }
            _ => return None,
        };
        Some(Embedded { icc, stored })
    }

    /// The file with a shorter profile that looks the same, or with none where that is sRGB. `None` where it stays as it is, and for
    /// WebP, whose profile is written anew.
    pub fn slimmed(&self, bytes: &[u8], format: Format) -> Option<Vec<u8>> {
        let short = match smallest(&self.icc) {
            Some(Cow::Borrowed(_)) => return None,
            Some(Cow::Owned(short)) => Some(short),
            None => None,
        };
        match format {
            Format::Jpeg => jpeg_segments::with_icc(bytes, short.as_deref()),
            Format::Png => png::with_profile(bytes, short.as_deref()),
            _ => None,
        }
    }
}

/// How many of a file's bytes its profile takes, by its headers.
pub(crate) fn stored(bytes: &[u8], format: Format) -> usize {
    let length = match format {
        Format::Jpeg => jpeg_segments::icc(bytes).as_ref().map(Vec::len),
        Format::Png => png::chunks(bytes)
            .ok()
            .and_then(|list| list.iter().filter(|chunk| &chunk.name == b"iCCP").map(|chunk| chunk.data.len()).max()),
        Format::Webp => webp::chunks(bytes).ok().and_then(|list| webp::data(bytes, &list, b"ICCP").map(<[u8]>::len)),
        _ => None,
    };
    length.unwrap_or(0)
}

/// A profile of the same colours, no longer than this one. `None` where that is sRGB, which needs none.
pub(crate) fn smallest(icc: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Ok(profile) = ColorProfile::new_from_slice(icc) else {
        return Some(Cow::Borrowed(icc));
    };
    if profile.color_space != DataColorSpace::Rgb || has_tables(&profile) {
        return Some(Cow::Borrowed(icc));
    }
    let [Some(red), Some(green), Some(blue)] = [&profile.red_trc, &profile.green_trc, &profile.blue_trc] else {
        return Some(Cow::Borrowed(icc));
    };
    let [red, green, blue] = [red, green, blue].map(shortest);
    let has_its_curve = [&red, &green, &blue].iter().all(|curve| **curve == srgb_curve());
    if has_its_curve && has_primaries_of_srgb(&profile, 0.002) {
        return None;
    }
    let mut rewritten = profile;
    rewritten.red_trc = Some(red);
    rewritten.green_trc = Some(green);
    rewritten.blue_trc = Some(blue);
    rewritten.chromatic_adaptation = None;
    rewritten.luminance = None;
    rewritten.measurement = None;
    rewritten.device_manufacturer = None;
    rewritten.device_model = None;
    rewritten.char_target = None;
    rewritten.viewing_conditions = None;
    rewritten.viewing_conditions_description = None;
    rewritten.technology = None;
    rewritten.calibration_date = None;
    // Readers may insist on both.
    rewritten.description = Some(ProfileText::PlainString("RGB".to_owned()));
    rewritten.copyright = Some(ProfileText::PlainString("CC0".to_owned()));
    match rewritten.encode() {
        Ok(rewritten) if rewritten.len() + WORTHWHILE_BYTES <= icc.len() => Some(Cow::Owned(rewritten)),
        _ => Some(Cow::Borrowed(icc)),
    }
}

fn has_tables(profile: &ColorProfile) -> bool {
    let tables = [
        &profile.lut_a_to_b_perceptual,
        &profile.lut_a_to_b_colorimetric,
        &profile.lut_a_to_b_saturation,
        &profile.lut_b_to_a_perceptual,
        &profile.lut_b_to_a_colorimetric,
        &profile.lut_b_to_a_saturation,
        &profile.gamut,
    ];
    tables.iter().any(|table| table.is_some())
}

/// Whether red, green and blue are those of sRGB, within `tolerance` of each of their coordinates.
pub(crate) fn has_primaries_of_srgb(profile: &ColorProfile, tolerance: f64) -> bool {
    let srgb = ColorProfile::new_srgb();
    let is_close =
        |a: Xyzd, b: Xyzd| [(a.x, b.x), (a.y, b.y), (a.z, b.z)].iter().all(|(a, b)| (a - b).abs() < tolerance);
    is_close(profile.red_colorant, srgb.red_colorant)
        && is_close(profile.green_colorant, srgb.green_colorant)
        && is_close(profile.blue_colorant, srgb.blue_colorant)
}

fn srgb_curve() -> ToneReprCurve {
    ToneReprCurve::Parametric(SRGB_CURVE.to_vec())
}

/// A formula, where a table of many values is one.
fn shortest(curve: &ToneReprCurve) -> ToneReprCurve {
    let table = match curve {
        ToneReprCurve::Lut(table) if table.len() > 2 => table,
        // One value is a gamma with eight bits after the point; none is a straight line.
        ToneReprCurve::Parametric(formula) if is_close_to(&|at| formula_at(formula, at), &srgb_curve()) => {
            return srgb_curve();
        }
        _ => return curve.clone(),
    };
    let at_table = |at: f32| {
        let place = at * (table.len() - 1) as f32;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        let (low, high) = (f32::from(table[low]), f32::from(table[high]));
        (low + (high - low) * place.fract()) / 65_535.0
    };
    let gamma = ToneReprCurve::Parametric(vec![at_table(0.5).ln() / 0.5_f32.ln()]);
    [srgb_curve(), gamma].into_iter().find(|formula| is_close_to(&at_table, formula)).unwrap_or_else(|| curve.clone())
}

/// Whether two curves differ less than can be seen.
fn is_close_to(curve: &dyn Fn(f32) -> f32, formula: &ToneReprCurve) -> bool {
    let ToneReprCurve::Parametric(formula) = formula else {
        return false;
    };
    (0..=255).all(|level| {
        let at = level as f32 / 255.0;
        let (a, b) = (curve(at), formula_at(formula, at));
        // Written so that a NaN is not close.
        (a - b).abs() <= 0.000_4 + 0.006 * b
    })
}

/// ICC.1, 10.18, function types 0 and 3; NaN for the others.
fn formula_at(formula: &[f32], at: f32) -> f32 {
    match *formula {
        [gamma] => at.powf(gamma),
        [gamma, a, b, _, d] if at >= d => (a * at + b).powf(gamma),
        [_, _, _, c, _] => c * at,
        _ => f32::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_table(formula: &[f32]) -> ToneReprCurve {
        let value = |at: u32| (formula_at(formula, at as f32 / 1_023.0) * 65_535.0).round() as u16;
        ToneReprCurve::Lut((0..1_024).map(value).collect())
    }

    fn with_curve(mut profile: ColorProfile, curve: &ToneReprCurve) -> Vec<u8> {
        for trc in [&mut profile.red_trc, &mut profile.green_trc, &mut profile.blue_trc] {
            *trc = Some(curve.clone());
        }
        profile.description = Some(ProfileText::PlainString("A monitor".to_owned()));
        profile.encode().unwrap()
    }

    #[test]
    fn srgb_needs_no_profile_whatever_its_name() {
        assert_eq!(smallest(&with_curve(ColorProfile::new_srgb(), &as_table(&SRGB_CURVE))), None);
        assert_eq!(smallest(&ColorProfile::new_srgb().encode().unwrap()), None);
    }

    #[test]
    fn tables_of_a_formula_become_the_formula() {
        for (profile, curve) in [
            (ColorProfile::new_display_p3(), as_table(&SRGB_CURVE)),
            (ColorProfile::new_adobe_rgb(), as_table(&[2.2])),
            (ColorProfile::new_srgb(), as_table(&[1.8])),
        ] {
            let long = with_curve(profile, &curve);
            let short = smallest(&long).unwrap();
            assert!(long.len() > 6_000 && short.len() <= 512, "{}", short.len());
            assert_eq!(smallest(&short).unwrap(), short);
            let sample = |icc: &[u8]| {
                let profile = ColorProfile::new_from_slice(icc).unwrap();
                let to = ColorProfile::new_srgb();
                let transform = profile.create_transform_8bit(
                    moxcms::Layout::Rgb,
                    &to,
                    moxcms::Layout::Rgb,
                    moxcms::TransformOptions::default(),
                );
                let from: Vec<u8> = (0..=255_u8).flat_map(|level| [level, 128, 255 - level]).collect();
                let mut out = vec![0; from.len()];
                transform.unwrap().transform(&from, &mut out).unwrap();
                out
            };
            let (before, after) = (sample(&long), sample(&short));
            assert!(before.iter().zip(&after).all(|(a, b)| a.abs_diff(*b) <= 1), "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_is_no_formula_stays() {
        let steps = ToneReprCurve::Lut((0..256).map(|at| at / 16 * 4_096).collect());
        let file = with_curve(ColorProfile::new_display_p3(), &steps);
        let short = smallest(&file).unwrap();
        let kept = ColorProfile::new_from_slice(&short).unwrap();
        assert_eq!(kept.red_trc, Some(steps));
        for stays in [&b"no profile"[..], &ColorProfile::new_gray_with_gamma(2.2).encode().unwrap(), &[]] {
            assert_eq!(smallest(stays).unwrap(), stays);
        }
    }
}
