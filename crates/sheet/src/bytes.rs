//! Searches that look at every byte of a file's URLs, written so that the compiler makes them of vector instructions.

/// How many bytes are looked at at once.
const LANES: usize = 16;

/// Whether any byte is of a kind; the last ones may be looked at twice. Write `is` with `|`, without branches.
pub(super) fn any_byte(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().any(|byte| is(*byte));
    };
    let any = |chunk: &[u8; LANES]| chunk.iter().fold(0, |found, byte| found | u8::from(is(*byte)));
    bytes.as_chunks().0.iter().fold(any(last), |found, chunk| found | any(chunk)) != 0
}

/// Whether two bytes of a kind follow each other anywhere.
pub(super) fn any_two(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let (Some((_, after)), Some((_, before))) = (bytes.split_first(), bytes.split_last()) else {
        return false;
    };
    let (Some(last), Some(last_after)) = (before.last_chunk(), after.last_chunk()) else {
        return before.iter().zip(after).any(|(a, b)| is(*a) && is(*b));
    };
    let any =
        |a: &[u8; LANES], b: &[u8; LANES]| a.iter().zip(b).fold(0, |found, (a, b)| found | u8::from(is(*a) & is(*b)));
    let chunks = before.as_chunks().0.iter().zip(after.as_chunks().0);
    chunks.fold(any(last, last_after), |found, (a, b)| found | any(a, b)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_looked_at() {
        for length in 0..70 {
            let plain = vec![b'a'; length];
            assert!(!any_byte(&plain, |byte| byte == b'x') && !any_two(&plain, |byte| byte == b'x'), "{length}");
            for place in 0..length {
                let mut bytes = plain.clone();
                bytes[place] = b'x';
                assert!(
                    any_byte(&bytes, |byte| byte == b'x') && !any_two(&bytes, |byte| byte == b'x'),
                    "{place} of {length}"
                );
                if let Some(next) = bytes.get_mut(place + 1) {
                    *next = b'x';
                    assert!(any_two(&bytes, |byte| byte == b'x'), "{place} of {length}");
                }
            }
        }
    }
}
