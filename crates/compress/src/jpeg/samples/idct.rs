//! The inverse cosine transform (T.81, A.3.3), at several sizes: coefficients to samples.
//!
//! Plain sums of products over rows of eight, which the compiler turns into vector instructions, skipping what is zero. Only
//! additions and multiplications of `f32` in a fixed order: the same result on every machine.

use std::f64::consts::PI;

/// The coefficients of one block as real numbers, multiplied by their steps, row-major.
pub(crate) type Block = [f32; 64];

/// Coefficients back to samples, at n × n samples a block: n = 8 is the picture as it is, smaller n shrinks it by n ⁄ 8.
///
/// Shrinking takes the n × n lowest frequencies for those of a smaller block, which is what libjpeg's scaled decoding does
/// (`jidctred.c`, `jidctint.c`): an eighth of the work, and better than averaging pixels, as no lower frequency is touched.
///
/// `L` is 4 or 8 and not below n. All sizes are computed at one of these two, with zeros for what is not there: compilers make
/// whole vectors of nothing else.
pub(crate) struct Inverse<const L: usize> {
    /// `wave[u][x]`: the u-th wave at sample x, with the weight of A.3.3 and that of the smaller block; zero from n on.
    wave: [[f32; L]; L],
}

impl<const L: usize> Inverse<L> {
    pub(crate) fn new(n: usize) -> Self {
        // The transform is orthonormal; a constant picture has a DC of 8 × its level, which must give that level at any n.
        let scale = (n as f64 / 8.0).sqrt();
        let sample = |u, x| if u < n && x < n { (scale * wave(n, u, x)) as f32 } else { 0.0 };
        Self { wave: std::array::from_fn(|u| std::array::from_fn(|x| sample(u, x))) }
    }

    /// The samples of a block whose coefficients outside the first `rows` × `columns` are zero: n × n that count.
    #[inline(always)]
    pub(crate) fn samples(&self, block: &Block, rows: usize, columns: usize) -> [[u8; L]; L] {
        let mut half = [[0_f32; L]; L];
        for (wave, coefficients) in self.wave.iter().zip(block.as_chunks::<8>().0).take(rows) {
            for y in 0..L {
                for u in 0..L {
                    half[y][u] += wave[y] * coefficients[u];
                }
            }
        }
        let mut samples = [[0; L]; L];
        for y in 0..L {
            // Samples are stored around zero (A.3.1).
            let mut line = [128_f32; L];
            for (wave, coefficient) in self.wave.iter().zip(half[y]).take(columns) {
                for x in 0..L {
                    line[x] += wave[x] * coefficient;
                }
            }
            for x in 0..L {
                samples[y][x] = to_sample(line[x]);
            }
        }
        samples
    }
}

/// Rounded and clamped. Adding 2^23 leaves the nearest integer in the low bits of the number, which is faster than a conversion.
#[inline(always)]
fn to_sample(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + 8_388_608.0).to_bits() as u8
}

/// The u-th of `n` waves at sample x, orthonormal.
fn wave(n: usize, u: usize, x: usize) -> f64 {
    let weight = if u == 0 { 1.0 } else { 2.0 };
    (weight / n as f64).sqrt() * ((2 * x + 1) as f64 * u as f64 * PI / (2 * n) as f64).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::samples::fdct::fdct;

    fn inverse<const N: usize, const L: usize>(block: &Block, rows: usize, columns: usize) -> [[u8; N]; N] {
        let samples = Inverse::<L>::new(N).samples(block, rows, columns);
        std::array::from_fn(|y| std::array::from_fn(|x| samples[y][x]))
    }

    fn forward(samples: &[[u8; 8]; 8]) -> Block {
        let eighths = fdct(samples.map(|line| line.map(|sample| f32::from(sample) - 128.0)));
        std::array::from_fn(|at| eighths[at % 8][at / 8] as f32 / 8.0)
    }

    fn ramp() -> [[u8; 8]; 8] {
        std::array::from_fn(|y| std::array::from_fn(|x| (10 + 7 * x + 20 * y + 40 * (x * y % 3)) as u8))
    }

    #[test]
    fn samples_come_back_as_they_were() {
        let block = forward(&ramp());
        assert_eq!(inverse::<8, 8>(&block, 8, 8), ramp());
    }

    #[test]
    fn a_level_is_the_same_at_every_size() {
        let block = forward(&[[200; 8]; 8]);
        assert!((block[0] - 8.0 * (200.0 - 128.0)).abs() < 0.001, "{}", block[0]);
        assert_eq!(inverse::<1, 4>(&block, 1, 1), [[200]]);
        assert_eq!(inverse::<3, 4>(&block, 8, 8), [[200; 3]; 3]);
        assert_eq!(inverse::<4, 4>(&block, 1, 1), [[200; 4]; 4]);
    }

    #[test]
    fn half_the_size_is_close_to_the_average_of_four() {
        let smooth: [[u8; 8]; 8] = std::array::from_fn(|y| std::array::from_fn(|x| (20 + 9 * x + 15 * y) as u8));
        let block = forward(&smooth);
        let half = inverse::<4, 4>(&block, 8, 8);
        for (y, line) in half.iter().enumerate() {
            for (x, sample) in line.iter().enumerate() {
                let four = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(j, i)| u32::from(smooth[2 * y + j][2 * x + i]));
                assert!(u32::from(*sample).abs_diff(four.iter().sum::<u32>() / 4) <= 3, "{half:?}");
            }
        }
    }

    #[test]
    fn what_is_beyond_black_and_white_is_clamped() {
        let mut block = [0.0; 64];
        block[0] = 3000.0;
        assert_eq!(inverse::<2, 4>(&block, 1, 1), [[255; 2]; 2]);
        block[0] = -3000.0;
        assert_eq!(inverse::<2, 4>(&block, 1, 1), [[0; 2]; 2]);
    }
}
