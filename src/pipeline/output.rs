//! What is recorded of an image's output, and where it is stored.

use std::borrow::Cow;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::db::ending::Output;
use crate::db::image::{Assignment, ImageOutcome};
use halftone_compress::{self as compress, Compressed, Format};

/// What is recorded of a compressed image, but for where it is stored, and its bytes.
pub(super) fn describe(source: &Bytes, source_sha256: String, compressed: Compressed<'_>) -> (Output, Bytes) {
    let bytes = match compressed.bytes {
        Cow::Borrowed(_) => source.clone(),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let (from, to) = (compressed.source, compressed.output);
    let output = Output {
        outcome: match compressed.outcome {
            compress::Outcome::Compressed => ImageOutcome::Compressed,
            compress::Outcome::KeptOriginal => ImageOutcome::KeptOriginal,
        },
        warnings: compressed.warnings,
        source_format: from.format.name().to_owned(),
        source_bytes: source.len() as i64,
        source_width: from.width as i32,
        source_height: from.height as i32,
        source_sha256,
        output_format: to.format.name().to_owned(),
        output_bytes: bytes.len() as i64,
        output_width: to.width as i32,
        output_height: to.height as i32,
        output_sha256: hex::encode(Sha256::digest(&bytes)),
        output_key: String::new(),
        output_number: 1,
        receipt: serde_json::json!(compressed.receipt),
        validators: None,
        download_avoided: false,
        content_key: None,
        url_key: None,
    };
    (output, bytes)
}

/// Where the outputs of all attempts of a run at an image are: what earlier runs stored stays. Each attempt has a directory
/// of its own in it, named after its lease, so that a worker that was given up and wakes late replaces nothing.
pub(super) fn directory(assignment: &Assignment) -> String {
    format!("{}/{}/run{}", assignment.request_id, assignment.image_id, assignment.run)
}

/// The key of the output that the attempt under this lease stores under this name.
pub(super) fn key(assignment: &Assignment, lease: i64, name: &str) -> String {
    format!("{}/{lease}/{name}", directory(assignment))
}

/// Whether a part of [`directory`] is that of an attempt before the one under this lease. Leases only grow, and an attempt has
/// lost its job when a later one holds it: nothing that is recorded in this run is removed, however late this is asked.
pub(super) fn is_before(lease: i64) -> impl Fn(&str) -> bool + Send + 'static {
    move |part| part.parse::<i64>().is_ok_and(|earlier| earlier < lease)
}

/// The output's name after the last part of the URL's path.
pub(super) fn name(input_url: &str, format: Format) -> String {
    let path = url::Url::parse(input_url).map(|url| url.path().to_owned()).unwrap_or_default();
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    compress::output_name(&percent_encoding::percent_decode_str(last).decode_utf8_lossy(), format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_named_after_its_source() {
        for (url, format, expected) in [
            ("https://www.example.com/image1.jpg", Format::Jpeg, "compressed_image1.jpg"),
            ("https://www.example.com/a/b/Photo.JPEG?w=100", Format::Jpeg, "compressed_Photo.jpeg"),
            ("https://www.example.com/image.php", Format::Png, "compressed_image.png"),
            ("https://www.example.com/", Format::Webp, "compressed_image.webp"),
            ("https://www.example.com/tasse%20bl%C3%A5.png", Format::Png, "compressed_tasse-blå.png"),
            ("https://www.example.com/..%2f..%2fetc", Format::Png, "compressed_..-..-etc.png"),
            ("https://www.example.com/.hidden", Format::Png, "compressed_.hidden.png"),
        ] {
            assert_eq!(name(url, format), expected, "{url}");
        }
    }
}
