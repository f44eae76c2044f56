//! The image formats that have a name here.
//!
//! Naming one is not a promise to read or write it: [`Format::is_readable`] and [`Format::is_writable`] say that.

use serde::{Deserialize, Serialize};

/// A file format, told from the bytes. Its serialised name is the word in the API: `JPEG`, `PNG`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Format {
    Jpeg,
    Png,
    Webp,
    Avif,
    Gif,
    Tiff,
    Bmp,
    Ico,
}

impl Format {
    /// The name in the API and in messages: `JPEG`, `WEBP`, …
    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Webp => "WEBP",
            Format::Avif => "AVIF",
            Format::Gif => "GIF",
            Format::Tiff => "TIFF",
            Format::Bmp => "BMP",
            Format::Ico => "ICO",
        }
    }

    /// The format with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Format> {
        use Format::{Avif, Bmp, Gif, Ico, Jpeg, Png, Tiff, Webp};
        [Jpeg, Png, Webp, Avif, Gif, Tiff, Bmp, Ico].into_iter().find(|format| format.name() == name)
    }

    /// The value of the HTTP `Content-Type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
            Format::Webp => "image/webp",
            Format::Avif => "image/avif",
            Format::Gif => "image/gif",
            Format::Tiff => "image/tiff",
            Format::Bmp => "image/bmp",
            Format::Ico => "image/x-icon",
        }
    }

    /// The usual file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Jpeg => "jpg",
            Format::Png => "png",
            Format::Webp => "webp",
            Format::Avif => "avif",
            Format::Gif => "gif",
            Format::Tiff => "tiff",
            Format::Bmp => "bmp",
            Format::Ico => "ico",
        }
    }

    /// Whether a source of this format is accepted. AVIF is read where the feature `avif` is on.
    pub fn is_readable(self) -> bool {
        self != Format::Avif || cfg!(feature = "avif")
    }

    /// Whether a caller may ask for output in this format. AVIF is written where the feature `avif` is on.
    pub fn is_writable(self) -> bool {
        match self {
            Format::Jpeg | Format::Png | Format::Webp => true,
            Format::Avif => cfg!(feature = "avif"),
            Format::Gif | Format::Tiff | Format::Bmp | Format::Ico => false,
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_stored_under_its_api_name() {
        for format in
            [Format::Jpeg, Format::Png, Format::Webp, Format::Avif, Format::Gif, Format::Tiff, Format::Bmp, Format::Ico]
        {
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{format}\""));
            assert_eq!(serde_json::from_str::<Format>(&json).unwrap(), format);
            assert!(format.content_type().starts_with("image/"));
        }
    }
}
