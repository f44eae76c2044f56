//! Decodes one progressive scan into coefficient planes (T.81, annex G): checks that it may come now, and reads DC scans.
//!
//! Scans of AC coefficients are read by `progressive_ac`. Errs as the sequential decoder does.

use crate::jpeg::error::{Error, corrupt};
use crate::jpeg::headers::frame::{Frame, ScanHeader};
use crate::jpeg::headers::tables::Tables;
use crate::jpeg::hold::planes::Plane;
use crate::jpeg::read::bits::{Bits, Feed, Window};
use crate::jpeg::read::flaws::{Flaw, Flaws};
use crate::jpeg::read::lookup::{Kind, Lookup, no_code};
use crate::jpeg::read::progressive_ac::{Walk, first_bits, next_bit, signed};

/// Which bits of each coefficient have arrived, per component: -1 for none, else the lowest bit position (Al).
pub(crate) type Progress = [[i8; 64]; 4];

/// Before the first scan.
pub(crate) const NO_PROGRESS: Progress = [[-1; 64]; 4];

/// The largest bit position (G.1.1.1.2).
const MAX_LOW: u8 = 13;

/// Checks that a scan is one that may come now (G.1.1.1), and notes what it brings. One that brings AC before DC is passed on to
/// `flaws`.
pub(crate) fn advance(header: &ScanHeader, progress: &mut Progress, flaws: &mut Flaws) -> Result<(), Error> {
    let ScanHeader { first, last, high, low, .. } = *header;
    let band_ok = if first == 0 { last == 0 } else { first <= last && last <= 63 && header.components.len() == 1 };
    if !band_ok || low > MAX_LOW || (high != 0 && high != low + 1) {
        return Err(corrupt("a progressive scan has impossible parameters"));
    }
    for c in &header.components {
        let progress = &mut progress[c.component];
        if first > 0 && progress[0] < 0 {
            flaws.note(Flaw::Order)?;
        }
        for position in &mut progress[usize::from(first)..=usize::from(last)] {
            let expected = if high == 0 { -1 } else { high as i8 };
            if *position != expected {
                return Err(corrupt("progressive scans are out of order"));
            }
            *position = low as i8;
        }
    }
    Ok(())
}

/// Decodes one scan whose header [`advance`] has accepted. Of AC coefficients, magnitudes below `least` need not be noted: there is
/// one for each position.
pub(crate) fn decode(
    feed: &mut Feed,
    frame: &Frame,
    header: &ScanHeader,
    tables: &Tables,
    planes: &mut [Plane],
    least: &[u32; 64],
) -> Result<(), Error> {
    let interval = tables.restart_interval;
    if header.first > 0 {
        let component = header.components[0];
        let spec = tables.ac[component.ac].as_ref().ok_or_else(|| corrupt("a Huffman table is missing"))?;
        let table = Lookup::new(spec, Kind::AcProgressive)?;
        let c = &frame.components[component.component];
        let walk = Walk { columns: c.columns, blocks: c.columns * c.rows, interval };
        let plane = &mut planes[component.component];
        return if header.high == 0 {
            first_bits(feed, header, &table, plane, &walk, least)
        } else {
            next_bit(feed, header, &table, plane, &walk, least)
        };
    }
    if header.high > 0 {
        dc_refine(feed, frame, header, interval, planes)
    } else {
        dc_first(feed, frame, header, tables, planes)
    }
}

/// Visits the blocks of a DC scan and the restarts between its MCUs; `visit` gets the place in the MCU's components, a block,
/// and whether predictions start afresh.
fn dc_blocks(
    feed: &mut Feed,
    frame: &Frame,
    header: &ScanHeader,
    interval: usize,
    planes: &mut [Plane],
    mut visit: impl FnMut(&mut Bits, &Window, usize, &mut i16, bool) -> Result<(), Error>,
) -> Result<(), Error> {
    let components: Vec<usize> = header.components.iter().map(|c| c.component).collect();
    let per_mcu = match components.len() {
        1 => 1,
        _ => crate::jpeg::headers::frame::blocks_per_mcu(frame, components.iter().copied()),
    };
    let mut index = 0;
    crate::jpeg::hold::planes::for_each_block(frame, &components, |component, at| {
        let mut fresh = false;
        if index % per_mcu == 0 {
            let mcu = index / per_mcu;
            if interval > 0 && mcu > 0 && mcu % interval == 0 {
                feed.restart(mcu / interval - 1)?;
                fresh = true;
            }
            feed.top_up();
        }
        index += 1;
        if feed.is_lost() {
            return Ok(());
        }
        visit(&mut feed.bits, &feed.window, component, &mut planes[component].dc[at], fresh)?;
        feed.check()
    })
}

/// G.1.2.1: differences, shifted.
fn dc_first(
    feed: &mut Feed,
    frame: &Frame,
    header: &ScanHeader,
    tables: &Tables,
    planes: &mut [Plane],
) -> Result<(), Error> {
    let mut lookups = [const { None }; 4];
    for c in &header.components {
        let spec = tables.dc[c.dc].as_ref().ok_or_else(|| corrupt("a Huffman table is missing"))?;
        lookups[c.component] = Some(Lookup::new(spec, Kind::Dc)?);
    }
    let mut before = [0_i32; 4];
    dc_blocks(feed, frame, header, tables.restart_interval, planes, |bits, window, component, dc, fresh| {
        if fresh {
            before = [0; 4];
        }
        let Some(table) = &lookups[component] else {
            return Err(corrupt("a Huffman table is missing"));
        };
        bits.refill(window);
        let entry = table.symbol(bits.peek());
        if entry.is_invalid() {
            return Err(no_code());
        }
        let (magnitude, negative) = entry.magnitude(bits.peek());
        bits.consume(entry.total_bits());
        before[component] += signed(magnitude, negative);
        let value = before[component] << header.low;
        if before[component].unsigned_abs() > 16_383 || value.unsigned_abs() > 16_383 {
            return Err(corrupt("a DC coefficient is out of range"));
        }
        *dc = value as i16;
        Ok(())
    })
}

/// G.1.2.1: one more bit of each.
fn dc_refine(
    feed: &mut Feed,
    frame: &Frame,
    header: &ScanHeader,
    interval: usize,
    planes: &mut [Plane],
) -> Result<(), Error> {
    dc_blocks(feed, frame, header, interval, planes, |bits, window, _, dc, _| {
        bits.refill(window);
        *dc |= (bits.take(1) as i16) << header.low;
        Ok(())
    })
}
