//! Links that a file service makes for sharing lead to a page about the file; this table turns them into its download
//! address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

/// A share link's download address, and the service's name.
pub(super) fn download_address(url: &Url) -> Option<(Url, &'static str)> {
    let host = url.host_str()?.trim_start_matches("www.");
    match host {
        "drive.google.com" => Some((google_drive(url)?, "Google Drive")),
        "dropbox.com" => Some((dropbox(url)?, "Dropbox")),
        "1drv.ms" | "onedrive.live.com" => Some((onedrive(url)?, "OneDrive")),
        _ if host.ends_with(".sharepoint.com") => Some((sharepoint(url)?, "OneDrive")),
        _ => None,
    }
}

/// `/file/d/ID/view` and `/open?id=ID`.
fn google_drive(url: &Url) -> Option<Url> {
    let mut path = url.path_segments()?;
    let id = match (path.next()?, path.next(), path.next()) {
        ("file", Some("d"), Some(id)) => id.to_owned(),
        ("open", None, None) => parameter(url, "id")?,
        _ => return None,
    };
    let mut download = Url::parse("https://drive.google.com/uc?export=download").ok()?;
    download.query_pairs_mut().append_pair("id", &id);
    if let Some(key) = parameter(url, "resourcekey") {
        download.query_pairs_mut().append_pair("resourcekey", &key);
    }
    Some(download)
}

/// `/s/…` and `/scl/fi/…`: `dl=1` asks for the file.
fn dropbox(url: &Url) -> Option<Url> {
    let path = url.path();
    let is_shared = path.starts_with("/s/") || path.starts_with("/scl/fi/");
    if !is_shared || [parameter(url, "dl"), parameter(url, "raw")].contains(&Some("1".to_owned())) {
        return None;
    }
    Some(with_parameter(url, "dl", "1"))
}

/// The API takes the whole link, encoded.
fn onedrive(url: &Url) -> Option<Url> {
    if matches!(url.path(), "" | "/" | "/download") {
        return None;
    }
    let token = URL_SAFE_NO_PAD.encode(url.as_str());
    Url::parse(&format!("https://api.onedrive.com/v1.0/shares/u!{token}/root/content")).ok()
}

/// `/:i:/g/…`, where the letter is the kind of file.
fn sharepoint(url: &Url) -> Option<Url> {
    let is_shared = url.path().starts_with("/:") && parameter(url, "download").as_deref() != Some("1");
    is_shared.then(|| with_parameter(url, "download", "1"))
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let others: Vec<_> = url
        .query_pairs()
        .into_owned()
        .filter(|(key, _)| key != name)
        .chain([(name.to_owned(), value.to_owned())])
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(others);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(url: &str) -> Option<String> {
        download_address(&url.parse().expect("a URL")).map(|(url, _)| url.to_string())
    }

    #[test]
    fn share_links_become_download_addresses() {
        for (link, download) in [
            (
                "https://drive.google.com/file/d/1AbC_d-E/view?usp=sharing",
                "https://drive.google.com/uc?export=download&id=1AbC_d-E",
            ),
            (
                "https://drive.google.com/open?id=1AbC&resourcekey=0-x",
                "https://drive.google.com/uc?export=download&id=1AbC&resourcekey=0-x",
            ),
            ("https://www.dropbox.com/s/ab12/a%20b.jpg?dl=0", "https://www.dropbox.com/s/ab12/a%20b.jpg?dl=1"),
            (
                "https://www.dropbox.com/scl/fi/ab12/a.jpg?rlkey=k&dl=0",
                "https://www.dropbox.com/scl/fi/ab12/a.jpg?rlkey=k&dl=1",
            ),
            (
                "https://1drv.ms/i/s!AbC",
                "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL2kvcyFBYkM/root/content",
            ),
            (
                "https://shop-my.sharepoint.com/:i:/g/personal/x/AbC?e=1",
                "https://shop-my.sharepoint.com/:i:/g/personal/x/AbC?e=1&download=1",
            ),
        ] {
            assert_eq!(rewritten(link).as_deref(), Some(download), "{link}");
        }
    }

    #[test]
    fn other_links_stay_as_they_are() {
        for link in [
            "https://drive.google.com/uc?export=download&id=1AbC",
            "https://drive.google.com/drive/folders/1AbC",
            "https://www.dropbox.com/s/ab12/a.jpg?dl=1",
            "https://www.dropbox.com/scl/fi/ab12/a.jpg?rlkey=k&raw=1",
            "https://dl.dropboxusercontent.com/s/ab12/a.jpg",
            "https://shop.sharepoint.com/sites/x/a.jpg",
            "https://evil.example/drive.google.com/file/d/1/view",
            "https://notdropbox.com/s/ab12/a.jpg",
        ] {
            assert_eq!(rewritten(link), None, "{link}");
        }
    }
}
