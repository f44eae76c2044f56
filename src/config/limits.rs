//! How large a CSV and an image may be.

use halftone_compress as compress;
use halftone_sheet as sheet;

use super::value::{bytes, number};

/// Limits of what is uploaded and processed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Largest CSV
    #[arg(long, env = "HALFTONE_MAX_CSV_BYTES", value_name = "BYTES", default_value = "50MiB", value_parser = bytes(1))]
    max_csv_bytes: u64,
    /// Most rows in a CSV
    #[arg(
        long,
        env = "HALFTONE_MAX_ROWS",
        value_name = "N",
        default_value = "1000000",
        value_parser = number::<u64>(1, 100_000_000)
    )]
    max_rows: u64,
    /// Most image URLs in a CSV
    #[arg(
        long,
        env = "HALFTONE_MAX_IMAGES",
        value_name = "N",
        default_value = "1000000",
        value_parser = number::<u64>(1, 100_000_000)
    )]
    max_images: u64,
    /// Most image URLs in a row
    #[arg(
        long,
        env = "HALFTONE_MAX_IMAGES_PER_PRODUCT",
        value_name = "N",
        default_value = "100",
        value_parser = number::<usize>(1, 10_000)
    )]
    max_images_per_product: usize,
    /// Problems stored per CSV; all are counted
    #[arg(
        long,
        env = "HALFTONE_MAX_CSV_ISSUES",
        value_name = "N",
        default_value = "1000",
        value_parser = number::<usize>(1, 100_000)
    )]
    max_csv_issues: usize,
    /// Largest image, in pixels; all frames of an animation together may have twenty times as many
    #[arg(
        long,
        env = "HALFTONE_MAX_PIXELS",
        value_name = "N",
        default_value = "50000000",
        value_parser = number::<u64>(1, 1_000_000_000)
    )]
    max_pixels: u64,
    /// Longest side of an image, in pixels
    #[arg(
        long,
        env = "HALFTONE_MAX_SIDE",
        value_name = "N",
        default_value = "16384",
        value_parser = number::<u32>(1, 65_535)
    )]
    max_side: u32,
}

impl Limits {
    pub fn sheet(&self) -> sheet::Limits {
        sheet::Limits {
            max_bytes: self.max_csv_bytes,
            max_rows: self.max_rows,
            max_images: self.max_images,
            max_images_per_product: self.max_images_per_product,
            max_issues: self.max_csv_issues,
            ..sheet::Limits::default()
        }
    }

    /// `max_memory` is what decoding may take, in bytes.
    pub fn compress(&self, max_memory: u64) -> compress::Limits {
        compress::Limits {
            max_pixels: self.max_pixels,
            max_side: self.max_side,
            max_memory,
            ..compress::Limits::default()
        }
    }
}
