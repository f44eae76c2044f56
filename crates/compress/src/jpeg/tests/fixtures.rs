//! Small JPEGs of every kind, made by the `jpeg-encoder` crate, and pieces put together by hand.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// A random number generator that always gives the same numbers (Marsaglia's xorshift64, "Xorshift RNGs", 2003).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Slopes, a hard edge, and noise in one corner: something for every coefficient.
pub(crate) fn pixels(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut out = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..channels {
                let slope = (x * 3 + y * 2 * (channel + 1)) % 256;
                let edge = if x > width / 2 && channel != 1 { 90 } else { 0 };
                let noise = if y > height / 2 && x < width / 2 { random.below(80) } else { 0 };
                out.push((slope + edge + noise).min(255) as u8);
            }
        }
    }
    out
}

/// How a fixture is made.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) colour: ColorType,
    pub(crate) sampling: SamplingFactor,
    pub(crate) progressive: bool,
    pub(crate) restart: u16,
    pub(crate) size: (u16, u16),
    pub(crate) quality: u8,
}

const PLAIN: Recipe = Recipe {
    name: "plain",
    colour: ColorType::Rgb,
    sampling: SamplingFactor::F_2_2,
    progressive: false,
    restart: 0,
    size: (75, 53),
    quality: 88,
};

impl Recipe {
    pub(crate) fn make(&self) -> Vec<u8> {
        let (width, height) = self.size;
        let channels = match self.colour {
            ColorType::Luma => 1,
            ColorType::Rgb | ColorType::Ycbcr => 3,
            _ => 4,
        };
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, self.quality);
        encoder.set_sampling_factor(self.sampling);
        encoder.set_progressive(self.progressive);
        if self.restart > 0 {
            encoder.set_restart_interval(self.restart);
        }
        let pixels = pixels(width.into(), height.into(), channels);
        encoder.encode(&pixels, width, height, self.colour).expect("the fixture encodes");
        out
    }
}

/// One of each kind.
pub(crate) fn recipes() -> Vec<Recipe> {
    let mut recipes = vec![
        Recipe { name: "one pixel", size: (1, 1), ..PLAIN },
        Recipe { name: "one column", size: (1, 70), ..PLAIN },
        Recipe { name: "very fine", quality: 100, ..PLAIN },
        Recipe { name: "very coarse", quality: 5, ..PLAIN },
        Recipe { name: "larger", size: (400, 301), ..PLAIN },
        Recipe { name: "larger, progressive", size: (400, 301), progressive: true, ..PLAIN },
    ];
    for progressive in [false, true] {
        for restart in [0, 1, 7] {
            for sampling in [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2]
            {
                recipes.push(Recipe { name: "usual sampling", sampling, progressive, restart, ..PLAIN });
            }
            for sampling in [SamplingFactor::F_4_1, SamplingFactor::F_4_2, SamplingFactor::F_1_4, SamplingFactor::F_2_4]
            {
                recipes.push(Recipe { name: "rare sampling", sampling, progressive, restart, ..PLAIN });
            }
            for (name, colour) in
                [("grey", ColorType::Luma), ("CMYK", ColorType::Cmyk), ("YCCK", ColorType::CmykAsYcck)]
            {
                recipes.push(Recipe { name, colour, sampling: SamplingFactor::F_1_1, progressive, restart, ..PLAIN });
            }
        }
    }
    recipes
}

/// The photos that sit beside the repository, when they do: name and bytes.
pub(crate) fn photos() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PHOTOS);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no photos in {}", folder.display());
        return Vec::new();
    };
    let mut photos: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            let jpeg = path.extension().is_some_and(|extension| extension == "jpg");
            jpeg.then(|| (name, std::fs::read(&path).expect("a readable photo")))
        })
        .collect();
    photos.sort();
    photos
}

/// Where the photos are, seen from the root of the crate.
const PHOTOS: &str = "../shared/data/images";

/// The one photo among them that was cut off.
pub(crate) const TRUNCATED: &str = "truncated_real_8mp.jpg";

/// Puts segments behind the start-of-image marker: `(marker, body)`.
pub(crate) fn with_segments(jpeg: &[u8], segments: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    for (marker, body) in segments {
        crate::jpeg::headers::marker::segment(&mut out, *marker, &[body]);
    }
    out.extend_from_slice(&jpeg[2..]);
    out
}
