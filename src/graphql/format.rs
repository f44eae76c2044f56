//! Formats of image files, as the contract names them.

use async_graphql::Enum;
use halftone_compress as compress;

/// Formats of image files.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "compress::Format")]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG, also animated (APNG).
    Png,
    /// WebP.
    Webp,
    /// AVIF; written, not read.
    Avif,
    /// GIF, also animated; written only of a GIF.
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
        compress::Format::from_name(name).map(Into::into)
    }
}
