//! The forward cosine transform of a block of samples (T.81, A.3.3).
//!
//! After Y. Arai, T. Agui and M. Nakajima, "A fast DCT-SQ scheme for images" (1988), as libjpeg's `jfdctflt.c` does it: five
//! multiplications for eight samples, because each coefficient comes out with a factor of its own that is undone at the end.
//! Four columns go through every step side by side, which is the shape that compilers turn into vector instructions; eight would
//! not fit the registers of every processor.

/// Four values, one of each column.
type Lanes = [f32; 4];

/// A block, row by row.
pub(crate) type Samples = [[f32; 8]; 8];

/// The factor on the k-th coefficient of one dimension: 1 for the first, then √2 · cos(kπ/16).
const SCALE: [f32; 8] = [1.0, 1.387_039_8, 1.306_563, 1.175_875_6, 1.0, 0.785_694_96, 0.541_196_1, 0.275_899_38];

/// What undoes the factors of both dimensions. The 8 that both sums together are too large by stays. Symmetric.
const UNSCALE: Samples = {
    let mut table = [[0.0; 8]; 8];
    let mut at = 0;
    while at < 64 {
        table[at / 8][at % 8] = 1.0 / (SCALE[at / 8] * SCALE[at % 8]);
        at += 1;
    }
    table
};

/// The coefficients of a block in eighths, as libjpeg's transforms give them. **Transposed**: `[u][v]` has the horizontal frequency `u` and the
/// vertical `v`; turning the block around once instead of twice is cheaper.
#[inline]
pub(crate) fn fdct(block: Samples) -> [[i32; 8]; 8] {
    // Halves side by side; turned around, the upper rows of both become the left half.
    let halves = [0, 4].map(|left| columns(std::array::from_fn(|y| std::array::from_fn(|x| block[y][left + x]))));
    let turned =
        [0, 4].map(|top| columns(std::array::from_fn(|u| std::array::from_fn(|y| halves[u / 4][top + y][u % 4]))));
    std::array::from_fn(|u| std::array::from_fn(|v| round(turned[v / 4][u][v % 4] * UNSCALE[u][v])))
}

/// To the nearest whole number, for magnitudes below 2^22: adding 1.5 · 2^23 leaves no bits for a fraction, and the number in
/// the lowest bits. A cast would have to care for NaN and overflow, which there cannot be.
#[inline(always)]
fn round(value: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (value + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}

#[inline(always)]
fn columns(mut d: [Lanes; 8]) -> [Lanes; 8] {
    let [e0, o7] = butterfly(d[0], d[7]);
    let [e1, o6] = butterfly(d[1], d[6]);
    let [e2, o5] = butterfly(d[2], d[5]);
    let [e3, o4] = butterfly(d[3], d[4]);

    let [s0, s3] = butterfly(e0, e3);
    let [s1, s2] = butterfly(e1, e2);
    [d[0], d[4]] = butterfly(s0, s1);
    // cos(4π/16)
    [d[2], d[6]] = butterfly(s3, times(add(s2, s3), 0.707_106_77));

    let (a, b, c) = (add(o4, o5), add(o5, o6), add(o6, o7));
    // cos(6π/16), cos(2π/16) − cos(6π/16) and their sum.
    let z5 = times(sub(a, c), 0.382_683_43);
    let z2 = add(times(a, 0.541_196_1), z5);
    let z4 = add(times(c, 1.306_563), z5);
    let [z11, z13] = butterfly(o7, times(b, 0.707_106_77));
    [d[5], d[3]] = butterfly(z13, z2);
    [d[1], d[7]] = butterfly(z11, z4);
    d
}

/// Sum and difference.
#[inline(always)]
fn butterfly(a: Lanes, b: Lanes) -> [Lanes; 2] {
    [add(a, b), sub(a, b)]
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|i| a[i] - b[i])
}

#[inline(always)]
fn times(a: Lanes, factor: f32) -> Lanes {
    a.map(|value| value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The formula of A.3.3, term by term.
    fn by_definition(block: &Samples, u: usize, v: usize) -> f64 {
        let c = |k: usize| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let angle = |place: usize, k: usize| ((2 * place + 1) as f64 * k as f64 * PI / 16.0).cos();
        let mut sum = 0.0;
        for (y, row) in block.iter().enumerate() {
            for (x, &sample) in row.iter().enumerate() {
                sum += f64::from(sample) * angle(x, u) * angle(y, v);
            }
        }
        sum * c(u) * c(v) / 4.0
    }

    #[test]
    fn every_coefficient_is_that_of_the_definition_rounded() {
        let mut seed = 1_u32;
        for _ in 0..50 {
            let block: Samples = std::array::from_fn(|_| {
                std::array::from_fn(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as f32 - 128.0
                })
            });
            let result = fdct(block);
            for (u, row) in result.iter().enumerate() {
                for (v, &value) in row.iter().enumerate() {
                    let exact = by_definition(&block, u, v);
                    assert!((f64::from(value) - 8.0 * exact).abs() < 0.51, "{u} {v}: {value} {exact}");
                }
            }
        }
    }

    #[test]
    fn flat_blocks_have_nothing_but_their_mean() {
        let result = fdct([[-128.0; 8]; 8]);
        assert_eq!(result[0][0], -8 * 1024);
        assert!(result.iter().flatten().skip(1).all(|&value| value == 0));
    }
}
