//! Between coefficients and samples: new pictures from pixels or planes, and planes at a fraction of a file's size.

pub(crate) mod fdct;
pub(crate) mod idct;
pub(crate) mod pixel_rows;
pub(crate) mod pixels;
pub(crate) mod sample_planes;
pub(crate) mod sampled;
