//! What is said of a photograph that comes as a PNG.

use crate::picture::pixels::{Layout, Pixels};
use crate::tests::pictures::{self, photo};
use crate::tests::*;

#[test]
fn a_warning_says_what_a_jpeg_would_save() {
    let warns = |output: &Compressed| output.warnings.iter().any(|warning| warning.contains("% smaller"));
    let pixels = photo(500, 400, Layout::Rgb);
    let source = pictures::png(&pixels);
    let output = run(&source, &with_goal(Goal::Quality(80)));
    let warning = output.warnings.first().unwrap();
    let share: f64 = warning.split(" % ").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let as_jpeg = Settings { format: Some(Format::Jpeg), ..with_goal(Goal::Quality(80)) };
    let real = 100.0 * (1.0 - run(&source, &as_jpeg).bytes.len() as f64 / output.bytes.len() as f64);
    assert!((real - share).abs() < 8.0, "{warning} {real}");
    // What is transparent, a drawing, and what was asked for without loss.
    assert!(!warns(&run(&pictures::png(&photo(500, 400, Layout::Rgba)), &with_goal(Goal::Quality(80)))));
    assert!(!warns(&run(&source, &with_goal(Goal::Lossless))));
    let drawing = |at: u32| [[250, 250, 250], [20, 30, 90], [200, 0, 0]][(at / 40 + at / 7_000) as usize % 3];
    let drawing = Pixels::new(500, 400, Layout::Rgb, (0..500 * 400).flat_map(drawing).collect()).unwrap();
    assert!(!warns(&run(&pictures::png(&drawing), &with_goal(Goal::Quality(50)))));
}
