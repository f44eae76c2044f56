//! The arguments of `halftone compress`, and the settings they stand for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use halftone_compress::{Format, Goal, InvalidSetting, Settings};

/// Arguments of `halftone compress`.
#[derive(Args)]
pub struct Arguments {
    /// Images: JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP or ICO
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Folder for the outputs, created if necessary. Default: next to each source
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    goal: GoalArguments,
    /// Convert to this format, or with auto to the one that gives the smallest file at the same score. Default: the format of
    /// each source
    #[arg(long, ignore_case = true)]
    format: Option<FormatName>,
    /// Let --format auto choose AVIF too; slow
    #[arg(long)]
    allow_avif: bool,
    /// Reduce to at most this width in pixels; never enlarges
    #[arg(long, value_name = "PIXELS")]
    max_width: Option<u32>,
    /// Reduce to at most this height in pixels; never enlarges
    #[arg(long, value_name = "PIXELS")]
    max_height: Option<u32>,
    /// The background for transparent images if the output format has no transparency
    #[arg(long, value_name = "#RRGGBB", default_value = "#ffffff", value_parser = colour)]
    background: [u8; 3],
    /// Keep creator, copyright and credit line (from EXIF, IPTC and XMP)
    #[arg(long)]
    keep_copyright: bool,
    /// Write progressive JPEGs where that is smaller, usually by a few percent; slower
    #[arg(long)]
    progressive: bool,
    /// Print one JSON object per line, for programs
    #[arg(long)]
    pub json: bool,
}

/// At most one of them.
#[derive(Args)]
#[group(multiple = false)]
struct GoalArguments {
    /// Encoder quality, 1 to 100. Default: 50
    #[arg(short, long, value_name = "N")]
    quality: Option<u8>,
    /// The best quality at which the output has at most this fraction of the source's bytes, such as 0.5
    #[arg(long, value_name = "SHARE")]
    target_ratio: Option<f64>,
    /// The best quality at which the output has at most this many bytes
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
    /// The smallest output with at least this SSIMULACRA2 score, 0 to 100
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f64>,
    /// A fraction of the source's own estimated quality, such as 0.5
    #[arg(long, value_name = "SHARE")]
    relative_quality: Option<f64>,
    /// Keep every pixel identical
    #[arg(long)]
    lossless: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    Auto,
    Jpeg,
    Png,
    Webp,
    Avif,
}

impl Arguments {
    /// The settings, or all that cannot be as they are.
    pub fn settings(&self) -> Result<Settings, Vec<InvalidSetting>> {
        let defaults = Settings::default();
        let goal = &self.goal;
        let chosen = [
            goal.quality.map(Goal::Quality),
            goal.target_ratio.map(Goal::TargetRatio),
            goal.max_bytes.map(Goal::MaxBytes),
            goal.min_score.map(Goal::MinScore),
            goal.relative_quality.map(Goal::RelativeQuality),
            goal.lossless.then_some(Goal::Lossless),
        ];
        let settings = Settings {
            goal: chosen.into_iter().flatten().next().unwrap_or(defaults.goal),
            format: self.format.and_then(|format| match format {
                FormatName::Auto => None,
                FormatName::Jpeg => Some(Format::Jpeg),
                FormatName::Png => Some(Format::Png),
                FormatName::Webp => Some(Format::Webp),
                FormatName::Avif => Some(Format::Avif),
            }),
            auto_format: matches!(self.format, Some(FormatName::Auto)),
            allow_avif: self.allow_avif,
            max_width: self.max_width,
            max_height: self.max_height,
            background: self.background,
            keep_copyright: self.keep_copyright,
            progressive: self.progressive,
            still: false,
        };
        settings.check().map(|()| settings)
    }
}

fn colour(text: &str) -> Result<[u8; 3], String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    let mut colour = [0; 3];
    hex::decode_to_slice(digits, &mut colour).map_err(|_| "expected a colour such as #ffffff".to_owned())?;
    Ok(colour)
}
