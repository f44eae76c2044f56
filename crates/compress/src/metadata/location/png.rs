//! The location in a PNG: EXIF, XMP, and text chunks.

use std::borrow::Cow;

use super::erase::{JPEG_EXIF, PNG_XMP, blank_xmp, clean_exif, has_fields, mentions_gps, without_name};
use crate::container::{png, raw_profile};
use crate::metadata::exif;

/// EXIF and XMP as ImageMagick stores them in text chunks.
const RAW_PROFILES: [&[u8]; 3] = [b"Raw profile type exif\0", b"Raw profile type APP1\0", b"Raw profile type xmp\0"];

pub(super) fn remove(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Ok(list) = png::chunks(bytes) else {
        return Cow::Borrowed(bytes);
    };
    let mut out = Cow::Borrowed(bytes);
    let mut dropped = Vec::new();
    let mut extra = Vec::new();
    let has_exif = png::data(bytes, &list, b"eXIf").is_some();
    let mut tried = 0;
    // What cannot be read may hold a location, and neither are all of very many profiles unpacked.
    let mut may_locate = |chunk: &png::Chunk, data: &[u8]| {
        tried += 1;
        tried > raw_profile::MAX_TRIED || !is_free_of_location(raw_profile::bytes(&chunk.name, data))
    };
    for chunk in &list {
        let data = &bytes[chunk.data.clone()];
        match &chunk.name {
            b"eXIf" => clean_exif(&mut out, without_name(bytes, chunk.data.clone())),
            b"iTXt" if data.starts_with(PNG_XMP) => {
                if data.get(PNG_XMP.len()) == Some(&0) {
                    // Two flag bytes, then language and translated keyword, each with its NUL.
                    let text = nth_nul(data, PNG_XMP.len() + 2, 2).unwrap_or(data.len());
                    blank_xmp(&mut out, chunk.data.start + text..chunk.data.end);
                } else {
                    dropped.push(chunk.whole.start);
                }
            }
            b"zTXt" | b"tEXt" | b"iTXt"
                if RAW_PROFILES.iter().any(|name| data.starts_with(name)) && may_locate(chunk, data) =>
            {
                dropped.push(chunk.whole.start);
                // The orientation in it is not a location.
                if !has_exif
                    && extra.is_empty()
                    && dropped.len() <= raw_profile::MAX_TRIED
                    && let Some(tiff) = raw_profile::exif(&chunk.name, data)
                    && let Some(minimal) = exif::minimal(None, exif::orientation(&tiff), false)
                {
                    extra = vec![(*b"eXIf", minimal)];
                }
            }
            b"zTXt" if data.starts_with(PNG_XMP) => dropped.push(chunk.whole.start),
            b"zTXt" | b"tEXt" | b"iTXt" if locates(data) => dropped.push(chunk.whole.start),
            _ => {}
        }
    }
    if let Cow::Owned(changed) = &mut out {
        for chunk in &list {
            let mut crc = crc32fast::Hasher::new();
            crc.update(&changed[chunk.whole.start + 4..chunk.data.end]);
            let is_changed = changed[chunk.data.clone()] != bytes[chunk.data.clone()];
            if is_changed {
                changed[chunk.data.end..chunk.whole.end].copy_from_slice(&crc.finalize().to_be_bytes());
            }
        }
    }
    if dropped.is_empty() {
        return out;
    }
    // In the order of the file.
    let is_dropped = |chunk: &png::Chunk| dropped.binary_search(&chunk.whole.start).is_ok();
    Cow::Owned(png::rewrite(&out, &list, is_dropped, &extra))
}

/// The position after the `count`-th NUL from `start`.
fn nth_nul(data: &[u8], start: usize, count: usize) -> Option<usize> {
    let mut at = start;
    for _ in 0..count {
        at += memchr::memchr(0, data.get(at..)?)? + 1;
    }
    Some(at)
}

/// What cannot be read may hold one.
fn is_free_of_location(profile: Option<Vec<u8>>) -> bool {
    profile.is_some_and(|profile| match profile.strip_prefix(JPEG_EXIF) {
        Some(tiff) => !exif::remove_location(&mut tiff.to_vec()),
        None => !mentions_gps(&profile) && !exif::remove_location(&mut profile.clone()),
    })
}

/// Whether a text chunk is a field of the location, by its keyword, or holds such fields: one that merely talks of GPS is not.
fn locates(data: &[u8]) -> bool {
    let keyword = &data[..memchr::memchr(0, data).unwrap_or(data.len())];
    let is_xmp = data.starts_with(PNG_XMP);
    mentions_gps(keyword) || is_xmp && mentions_gps(data) || has_fields(data)
}
