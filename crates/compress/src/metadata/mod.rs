//! What a file says about its picture: what is kept (orientation, colour profile, on request the credits), and what is removed (the location).

pub(crate) mod credits;
pub(crate) mod exif;
pub(crate) mod location;
pub(crate) mod profile;
