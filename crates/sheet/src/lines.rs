//! The physical line that reading has come to: CRLF, LF and CR each end one.

pub(super) struct Lines {
    current: u64,
    after_cr: bool,
}

impl Lines {
    pub fn new() -> Self {
        Lines { current: 1, after_cr: false }
    }

    pub fn current(&self) -> u64 {
        self.current
    }

    /// What follows was not counted up to here, or is no line end.
    pub fn skip(&mut self) {
        self.after_cr = false;
    }

    /// Counts one byte that follows what was counted before.
    pub fn count_byte(&mut self, byte: u8) {
        self.current += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_cr));
        self.after_cr = byte == b'\r';
    }

    /// Counts text that follows what was counted before.
    pub fn count(&mut self, text: &[u8]) {
        for at in memchr::memchr2_iter(b'\r', b'\n', text) {
            let closes_crlf = text[at] == b'\n' && if at == 0 { self.after_cr } else { text[at - 1] == b'\r' };
            self.current += u64::from(!closes_crlf);
        }
        if let Some(last) = text.last() {
            self.after_cr = *last == b'\r';
        }
    }
}
