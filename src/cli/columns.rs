//! What a command's arguments say of the columns of a file.

use halftone_sheet::Hints;

/// For files whose column names do not make it clear.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Columns")]
pub struct Columns {
    /// The column of product names
    #[arg(long, value_name = "NAME")]
    name_column: Option<String>,
    /// A column of image URLs; may be given several times
    #[arg(long, value_name = "NAME")]
    image_column: Vec<String>,
    /// The column of serial numbers
    #[arg(long, value_name = "NAME")]
    serial_column: Option<String>,
    /// The line the header is on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    header_line: Option<u64>,
    /// The sheet of a workbook
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
}

impl Columns {
    pub fn hints(&self) -> Hints {
        Hints {
            product_name: self.name_column.clone(),
            image_urls: self.image_column.clone(),
            serial_number: self.serial_column.clone(),
            header_line: self.header_line,
            sheet: self.sheet.clone(),
        }
    }
}
