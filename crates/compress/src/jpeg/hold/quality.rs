//! Quality numbers to quantisation tables, and back.
//!
//! Deterministic integer arithmetic; a higher quality never gives a larger step.

use crate::jpeg::headers::tables::{Steps, ZIGZAG};

/// The table that quality 50 of the libjpeg scale uses as it is, row-major: N. Robidoux's, as published on the ImageMagick
/// forum and shipped by mozjpeg as table 3 (`jcparam.c`). It is gentle with low and harsh with high frequencies, and serves
/// luma and subsampled chroma alike. Its largest steps exceed 255 and are clamped after scaling.
const ROBIDOUX: [u16; 64] = [
    16, 16, 16, 18, 25, 37, 56, 85, //
    16, 17, 20, 27, 34, 40, 53, 75, //
    16, 20, 24, 31, 43, 62, 91, 135, //
    18, 27, 31, 40, 53, 74, 106, 156, //
    25, 34, 43, 53, 69, 94, 131, 189, //
    37, 40, 62, 74, 94, 124, 169, 238, //
    56, 53, 91, 106, 131, 169, 226, 311, //
    85, 75, 135, 156, 189, 238, 311, 418,
];

/// The luma table that libjpeg scales, row-major (T.81, table K.1): to recognise what quality a source was saved with.
const ANNEX_K_LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// The largest step that fits the 8-bit tables of a baseline frame (T.81, table B.4).
const MAX_BASELINE_STEP: u32 = 255;

/// What a component carries, as far as its steps depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Brightness, or a colour or ink that stands for itself.
    Plain,
    /// A colour difference; on either axis with as many samples as the brightness, or with fewer.
    Chroma { full_height: bool, full_width: bool },
}

/// The steps for a quality of 1 to 100 (0 counts as 1, more than 100 as 100), in zigzag order.
pub(crate) fn steps(quality: u8, role: Role) -> Steps {
    let percentage = scale(remap(quality));
    match role {
        Role::Plain | Role::Chroma { full_height: false, full_width: false } => scaled(&ROBIDOUX, percentage),
        Role::Chroma { full_height, full_width } => scaled(&stretched(full_height, full_width), percentage),
    }
}

/// The table for colour differences that are not subsampled. Coefficient u of a full-size block is as fine a pattern on screen
/// as coefficient 2u of a subsampled one, and the eye wants neither at the price of brightness: so places are looked up at twice
/// their frequency, and steps are 1.3 times as large at low and 2.0 times at high frequencies. This does in the table what
/// other encoders do by subsampling; 4 to 11 % fewer bytes at equal SSIMULACRA2 on 4:4:4 and 4:2:2 photos.
fn stretched(full_height: bool, full_width: bool) -> [u16; 64] {
    std::array::from_fn(|i| {
        let double = |place: usize, full| if full { (2 * place).min(7) } else { place };
        let (row, column) = (double(i / 8, full_height), double(i % 8, full_width));
        let percentage = 130 + 10 * (row + column).min(7) as u32;
        (u32::from(ROBIDOUX[8 * row + column]) * percentage / 100) as u16
    })
}

/// At an equal number on libjpeg's scale, the Robidoux table with a dead zone takes a fifth fewer bytes and scores about two
/// points of SSIMULACRA2 lower than libjpeg's own tables. So that `quality: n` looks at least as good as libjpeg's n, n is
/// raised first. What it takes to be equal on average was measured on 19 photos: 2.5 at 20, 6.5 at 35 and at 50, 1.6 at 65,
/// nothing from 75 up. The polynomial `n² (100 − n)³`, which peaks at 40, covers that with some reserve around 50, never falls
/// as fast as n rises, and leaves 0 and 100 as they are. In hundredths.
fn remap(quality: u8) -> u32 {
    let n = u64::from(quality.clamp(1, 100));
    let lift = LIFT * n.pow(2) * (100 - n).pow(3) / (40_u64.pow(2) * 60_u64.pow(3));
    (100 * n + lift) as u32
}

/// What [`remap`] adds at its peak, in hundredths; 8.0 at quality 50.
const LIFT: u64 = 886;

/// libjpeg's scale (`jpeg_quality_scaling`), for a quality in hundredths: the percentage, in hundredths, to apply to a table.
fn scale(quality: u32) -> u32 {
    if quality < 5000 { 50_000_000 / quality.max(1) } else { 20_000 - 2 * quality }
}

/// A row-major table times a percentage in hundredths, rounded, clamped to 1..=255, in zigzag order.
fn scaled(table: &[u16; 64], percentage: u32) -> Steps {
    ZIGZAG.map(|i| {
        let step = (u64::from(table[usize::from(i)]) * u64::from(percentage) + 5000) / 10_000;
        step.clamp(1, u64::from(MAX_BASELINE_STEP)) as u16
    })
}

/// The quality on libjpeg's scale whose luma table is nearest to `steps` (sum of absolute differences; of equals the higher).
pub(crate) fn estimate(steps: &Steps) -> u8 {
    (1..=100_u8)
        .rev()
        .min_by_key(|&quality| {
            let candidate = scaled(&ANNEX_K_LUMA, scale(100 * u32::from(quality)));
            candidate.iter().zip(steps).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum::<u32>()
        })
        .unwrap_or(100)
}

/// Rounds magnitudes from one set of steps to another: `(magnitude × factor + bias) >> 16`.
#[derive(Clone)]
pub(crate) struct Quantiser {
    /// Source step ÷ target step in 16.16, at most 1.0.
    factor: [u32; 64],
}

/// Rounding offset of AC coefficients in 1/65536. Below one half it is a dead zone: values that barely reach the next level
/// fall to the lower one. When steps are multiples of the source's many quotients are exactly x.5, and rounding those up
/// buys nothing for its bits; 0.35 is the knee of bytes against SSIMULACRA2.
pub(crate) const AC_BIAS: u32 = 22_938;

/// DC is rounded to nearest: an offset there shifts the brightness of whole blocks, which shows in flat skies.
pub(crate) const DC_BIAS: u32 = 32_768;

impl Quantiser {
    /// Keeps every value.
    pub(crate) fn identity() -> Self {
        Self { factor: [1 << 16; 64] }
    }

    /// From `source` to `target`. Each target step must be at least 1, and at least its source step.
    pub(crate) fn new(source: &Steps, target: &Steps) -> Self {
        let mut factor = [0; 64];
        for (factor, (&from, &to)) in factor.iter_mut().zip(source.iter().zip(target)) {
            *factor = (((u32::from(from)) << 16) + u32::from(to) / 2) / u32::from(to.max(1));
        }
        Self { factor }
    }

    /// The new magnitude of AC coefficient `k` (zigzag, modulo 64). `magnitude` is below 2^15, so nothing overflows.
    #[inline(always)]
    pub(crate) fn ac(&self, k: u32, magnitude: u32) -> u32 {
        (magnitude * self.factor[(k & 63) as usize] + AC_BIAS) >> 16
    }

    /// The smallest magnitude of AC coefficient `k` that [`Quantiser::ac`] does not make zero.
    pub(crate) fn least(&self, k: u32) -> u32 {
        ((1 << 16) - AC_BIAS).div_ceil(self.factor[(k & 63) as usize].max(1))
    }

    /// The new value of a DC coefficient; `|value|` is below 2^15.
    #[inline(always)]
    pub(crate) fn dc(&self, value: i32) -> i32 {
        let magnitude = (value.unsigned_abs() * self.factor[0] + DC_BIAS) >> 16;
        if value < 0 { -(magnitude as i32) } else { magnitude as i32 }
    }
}

/// The steps to write: the wanted ones, but never finer than the source's, which would cost bytes and restore nothing.
pub(crate) fn coarser(source: &Steps, wanted: &Steps) -> Steps {
    std::array::from_fn(|k| source[k].max(wanted[k]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [
        Role::Plain,
        Role::Chroma { full_height: false, full_width: false },
        Role::Chroma { full_height: true, full_width: false },
        Role::Chroma { full_height: true, full_width: true },
    ];

    #[test]
    fn a_higher_quality_never_has_a_larger_step() {
        for role in ROLES {
            for quality in 1..100 {
                let (low, high) = (steps(quality, role), steps(quality + 1, role));
                assert!(low.iter().zip(high).all(|(&low, high)| low >= high), "{quality}");
            }
            assert_eq!(steps(100, role), [1; 64]);
            assert_eq!(steps(0, role), steps(1, role));
            assert_eq!(steps(255, role), steps(100, role));
        }
    }

    #[test]
    fn colour_differences_have_the_coarser_steps_the_more_samples_they_have() {
        for pair in ROLES.windows(2) {
            let (fine, coarse) = (steps(50, pair[0]), steps(50, pair[1]));
            assert!(fine.iter().zip(coarse).all(|(&fine, coarse)| fine <= coarse));
        }
    }

    #[test]
    fn fifty_is_raised_by_eight() {
        assert_eq!(remap(50), 5801);
        assert_eq!((remap(1), remap(100)), (102, 10_000));
    }

    #[test]
    fn equal_steps_keep_every_value() {
        let table = steps(40, Role::Plain);
        let quantiser = Quantiser::new(&table, &table);
        for value in [-2047, -1, 0, 1, 2, 777, 16_383] {
            assert_eq!(quantiser.dc(value), value);
            assert_eq!(quantiser.ac(63, value.unsigned_abs()), value.unsigned_abs());
        }
    }

    #[test]
    fn ac_has_a_dead_zone_and_dc_has_none() {
        let quantiser = Quantiser::new(&[1; 64], &[2; 64]);
        assert_eq!((quantiser.ac(1, 1), quantiser.ac(1, 2), quantiser.ac(1, 3)), (0, 1, 1));
        assert_eq!((quantiser.dc(1), quantiser.dc(-1), quantiser.dc(-3)), (1, -1, -2));
    }
}
