//! Which images of a CSV stand for all of them: some of each host and kind of file, as many as there are of it.
//!
//! The file is read twice, so that memory is needed for the URLs that are chosen and not for all of them. Within a stratum
//! those are chosen whose URLs, without their host, have the lowest hashes: as good as a random choice, and
//! the same file gives the same sample, also when it has moved to another host.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fs::File;
use std::ops::ControlFlow;

use super::super::read_csv::fingerprint;
use crate::fetch;
use halftone_sheet::{self as sheet, Hints, Report, Row};

/// Strata that are told apart while the file is read; images of further ones are in one together.
const MAX_COUNTED: usize = 10_000;
/// Images of a stratum that are tried, if it has as many: with fewer it would not show how much they differ.
const LEAST: usize = 4;

/// Images from one host whose names have the same ending, or the rest.
#[derive(Debug)]
pub struct Stratum {
    /// The host; empty for a stratum of several.
    pub host: String,
    /// How many images of the CSV it stands for.
    pub images: usize,
    /// The URLs to try.
    pub urls: Vec<String>,
}

/// Reads the sample of a CSV, of at most `size` images. The strata are empty when the CSV would be rejected.
pub fn read(
    mut file: File,
    limits: &sheet::Limits,
    hints: &Hints,
    size: usize,
) -> anyhow::Result<(Report, Vec<Stratum>)> {
    let mut counts: HashMap<Kind, usize> = HashMap::new();
    let report = read_urls(&mut file, limits, hints, |url| {
        let kind = Kind::of(url);
        let is_told_apart = counts.len() < MAX_COUNTED || counts.contains_key(&kind);
        *counts.entry(if is_told_apart { kind } else { Kind::default() }).or_default() += 1;
    })?;
    if report.rejected {
        return Ok((report, Vec::new()));
    }
    let plan = Plan::new(counts, size);
    let mut chosen: Vec<BinaryHeap<(u128, String)>> = plan.strata.iter().map(|_| BinaryHeap::new()).collect();
    read_urls(&mut file, limits, hints, |url| {
        let hash = fingerprint(after_host(url));
        let place = plan.place(&Kind::of(url));
        let (heap, wanted) = (&mut chosen[place], plan.strata[place].sampled);
        if heap.len() < wanted || heap.peek().is_some_and(|(highest, _)| hash < *highest) {
            heap.push((hash, url.to_owned()));
            if heap.len() > wanted {
                heap.pop();
            }
        }
    })?;
    let strata = plan.strata.into_iter().zip(chosen).map(|(planned, urls)| Stratum {
        host: planned.host,
        images: planned.images,
        urls: urls.into_iter().map(|(_, url)| url).collect(),
    });
    Ok((report, strata.collect()))
}

/// Calls `each` with every different URL that would be fetched.
fn read_urls(
    file: &mut File,
    limits: &sheet::Limits,
    hints: &Hints,
    mut each: impl FnMut(&str),
) -> anyhow::Result<Report> {
    let mut seen = HashSet::new();
    Ok(sheet::read_file(file, limits, hints, |row: Row| {
        for url in row.urls.iter().filter(|url| row.accepted && url.accepted) {
            if seen.insert(fingerprint(&url.text)) {
                each(&url.text);
            }
        }
        ControlFlow::Continue(())
    })?)
}

/// The path of a URL, and what follows it.
fn after_host(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.split_once('/').map_or("", |(_, path)| path)
}

/// What is known of an image before it is downloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Kind {
    host: String,
    ending: String,
}

impl Kind {
    fn of(url: &str) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        // Whatever is longer names no format.
        let ending = if ending.len() <= 5 { ending.to_ascii_lowercase() } else { String::new() };
        let ending = if ending == "jpeg" { "jpg".to_owned() } else { ending };
        Self { host: fetch::host_key(url), ending }
    }
}

#[derive(Debug)]
struct Planned {
    host: String,
    images: usize,
    sampled: usize,
}

/// How many images of each stratum are tried.
#[derive(Debug)]
struct Plan {
    strata: Vec<Planned>,
    places: HashMap<Kind, usize>,
}

impl Plan {
    /// The largest kinds are strata, as many as the sample can tell apart; the others are one together.
    fn new(counts: HashMap<Kind, usize>, size: usize) -> Self {
        let mut kinds: Vec<(Kind, usize)> = counts.into_iter().collect();
        kinds.sort_unstable_by(|(kind, count), (other, larger)| larger.cmp(count).then_with(|| kind.cmp(other)));
        let most = (size / (2 * LEAST)).max(1);
        let mut plan = Self { strata: Vec::new(), places: HashMap::new() };
        let is_split = kinds.len() > most;
        for (place, (kind, images)) in kinds.into_iter().enumerate() {
            if is_split && place >= most - 1 {
                if plan.strata.len() < most {
                    plan.strata.push(Planned { host: String::new(), images: 0, sampled: 0 });
                }
                plan.strata[most - 1].images += images;
            } else {
                plan.strata.push(Planned { host: kind.host.clone(), images, sampled: 0 });
                plan.places.insert(kind, place);
            }
        }
        plan.allot(size);
        plan
    }

    /// Gives every stratum its share of the sample, and none fewer than [`LEAST`].
    fn allot(&mut self, size: usize) {
        let all: usize = self.strata.iter().map(|stratum| stratum.images).sum();
        for stratum in &mut self.strata {
            stratum.sampled = (size * stratum.images / all.max(1)).max(LEAST).min(stratum.images);
        }
        let allotted = |strata: &[Planned]| strata.iter().map(|stratum| stratum.sampled).sum::<usize>();
        // What rounding left over, or took too much, is that of the strata where it matters least.
        while allotted(&self.strata) > size {
            match self.strata.iter_mut().max_by_key(|stratum| stratum.sampled) {
                Some(stratum) if stratum.sampled > 1 => stratum.sampled -= 1,
                _ => break,
            }
        }
        while allotted(&self.strata) < size {
            let open = self.strata.iter_mut().filter(|stratum| stratum.sampled < stratum.images);
            match open.max_by_key(|stratum| stratum.images * 1_000 / (stratum.sampled + 1)) {
                Some(stratum) => stratum.sampled += 1,
                None => break,
            }
        }
    }

    fn place(&self, kind: &Kind) -> usize {
        self.places.get(kind).copied().unwrap_or(self.strata.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(counts: &[(&str, &str, usize)], size: usize) -> Vec<(usize, usize)> {
        let kind = |host: &str, ending: &str| Kind { host: host.to_owned(), ending: ending.to_owned() };
        let counts = counts.iter().map(|(host, ending, count)| (kind(host, ending), *count)).collect();
        Plan::new(counts, size).strata.iter().map(|stratum| (stratum.images, stratum.sampled)).collect()
    }

    #[test]
    fn each_kind_has_its_share_of_the_sample() {
        assert_eq!(plan(&[("a", "jpg", 900), ("a", "png", 100)], 50), [(900, 45), (100, 5)]);
        assert_eq!(plan(&[("a", "jpg", 995), ("b", "png", 5)], 50), [(995, 46), (5, 4)]);
        assert_eq!(plan(&[("a", "jpg", 7), ("b", "jpg", 2)], 50), [(7, 7), (2, 2)]);
        assert_eq!(plan(&[("a", "jpg", 7), ("b", "jpg", 2), ("c", "jpg", 1)], 5), [(10, 5)]);
        assert_eq!(plan(&[], 50), []);
        // More kinds than the sample can tell apart.
        let many: Vec<(String, usize)> = (0..100).map(|n| (format!("h{n:02}"), 100 - n)).collect();
        let many: Vec<(&str, &str, usize)> = many.iter().map(|(host, count)| (host.as_str(), "", *count)).collect();
        let strata = plan(&many, 50);
        assert_eq!((strata.len(), strata.iter().map(|(images, _)| images).sum::<usize>()), (6, 5_050));
        assert_eq!(strata.iter().map(|(_, sampled)| sampled).sum::<usize>(), 50);
        assert!(strata.iter().all(|(_, sampled)| *sampled >= LEAST), "{strata:?}");
    }

    #[test]
    fn a_kind_is_a_host_and_an_ending() {
        for (url, ending) in [
            ("https://a.example/1.JPG?w=1", "jpg"),
            ("https://a.example/1.jpeg#x", "jpg"),
            ("https://a.example/1", ""),
            ("https://a.example/v1.large-picture", ""),
        ] {
            assert_eq!(
                Kind::of(url),
                Kind { host: "https://a.example".to_owned(), ending: ending.to_owned() },
                "{url}"
            );
        }
    }
}
