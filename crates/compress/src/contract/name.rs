//! The name of an output file: after its source, and safe in any file system.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::contract::Format;

/// Longest name of an output file, in bytes, without its extension.
const MAX_STEM_BYTES: usize = 100;

/// `compressed_`, the source's own name as far as file systems allow, and the extension of its format.
///
/// `source` is a file name without a folder. Letters with their marks, digits, `-`, `_` and `.` stay;
/// anything else becomes `-`. Letters are composed with their marks: macOS takes them apart.
pub fn output_name(source: &str, format: Format) -> String {
    let (stem, extension) = match source.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.chars().all(char::is_alphanumeric) => {
            (stem, extension)
        }
        _ => (source, ""),
    };
    let mut name = String::from("compressed_");
    for character in stem.nfc() {
        if name.len() + character.len_utf8() > MAX_STEM_BYTES {
            break;
        }
        let stays = character.is_alphanumeric() || is_combining_mark(character) || matches!(character, '-' | '_' | '.');
        name.push(if stays { character } else { '-' });
    }
    if stem.is_empty() {
        name.push_str("image");
    }
    let extension = extension.to_ascii_lowercase();
    let keeps_its_own = format.extension() == extension || (format.extension() == "jpg" && extension == "jpeg");
    name.push('.');
    name.push_str(if keeps_its_own { &extension } else { format.extension() });
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_far_as_it_is_one() {
        for (source, format, name) in [
            ("a.jpg", Format::Jpeg, "compressed_a.jpg"),
            ("a.b.JPEG", Format::Jpeg, "compressed_a.b.jpeg"),
            ("a.jpg", Format::Webp, "compressed_a.webp"),
            ("two words/", Format::Png, "compressed_two-words-.png"),
            ("", Format::Png, "compressed_image.png"),
            ("Mu\u{308}tze.jpg", Format::Jpeg, "compressed_M\u{fc}tze.jpg"),
            // No composed form exists.
            ("q\u{308}\u{2603}.jpg", Format::Jpeg, "compressed_q\u{308}-.jpg"),
        ] {
            assert_eq!(output_name(source, format), name, "{source}");
        }
        assert!(output_name(&format!("{}.jpg", "é".repeat(300)), Format::Jpeg).len() <= MAX_STEM_BYTES + 5);
    }
}
