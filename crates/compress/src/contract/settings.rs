//! What the caller wants: how small, which format, how large.
//!
//! A `Settings` is stored as JSON with its request; [`Settings::check`] reports every bad value at once, before any work.

use serde::{Deserialize, Serialize};

use crate::contract::Format;

/// What "compress" means. S is the source's size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// Encode at this quality, 1–100.
    Quality(u8),
    /// Encode at this share of the source's own estimated quality, above 0, at most 1.
    RelativeQuality(f64),
    /// The best quality whose output is at most this share of S, above 0, at most 1.
    TargetRatio(f64),
    /// The best quality at which the output has at most this many bytes; a source that already fits is kept.
    MaxBytes(u64),
    /// The smallest output whose SSIMULACRA2 score against the source is at least this, 0–100.
    MinScore(f64),
    /// Identical pixels.
    Lossless,
}

/// How one image is to be compressed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    pub goal: Goal,
    /// Convert to this format; `None` keeps the source's.
    pub format: Option<Format>,
    /// Instead of `format`: for each image the one whose file is the smallest at the same score, of the source's own, WebP and,
    /// without transparency, JPEG.
    pub auto_format: bool,
    /// AVIF is one of these formats too. Encoding is slow.
    pub allow_avif: bool,
    /// Fit inside this many pixels of displayed width; never enlarges.
    pub max_width: Option<u32>,
    /// Fit inside this many pixels of displayed height; never enlarges.
    pub max_height: Option<u32>,
    /// Red, green and blue put under transparency when the output cannot have any.
    pub background: [u8; 3],
    /// Keep the credits of EXIF, IPTC and XMP (creator, copyright, credit line, source, terms) when all other metadata is dropped.
    pub keep_copyright: bool,
    /// Write a progressive JPEG where that is smaller (usually by a few percent). Encoding is slower.
    pub progressive: bool,
    /// Only the first picture of an animation, for previews; never part of a stored `Settings`.
    #[serde(skip)]
    pub still: bool,
}

impl Default for Settings {
    /// Quality 50, in the source's format and size, on white.
    fn default() -> Settings {
        Settings {
            goal: Goal::Quality(50),
            format: None,
            auto_format: false,
            allow_avif: false,
            max_width: None,
            max_height: None,
            background: [255, 255, 255],
            keep_copyright: false,
            progressive: false,
            still: false,
        }
    }
}

impl Settings {
    /// All settings with a value that they cannot have.
    pub fn check(&self) -> Result<(), Vec<InvalidSetting>> {
        let mut problems = Vec::new();
        let mut problem = |name, message: String| problems.push(InvalidSetting::new(name, message));
        match self.goal {
            Goal::Quality(quality) if !(1..=100).contains(&quality) => {
                problem("quality", format!("`quality` must be between 1 and 100, not {quality}."));
            }
            Goal::RelativeQuality(share) if !is_share(share) => {
                problem("relativeQuality", format!("`relativeQuality` must be above 0 and at most 1, not {share}."));
            }
            Goal::TargetRatio(share) if !is_share(share) => {
                problem("targetRatio", format!("`targetRatio` must be above 0 and at most 1, not {share}."));
            }
            Goal::MaxBytes(0) => problem("maxBytes", "`maxBytes` must be at least 1.".to_owned()),
            Goal::MinScore(score) if !(0.0..=100.0).contains(&score) => {
                problem("minScore", format!("`minScore` must be between 0 and 100, not {score}."));
            }
            _ => {}
        }
        if let Some(format) = self.format
            && !format.is_writable()
        {
            let message = match format {
                Format::Avif => "This build cannot write AVIF. Choose JPEG, PNG or WEBP.".to_owned(),
                other => format!("{other} cannot be written. Choose JPEG, PNG, WEBP or AVIF."),
            };
            problem("format", message);
        }
        if self.auto_format && self.format.is_some() {
            problem("format", "`format` cannot be both AUTO and a format.".to_owned());
        }
        if self.allow_avif && !self.auto_format {
            problem("allowAvif", "`allowAvif` only applies to format AUTO. Leave it out, or choose AVIF.".to_owned());
        }
        if self.allow_avif && !Format::Avif.is_writable() {
            problem("allowAvif", "This build cannot write AVIF. Leave `allowAvif` out.".to_owned());
        }
        if self.format == Some(Format::Avif) && self.goal == Goal::Lossless {
            problem("format", "AVIF output cannot be lossless. Choose PNG or WEBP, or a quality.".to_owned());
        }
        for (name, side) in [("maxWidth", self.max_width), ("maxHeight", self.max_height)] {
            if side == Some(0) {
                problem(name, format!("`{name}` must be at least 1."));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// A setting with a value that it cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidSetting {
    /// The setting's name, as its JSON has it. A goal goes by its own: `maxBytes`.
    pub name: &'static str,
    /// What is wrong and what would be right, in full sentences.
    pub message: String,
}

impl InvalidSetting {
    /// Says that the setting `name` is wrong, and how.
    pub fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }
}

/// Above 0 and at most 1; not NaN.
fn is_share(value: f64) -> bool {
    value > 0.0 && value <= 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_value_is_reported() {
        let settings = Settings {
            goal: Goal::Quality(0),
            format: Some(Format::Tiff),
            max_width: Some(0),
            max_height: Some(0),
            ..Settings::default()
        };
        assert_eq!(settings.check().unwrap_err().len(), 4);
        assert_eq!(Settings::default().check(), Ok(()));
        for goal in [
            Goal::RelativeQuality(f64::NAN),
            Goal::TargetRatio(1.5),
            Goal::MaxBytes(0),
            Goal::MinScore(-1.0),
            Goal::Quality(101),
        ] {
            let settings = Settings { goal, ..Settings::default() };
            assert!(settings.check().is_err(), "{goal:?}");
        }
        let avif = |goal| Settings { goal, format: Some(Format::Avif), ..Settings::default() }.check();
        assert_eq!(avif(Goal::MinScore(70.0)).is_ok(), cfg!(feature = "avif"));
        assert!(avif(Goal::Lossless).unwrap_err()[0].message.contains("PNG or WEBP"));
    }

    #[test]
    fn a_format_is_chosen_or_named() {
        let both = Settings { auto_format: true, format: Some(Format::Webp), ..Settings::default() };
        assert_eq!(both.check().unwrap_err()[0].name, "format");
        let alone = Settings { allow_avif: true, ..Settings::default() };
        assert_eq!(alone.check().unwrap_err()[0].name, "allowAvif");
        let auto = Settings { auto_format: true, allow_avif: true, ..Settings::default() };
        assert_eq!(auto.check().is_ok(), cfg!(feature = "avif"));
    }

    #[test]
    fn settings_survive_json() {
        for goal in [
            Goal::Quality(50),
            Goal::RelativeQuality(0.5),
            Goal::TargetRatio(0.25),
            Goal::MaxBytes(200_000),
            Goal::MinScore(70.0),
            Goal::Lossless,
        ] {
            let settings = Settings { goal, format: Some(Format::Webp), ..Settings::default() };
            let json = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        }
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }
}
