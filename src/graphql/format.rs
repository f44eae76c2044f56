//! Formats of image files, as the contract names them.

use async_graphql::Enum;
use halftone_compress::Format;

/// Formats of image files.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// Only a setting, never the format of a file. For each image: the source's own format, WebP or (if nothing is
    /// transparent) JPEG, whichever gives the smallest file at the same score.
    Auto,
    /// JPEG.
    Jpeg,
    /// PNG, also animated (APNG).
    Png,
    /// WebP.
    Webp,
    /// AVIF; no animations.
    Avif,
    /// GIF, also animated; written only from a GIF.
    Gif,
    /// TIFF; read, not written.
    Tiff,
    /// BMP; read, not written.
    Bmp,
    /// ICO; read, not written.
    Ico,
}

impl ImageFormat {
    /// The format a row names; `None` where it names none.
    pub fn stored(name: &str) -> Option<Self> {
        Format::from_name(name).map(Into::into)
    }

    /// The format that is asked for; `None` where it is to be chosen.
    pub fn asked(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Jpeg => Some(Format::Jpeg),
            Self::Png => Some(Format::Png),
            Self::Webp => Some(Format::Webp),
            Self::Avif => Some(Format::Avif),
            Self::Gif => Some(Format::Gif),
            Self::Tiff => Some(Format::Tiff),
            Self::Bmp => Some(Format::Bmp),
            Self::Ico => Some(Format::Ico),
        }
    }
}

impl From<Format> for ImageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Jpeg => Self::Jpeg,
            Format::Png => Self::Png,
            Format::Webp => Self::Webp,
            Format::Avif => Self::Avif,
            Format::Gif => Self::Gif,
            Format::Tiff => Self::Tiff,
            Format::Bmp => Self::Bmp,
            Format::Ico => Self::Ico,
        }
    }
}
