//! `Content-Encoding` that was not asked for: some hosts store or send their images compressed, and some say so of images
//! that are not. A label that the bytes contradict is ignored; what is decoded keeps to the limit of a body.

use std::io::{self, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use ruzstd::decoding::StreamingDecoder;

use super::body;

/// Codings in a row that are undone; more are a bomb rather than an image.
const MAX_CODINGS: usize = 3;

/// The largest window of Zstandard that is decoded (RFC 9659 allows no larger one in HTTP).
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;

/// What a decoder may hold beside its input and output, in bytes: the largest window of Brotli.
pub(super) const DECODER_BYTES: u64 = 16 * 1024 * 1024;

/// A content coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body cannot be decoded.
#[derive(Debug)]
pub(super) enum Failure {
    /// It would be larger than the limit.
    TooLarge,
    Broken(Coding, io::Error),
}

impl Coding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    /// `None`: unknown, or no coding at all, such as `identity`, `utf-8` or `aws-chunked`.
    fn from_label(label: &str) -> Option<Coding> {
        match label.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Deflate),
            "br" => Some(Coding::Brotli),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    /// Whether `bytes` begin as this coding does. Brotli has no mark of its own, and neither has a bare deflate stream:
    /// they may be anything that is not an image.
    fn may_be(self, bytes: &[u8]) -> bool {
        match self {
            Coding::Gzip => bytes.starts_with(&[0x1f, 0x8b]),
            Coding::Zstd => bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
            Coding::Deflate | Coding::Brotli => !bytes.is_empty() && !is_image(bytes),
        }
    }

    fn decode(self, bytes: &[u8], max_bytes: u64) -> Result<Vec<u8>, Failure> {
        let broken = |error| Failure::Broken(self, error);
        match self {
            Coding::Gzip => read(self, GzDecoder::new(bytes), max_bytes),
            // Meant is zlib (RFC 9110 §8.4.1.2); some servers send the stream without its frame.
            Coding::Deflate if has_zlib_header(bytes) => read(self, ZlibDecoder::new(bytes), max_bytes),
            Coding::Deflate => read(self, DeflateDecoder::new(bytes), max_bytes),
            Coding::Brotli => {
                let mut decoder = Decompressor::new(bytes, 16 * 1024);
                // Large windows are no part of the coding `br`, and cost up to a gigabyte.
                decoder.set_parameter(BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
                read(self, decoder, max_bytes)
            }
            Coding::Zstd => {
                let decoder = StreamingDecoder::new_with_max_window_size(bytes, ZSTD_WINDOW);
                read(self, decoder.map_err(|error| broken(io::Error::other(error.to_string())))?, max_bytes)
            }
        }
    }
}

/// The codings the headers name, in the order in which they are to be undone; labels that are none are left out.
pub(super) fn codings(headers: &HeaderMap) -> Vec<Coding> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let labels = String::from_utf8_lossy(value.as_bytes());
        codings.extend(labels.split(',').filter_map(|label| Coding::from_label(label.trim())));
    }
    codings.reverse();
    codings.truncate(MAX_CODINGS);
    codings
}

/// Undoes `codings` one after the other; none of the results is larger than `max_bytes`.
pub(super) fn decode(mut bytes: Vec<u8>, codings: &[Coding], max_bytes: u64) -> Result<Vec<u8>, Failure> {
    for coding in codings {
        if coding.may_be(&bytes) {
            bytes = coding.decode(&bytes, max_bytes)?;
        }
    }
    Ok(bytes)
}

fn read(coding: Coding, decoder: impl Read, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut decoded = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let mut decoder = decoder.take(max_bytes.saturating_add(1));
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                body::append(&mut decoded, &chunk[..read], max_bytes).map_err(|body::TooLarge| Failure::TooLarge)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Broken(coding, error)),
        }
    }
    decoded.shrink_to_fit();
    Ok(decoded)
}

/// RFC 1950 §2.2: method 8, a window of at most 32 KiB, and a checksum over the two bytes.
fn has_zlib_header(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..]
        if method & 0x0f == 8 && method >> 4 <= 7 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

/// Whether `bytes` begin as a common image does.
fn is_image(bytes: &[u8]) -> bool {
    let starts = [&b"\xff\xd8\xff"[..], b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM"];
    starts.iter().any(|start| bytes.starts_with(start)) || bytes.get(4..8) == Some(b"ftyp")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use reqwest::header::HeaderValue;

    use super::*;

    const MAX: u64 = 1 << 20;

    fn named(labels: &[&'static str]) -> Vec<Coding> {
        let mut headers = HeaderMap::new();
        for label in labels {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(label));
        }
        codings(&headers)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("into memory");
        encoder.finish().expect("into memory")
    }

    #[test]
    fn labels_are_read_in_any_case_and_unknown_ones_are_left_out() {
        assert_eq!(named(&["GZip"]), [Coding::Gzip]);
        assert_eq!(named(&["deflate, gzip", "br"]), [Coding::Brotli, Coding::Gzip, Coding::Deflate]);
        assert_eq!(named(&["", "identity", "UTF-8", "none", "binary", "aws-chunked", "compress"]), []);
        assert_eq!(named(&["gzip, gzip, gzip, gzip, gzip"]).len(), MAX_CODINGS);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let photo = [b"\xff\xd8\xff\xe0".as_slice(), &[7; 5000]].concat();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&photo).expect("into memory");
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(&photo).expect("into memory");
        for (coding, encoded) in [
            (Coding::Gzip, gzip(&photo)),
            (Coding::Deflate, zlib.finish().expect("into memory")),
            (Coding::Deflate, deflate.finish().expect("into memory")),
        ] {
            let decoded = decode(encoded, &[coding], MAX).expect("it is what it is called");
            assert!(decoded == photo, "{coding:?}");
        }
        // "hello" as the command-line tools of both codings write it.
        let brotli = b"\x0b\x02\x80hello\x03".to_vec();
        assert_eq!(decode(brotli, &[Coding::Brotli], MAX).expect("Brotli"), b"hello");
        let zstd = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello".to_vec();
        assert_eq!(decode(zstd, &[Coding::Zstd], MAX).expect("Zstandard"), b"hello");
        assert!(decode(gzip(&gzip(&photo)), &[Coding::Gzip, Coding::Gzip], MAX).expect("twice") == photo);
    }

    #[test]
    fn an_image_under_a_label_that_is_not_true_stays_as_it_is() {
        for start in [b"\xff\xd8\xff\xe0".as_slice(), b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP"] {
            let image = [start, &[9; 100]].concat();
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
                assert_eq!(decode(image.clone(), &[coding], MAX).expect("an image"), image, "{coding:?}");
            }
        }
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit_and_broken_data_is_named() {
        let bomb = gzip(&vec![0; 4 << 20]);
        assert!(bomb.len() < 64 * 1024);
        assert!(matches!(decode(bomb.clone(), &[Coding::Gzip], MAX), Err(Failure::TooLarge)));
        assert_eq!(decode(bomb.clone(), &[Coding::Gzip], 4 << 20).expect("exactly the limit").len(), 4 << 20);
        let cut = bomb[..bomb.len() / 2].to_vec();
        assert!(matches!(decode(cut, &[Coding::Gzip], 8 << 20), Err(Failure::Broken(Coding::Gzip, _))));
        // A Zstandard frame that announces a window of 1 GiB.
        let window = b"\x28\xb5\x2f\xfd\x00\xa0\x29\x00\x00hello".to_vec();
        assert!(matches!(decode(window, &[Coding::Zstd], MAX), Err(Failure::Broken(Coding::Zstd, _))));
    }
}
