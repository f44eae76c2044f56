//! Why an image cannot be compressed.
//!
//! Every message is a sentence for the people who maintain the catalogue: what the URL returned, and what to do about it.

use std::time::Duration;

use thiserror::Error;

/// Why an image has no output, as one word of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// [`Error::HtmlPage`]
    HtmlPage,
    /// [`Error::NotAnImage`]
    NotAnImage,
    /// [`Error::UnsupportedFormat`]
    UnsupportedFormat,
    /// [`Error::TooManyPixels`] and [`Error::TooMuchMemory`]
    TooManyPixels,
    /// [`Error::TooSlow`]
    TooSlow,
    /// [`Error::Corrupt`]
    CorruptImage,
    /// [`Error::Failed`]
    CompressionFailure,
}

/// An image that has no output. Trying the same bytes again gives the same error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The bytes are a web page.
    #[error(
        "The URL returns a web page instead of an image, often a share link or a login page. Use the URL of the image file itself."
    )]
    HtmlPage,
    /// Empty, text, an archive, a film, or anything else that is no image.
    #[error("The URL does not return an image. Check that it points to an image file.")]
    NotAnImage,
    /// An image or document of a kind that is not accepted, or a variant of an accepted one.
    #[error("{format} files{} are not supported. Provide the image as a standard JPEG, PNG, WebP or GIF.", detail(.reason))]
    UnsupportedFormat {
        /// What it is: `SVG`, `HEIC`, `AVIF`, `JPEG`, …
        format: String,
        /// What about it is unsupported, when the format as such is not the reason; follows "files with".
        reason: Option<String>,
    },
    /// The header announces more pixels than the limits allow; nothing was decoded.
    #[error("{}", too_many_pixels(*.width, *.height, *.frames, *.max_pixels, *.max_side))]
    TooManyPixels {
        width: u32,
        height: u32,
        /// Frames of an animation; 1 for a still image.
        frames: u32,
        max_pixels: u64,
        max_side: u32,
    },
    /// The image would need more working memory than the limits allow; nothing was decoded.
    #[error(
        "Compressing the image needs {} MiB of memory; this server has {} MiB. Provide a smaller version.",
        .needed.div_ceil(1 << 20), .max_memory >> 20
    )]
    TooMuchMemory {
        /// In bytes.
        needed: u64,
        /// In bytes.
        max_memory: u64,
    },
    /// Compressing took longer than the limits allow.
    #[error(
        "Compressing the image took longer than {} seconds. Provide a smaller version, or choose a quality instead of a target.",
        .limit.as_secs()
    )]
    TooSlow {
        /// The time that was allowed.
        limit: Duration,
    },
    /// Damaged or cut short.
    #[error("The image file is damaged or incomplete ({0}). Upload it again or replace it.")]
    Corrupt(String),
    /// The image appears to be intact, but it could not be compressed.
    #[error("The image could not be compressed ({0}).")]
    Failed(String),
}

impl Error {
    /// The code of this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::HtmlPage => ErrorCode::HtmlPage,
            Error::NotAnImage => ErrorCode::NotAnImage,
            Error::UnsupportedFormat { .. } => ErrorCode::UnsupportedFormat,
            Error::TooManyPixels { .. } | Error::TooMuchMemory { .. } => ErrorCode::TooManyPixels,
            Error::TooSlow { .. } => ErrorCode::TooSlow,
            Error::Corrupt(_) => ErrorCode::CorruptImage,
            Error::Failed(_) => ErrorCode::CompressionFailure,
        }
    }

    pub(crate) fn unsupported(format: impl ToString) -> Error {
        Error::UnsupportedFormat { format: format.to_string(), reason: None }
    }

    pub(crate) fn unsupported_because(format: impl ToString, reason: impl ToString) -> Error {
        Error::UnsupportedFormat { format: format.to_string(), reason: Some(reason.to_string()) }
    }

    pub(crate) fn corrupt(cause: impl ToString) -> Error {
        Error::Corrupt(cause.to_string())
    }

    pub(crate) fn failed(cause: impl ToString) -> Error {
        Error::Failed(cause.to_string())
    }
}

fn detail(reason: &Option<String>) -> String {
    match reason {
        Some(reason) => format!(" with {reason}"),
        None => String::new(),
    }
}

fn too_many_pixels(width: u32, height: u32, frames: u32, max_pixels: u64, max_side: u32) -> String {
    let frames = match frames {
        0 | 1 => String::new(),
        n => format!(" in {n} frames"),
    };
    format!(
        "The image has {width} × {height} pixels{frames}; at most {:.1} megapixels in total and {max_side} pixels per side are accepted. Provide a smaller version.",
        max_pixels as f64 / 1e6
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        assert_eq!(
            Error::unsupported("SVG").to_string(),
            "SVG files are not supported. Provide the image as a standard JPEG, PNG, WebP or GIF."
        );
        assert_eq!(
            Error::unsupported_because("JPEG", "arithmetic coding").to_string(),
            "JPEG files with arithmetic coding are not supported. Provide the image as a standard JPEG, PNG, WebP or GIF."
        );
        let error =
            Error::TooManyPixels { width: 10_000, height: 10_000, frames: 1, max_pixels: 50_000_000, max_side: 16_384 };
        assert_eq!(
            error.to_string(),
            "The image has 10000 × 10000 pixels; at most 50.0 megapixels in total and 16384 pixels per side are accepted. Provide a smaller version."
        );
    }
}
