//! Quality: what gets smaller, by how much, and that sizes can be told without writing.

use crate::jpeg::decode;
use crate::jpeg::tests::fixtures::{Random, photos, recipes};
use crate::jpeg::tests::requantise;
use crate::jpeg::types::{Limits, Options};

#[test]
fn a_lower_quality_is_never_larger() {
    for recipe in recipes().into_iter().filter(|recipe| recipe.size.0 > 50) {
        let jpeg = recipe.make();
        let mut last = usize::MAX - 8;
        for quality in [100, 90, 75, 50, 25, 10] {
            let len = requantise(&jpeg, quality).bytes.len();
            assert!(len <= last + 8, "{} at {quality}: {len} after {last}", recipe.name);
            last = len;
        }
    }
}

#[test]
fn the_size_is_known_before_writing() {
    for recipe in recipes().into_iter().filter(|recipe| recipe.size.0 > 300) {
        let jpeg = recipe.make();
        let source = decode(&jpeg, &Limits::default()).expect("valid");
        for quality in [10, 50, 90] {
            let (told, real) = (source.size_at(quality), source.encode(quality, &Options::default()).bytes.len());
            assert!(told <= real && real - told <= real / 50, "{}: told {told}, is {real}", recipe.name);
        }
    }
}

#[test]
fn the_quality_a_file_was_saved_with_is_recognised() {
    for quality in [35, 50, 75, 90, 97] {
        let mut recipe = recipes().remove(2);
        recipe.quality = quality;
        let bytes = recipe.make();
        let estimated = decode(&bytes, &Limits::default()).expect("valid").estimated_quality();
        assert!(estimated.abs_diff(quality) <= 1, "{quality} taken for {estimated}");
    }
}

#[test]
fn no_photo_grows_at_quality_50() {
    for (name, jpeg) in photos().into_iter().filter(|(name, _)| name != crate::jpeg::tests::fixtures::TRUNCATED) {
        let len = requantise(&jpeg, 50).bytes.len();
        assert!(len < jpeg.len(), "{name}: {} to {len}", jpeg.len());
    }
}

#[test]
fn the_same_file_always_gives_the_same_bytes() {
    let mut random = Random(7);
    let recipes = recipes();
    for _ in 0..20 {
        let jpeg = recipes[random.below(recipes.len())].make();
        assert_eq!(requantise(&jpeg, 60), requantise(&jpeg, 60));
    }
}
