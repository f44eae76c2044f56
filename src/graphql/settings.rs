//! What 'compress' means, as a client says it and as it reads it back.

use async_graphql::{InputObject, OneofObject, Result, SimpleObject};

use super::error::internal;
use super::format::ImageFormat;
use super::scalars::UnsignedInt53;
use halftone_compress::{Goal, InvalidSetting, Settings};

/// The goal of the compression: set exactly one field. Default: `quality: 50`.
#[derive(OneofObject)]
pub enum CompressionInput {
    /// Encoder quality, 1–100.
    Quality(i32),
    /// Encoder quality as a fraction of the source's own quality, 0–1.
    RelativeQuality(f64),
    /// Best quality at which the output has at most this fraction of the source's bytes, 0–1. A PNG may be up to 5 % smaller
    /// than that.
    TargetRatio(f64),
    /// Best quality at which the output has at most this many bytes. A PNG may be up to 5 % smaller than that.
    MaxBytes(UnsignedInt53),
    /// Smallest file whose SSIMULACRA2 score is at least this, 0–100. A PNG may score up to one point higher.
    MinScore(f64),
    /// Keep every pixel identical; only `true` is accepted.
    Lossless(bool),
}

/// Format, size and metadata of the outputs.
#[derive(InputObject, Default)]
pub struct OutputInput {
    /// Convert to `JPEG`, `PNG`, `WEBP` or `AVIF` (slow; not with `lossless`), or let `AUTO` choose for each image;
    /// by default, the source's format.
    format: Option<ImageFormat>,
    /// `AUTO` may choose AVIF too. Encoding is slow.
    #[graphql(default = false)]
    allow_avif: bool,
    /// Maximum width in pixels; images are never enlarged.
    max_width: Option<i32>,
    /// Maximum height in pixels; images are never enlarged.
    max_height: Option<i32>,
    /// Colour behind transparent pixels if the output cannot be transparent, as `#rrggbb`; white by default.
    background: Option<String>,
    /// Keep creator, copyright, credit line, source and terms of use (from EXIF, IPTC and XMP); all other metadata is removed.
    #[graphql(default = false)]
    keep_copyright: bool,
    /// Write progressive JPEGs where that is smaller, usually by a few percent. They appear in steps while they load; encoding is slower.
    #[graphql(default = false)]
    progressive: bool,
}

/// The settings in force.
#[derive(SimpleObject)]
pub struct CompressionSettings {
    /// Encoder quality, if requested.
    quality: Option<i32>,
    /// Fraction of the source's quality, if requested.
    relative_quality: Option<f64>,
    /// Fraction of the source's bytes, if requested.
    target_ratio: Option<f64>,
    /// Largest size in bytes, if requested.
    max_bytes: Option<UnsignedInt53>,
    /// Lowest SSIMULACRA2 score, if requested.
    min_score: Option<f64>,
    /// Whether the pixels stay identical.
    lossless: bool,
    /// Format of the outputs; null to keep each source's format, `AUTO` to choose one for each image.
    format: Option<ImageFormat>,
    /// Whether `AUTO` may choose AVIF.
    allow_avif: bool,
    /// Maximum width in pixels; null for no limit.
    max_width: Option<i32>,
    /// Maximum height in pixels; null for no limit.
    max_height: Option<i32>,
    /// Colour behind transparent pixels if the output cannot be transparent, as `#rrggbb`.
    background: String,
    /// Whether creators and copyright are kept.
    keep_copyright: bool,
    /// Whether progressive JPEGs are written.
    progressive: bool,
}

/// The settings a caller asks for, or all that cannot be as they are.
pub fn read(
    compression: Option<CompressionInput>,
    output: Option<OutputInput>,
) -> Result<Settings, Vec<InvalidSetting>> {
    let mut problems = Vec::new();
    let output = output.unwrap_or_default();
    let defaults = Settings::default();
    let goal = match compression {
        None => defaults.goal,
        Some(CompressionInput::Quality(quality)) => Goal::Quality(u8::try_from(quality).unwrap_or_else(|_| {
            let message = format!("`quality` must be between 1 and 100, not {quality}.");
            problems.push(InvalidSetting::new("quality", message));
            1
        })),
        Some(CompressionInput::RelativeQuality(share)) => Goal::RelativeQuality(share),
        Some(CompressionInput::TargetRatio(share)) => Goal::TargetRatio(share),
        Some(CompressionInput::MaxBytes(UnsignedInt53(bytes))) => Goal::MaxBytes(bytes),
        Some(CompressionInput::MinScore(score)) => Goal::MinScore(score),
        Some(CompressionInput::Lossless(true)) => Goal::Lossless,
        Some(CompressionInput::Lossless(false)) => {
            let message = "`lossless: false` is not a goal. Leave it out, or choose a quality.";
            problems.push(InvalidSetting::new("lossless", message));
            Goal::Lossless
        }
    };
    let mut side = |name, side: Option<i32>| {
        side.and_then(|side| match u32::try_from(side) {
            Ok(side) => Some(side),
            Err(_) => {
                problems.push(InvalidSetting::new(name, format!("`{name}` must be at least 1, not {side}.")));
                None
            }
        })
    };
    let (max_width, max_height) = (side("maxWidth", output.max_width), side("maxHeight", output.max_height));
    let background = match output.background.as_deref().map(colour) {
        None => defaults.background,
        Some(Some(colour)) => colour,
        Some(None) => {
            let message = "`background` must be a colour such as #ffffff.";
            problems.push(InvalidSetting::new("background", message));
            defaults.background
        }
    };
    let settings = Settings {
        goal,
        format: output.format.and_then(ImageFormat::asked),
        auto_format: output.format == Some(ImageFormat::Auto),
        allow_avif: output.allow_avif,
        max_width,
        max_height,
        background,
        keep_copyright: output.keep_copyright,
        progressive: output.progressive,
        still: false,
    };
    problems.extend(settings.check().err().unwrap_or_default());
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

impl CompressionSettings {
    /// The settings a request was stored with.
    pub fn read(stored: &serde_json::Value) -> Result<Self> {
        let settings: Settings = serde_json::from_value(stored.clone()).map_err(internal)?;
        let goal = settings.goal;
        let [red, green, blue] = settings.background;
        let int = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        Ok(Self {
            quality: if let Goal::Quality(quality) = goal { Some(quality.into()) } else { None },
            relative_quality: if let Goal::RelativeQuality(share) = goal { Some(share) } else { None },
            target_ratio: if let Goal::TargetRatio(share) = goal { Some(share) } else { None },
            max_bytes: if let Goal::MaxBytes(bytes) = goal { Some(UnsignedInt53(bytes)) } else { None },
            min_score: if let Goal::MinScore(score) = goal { Some(score) } else { None },
            lossless: matches!(goal, Goal::Lossless),
            format: if settings.auto_format { Some(ImageFormat::Auto) } else { settings.format.map(Into::into) },
            allow_avif: settings.allow_avif,
            max_width: settings.max_width.map(int),
            max_height: settings.max_height.map(int),
            background: format!("#{red:02x}{green:02x}{blue:02x}"),
            keep_copyright: settings.keep_copyright,
            progressive: settings.progressive,
        })
    }
}

/// `#rrggbb` as red, green and blue.
fn colour(text: &str) -> Option<[u8; 3]> {
    let mut colour = [0; 3];
    hex::decode_to_slice(text.strip_prefix('#')?, &mut colour).ok()?;
    Some(colour)
}
