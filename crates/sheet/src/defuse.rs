//! Cells that a spreadsheet would run as a formula, made harmless; and back.
//!
//! A cell whose first character after spaces is one of `= + - @` TAB CR gets a leading `'`, and loses one when read. So
//! that the two are exact opposites for every text, a cell that already begins with apostrophes before such a
//! character gets one more. (The characters: OWASP, "CSV Injection".)

use std::borrow::Cow;

/// What to write for a cell.
pub(super) fn defuse(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// What a written cell stands for.
pub(super) fn undo(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest,
        _ => cell,
    }
}

fn is_formula(cell: &str) -> bool {
    let is_trigger = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '＝' | '＋' | '－' | '＠');
    let first = cell.chars().find(|c| is_trigger(*c) || !(c.is_whitespace() || matches!(c, '\'' | '\u{FEFF}')));
    first.is_some_and(is_trigger)
}
