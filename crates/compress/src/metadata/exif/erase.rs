//! Takes the location out of EXIF.

use std::ops::Range;

use super::{ENTRY_BYTES, GPS_DIRECTORY, MAX_DIRECTORIES, Order, directory, find};

/// GPS pointers of one directory that are taken out one by one. One is all there should be.
const MAX_POINTERS: usize = 4;

/// Overwrites the location in place: the values and entries of every GPS directory become zero and the pointers to them vanish.
/// Lengths and all other offsets stay. Returns whether there was one.
pub(crate) fn remove_location(tiff: &mut [u8]) -> bool {
    let Some(order) = Order::of(tiff) else {
        return false;
    };
    let mut found = false;
    let mut next = order.offset(tiff, 4);
    for _ in 0..MAX_DIRECTORIES {
        let Some((entries, link)) = next.filter(|at| *at != 0).and_then(|at| directory(tiff, order, at)) else {
            break;
        };
        next = order.offset(tiff, link);
        let mut pointers = 0;
        while let Some(at) = current_gps(tiff, order, &entries) {
            found = true;
            pointers += 1;
            if pointers > MAX_POINTERS {
                // Their tags become 0, which means nothing.
                erase_pointers(tiff, order, &entries);
                break;
            }
            if let Some(gps) = order.offset(tiff, at + 8) {
                erase_directory(tiff, order, gps);
            }
            // The following entries and the link move up over the pointer.
            let after = (link + 4).min(tiff.len());
            tiff.copy_within(at + ENTRY_BYTES..after, at);
            tiff[after - ENTRY_BYTES..after].fill(0);
            let start = entries.start - 2;
            let count = order.u16(tiff, start).unwrap_or(1);
            order.put_u16(tiff, start, count.saturating_sub(1));
        }
    }
    found
}

/// The GPS pointer among the entries the directory counts now (its count shrinks as pointers are removed).
fn current_gps(tiff: &[u8], order: Order, entries: &Range<usize>) -> Option<usize> {
    let count = usize::from(order.u16(tiff, entries.start - 2)?);
    let end = (entries.start + count * ENTRY_BYTES).min(entries.end);
    find(tiff, order, entries.start..end, GPS_DIRECTORY)
}

fn erase_pointers(tiff: &mut [u8], order: Order, entries: &Range<usize>) {
    for at in entries.clone().step_by(ENTRY_BYTES) {
        if order.u16(tiff, at) == Some(GPS_DIRECTORY) {
            tiff[at..at + ENTRY_BYTES].fill(0);
        }
    }
}

fn erase_directory(tiff: &mut [u8], order: Order, at: usize) {
    let Some((entries, _)) = directory(tiff, order, at) else {
        return;
    };
    // Values that overlap could be erased over and over.
    let mut left = tiff.len();
    for entry in entries.clone().step_by(ENTRY_BYTES) {
        let size = match order.u16(tiff, entry + 2) {
            Some(1 | 2 | 6 | 7) => 1,
            Some(3 | 8) => 2,
            Some(4 | 9 | 11) => 4,
            Some(5 | 10 | 12) => 8,
            _ => continue,
        };
        let length = order.offset(tiff, entry + 4).and_then(|count| count.checked_mul(size));
        let start = order.offset(tiff, entry + 8);
        if let (Some(length @ 5..), Some(start)) = (length, start)
            && let Some(end) = start.checked_add(length)
            // A value may not lie over the header or over the directory that is being read.
            && start >= 8
            && (end <= at || start >= entries.end)
            && let Some(value) = tiff.get_mut(start..end)
            && let Some(rest) = left.checked_sub(length)
        {
            left = rest;
            value.fill(0);
        }
    }
    tiff[at..entries.end].fill(0);
}
