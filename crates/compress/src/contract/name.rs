//! What an output file is called: after its source, and safe in any file system.

use crate::contract::Format;

/// Longest name of an output file, in bytes, without its extension.
const MAX_STEM_BYTES: usize = 100;

/// `compressed_`, the source's own name as far as a file system takes it, and the extension of its format.
///
/// `source` is a file name without a folder. Letters, digits, `-`, `_` and `.` stay; anything else becomes `-`.
pub fn output_name(source: &str, format: Format) -> String {
    let (stem, extension) = match source.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.chars().all(char::is_alphanumeric) => {
            (stem, extension)
        }
        _ => (source, ""),
    };
    let mut name = String::from("compressed_");
    for character in stem.chars() {
        if name.len() + character.len_utf8() > MAX_STEM_BYTES {
            break;
        }
        name.push(if character.is_alphanumeric() || matches!(character, '-' | '_' | '.') { character } else { '-' });
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
        ] {
            assert_eq!(output_name(source, format), name, "{source}");
        }
        assert!(output_name(&format!("{}.jpg", "é".repeat(300)), Format::Jpeg).len() <= MAX_STEM_BYTES + 5);
    }
}
