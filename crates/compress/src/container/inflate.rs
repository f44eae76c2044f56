//! Unpacks zlib data within a bound.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// Zlib data unpacked, unless it is damaged or grows beyond `most` bytes.
pub(crate) fn inflate(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let result = ZlibDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut unpacked);
    #[cfg(test)]
    tests::UNPACKED.with(|total| total.set(total.get() + unpacked.len()));
    result.ok()?;
    (unpacked.len() <= most).then_some(unpacked)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Bytes unpacked in this thread.
        pub(crate) static UNPACKED: Cell<usize> = const { Cell::new(0) };
    }
}
