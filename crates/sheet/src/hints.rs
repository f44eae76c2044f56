//! What the caller says of a file, for when its own names do not say it.

use serde::{Deserialize, Serialize};

use super::vocabulary::normal;

/// Where things are in a file. What is not said is found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hints {
    /// The name of the column of product names.
    pub product_name: Option<String>,
    /// The names of all columns of image URLs.
    pub image_urls: Vec<String>,
    /// The name of the column of serial numbers.
    pub serial_number: Option<String>,
    /// The line the header is on.
    pub header_line: Option<u64>,
    /// The name of a workbook's sheet.
    pub sheet: Option<String>,
}

impl Hints {
    pub(super) fn names_product(&self, name: &str) -> bool {
        self.product_name.as_deref().is_some_and(|wanted| is_same(name, wanted))
    }

    pub(super) fn names_serial(&self, name: &str) -> bool {
        self.serial_number.as_deref().is_some_and(|wanted| is_same(name, wanted))
    }

    pub(super) fn names_images(&self, name: &str) -> bool {
        self.image_urls.iter().any(|wanted| is_same(name, wanted))
    }

    /// The column of this name: exactly, else in normal form.
    pub(super) fn find(names: &[String], wanted: &str) -> Option<usize> {
        let exactly = names.iter().position(|name| !name.is_empty() && name == wanted);
        exactly.or_else(|| names.iter().position(|name| !name.is_empty() && is_same(name, wanted)))
    }
}

fn is_same(name: &str, wanted: &str) -> bool {
    name == wanted || (!normal(wanted).is_empty() && normal(name) == normal(wanted))
}
