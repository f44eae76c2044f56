//! The quotes of a cell, which csv-core does not tell of: whether one was forgotten.
//!
//! A quote that someone forgot to close ends at the next that opens, rows later, and text follows it. csv-core takes
//! the rows between for text of one cell.

/// Follows the quotes of a cell.
#[derive(Default)]
pub(super) struct Quoting {
    place: QuotePlace,
    has_lines: bool,
    has_text_behind: bool,
}

#[derive(Default, Clone, Copy)]
enum QuotePlace {
    #[default]
    Before,
    Inside,
    /// Behind a quote that closes the cell unless another one follows.
    AtQuote,
    Behind,
}

impl Quoting {
    /// Takes the next piece of the cell, up to and including what ends it.
    pub fn follow(&mut self, text: &[u8], delimiter: u8) {
        for &byte in text {
            self.place = match (self.place, byte) {
                (QuotePlace::Before, _) | (QuotePlace::AtQuote, b'"') => QuotePlace::Inside,
                (QuotePlace::Inside, b'"') => QuotePlace::AtQuote,
                (QuotePlace::Inside, _) => {
                    self.has_lines |= matches!(byte, b'\r' | b'\n');
                    QuotePlace::Inside
                }
                (QuotePlace::AtQuote | QuotePlace::Behind, _) => {
                    self.has_text_behind |= byte != delimiter && !byte.is_ascii_whitespace();
                    QuotePlace::Behind
                }
            };
        }
    }

    /// It went on for lines, and closed in the middle of a text.
    pub fn has_lost_its_end(&self) -> bool {
        self.has_lines && self.has_text_behind
    }
}
