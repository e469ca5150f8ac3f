//! The page's own files, embedded: styles, scripts, icons, the manifest.
//!
//! Owns their types, tags and addresses. Must never serve anything from a disk.

use std::borrow::Cow;

use rust_embed::RustEmbed;

use crate::view::Mood;

#[derive(RustEmbed)]
#[folder = "src/page/assets"]
struct Files;

/// A file ready to be sent.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The content, uncompressed.
    pub bytes: Cow<'static, [u8]>,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, quotes included; a hash of the content.
    pub etag: String,
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        Some(_) | None => "application/octet-stream",
    }
}

/// The file at an address: `/assets/page.css`, `page.css`, `/manifest.webmanifest`, `/favicon.svg?state=fault`, and
/// `/assets/favicon-fault.svg` for those who drop queries.
/// `None` where there is none.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = path.trim_start_matches('/');
    let name = path.strip_prefix("assets/").unwrap_or(path);
    if let Some(state) = name.strip_prefix("favicon-").and_then(|rest| rest.strip_suffix(".svg")) {
        return Some(favicon(state));
    }
    if name == "favicon.svg" {
        let state = query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap_or_default();
        return Some(favicon(state));
    }
    let file = Files::get(name)?;
    let etag = tag(&file.metadata.sha256_hash());
    Some(Asset { bytes: file.data, content_type: content_type(name), etag })
}

/// Names of all embedded files, for the weighing of the whole.
pub fn names() -> impl Iterator<Item = String> {
    Files::iter().map(Cow::into_owned)
}

fn tag(hash: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::from("\"");
    for byte in hash.iter().take(12) {
        let _ = write!(out, "{byte:02x}");
    }
    out.push('"');
    out
}

/// The icon that carries a state by colour and shape. Unknown states get the plain icon.
#[must_use]
pub fn favicon(state: &str) -> Asset {
    let (state, badge) = match state {
        "well" => ("well", "<circle cx='24' cy='24' r='7' fill='#2c9a63' stroke='#fff' stroke-width='2'/>"),
        "waiting" => {
            ("waiting", "<path d='M24 15l9 9-9 9-9-9z' fill='#c98a10' stroke='#fff' stroke-width='2'/>")
        }
        "working" => (
            "working",
            "<circle cx='24' cy='24' r='7' fill='#fff'/><circle cx='24' cy='24' r='5' fill='none' stroke='#2a6fc9' stroke-width='4'/>",
        ),
        "fault" => ("fault", "<path d='M24 13l10 18H14z' fill='#cf3a2b' stroke='#fff' stroke-width='2'/>"),
        _ => ("plain", ""),
    };
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='7' fill='#103a56'/>{MARK}{badge}</svg>"
    );
    Asset {
        bytes: Cow::Owned(svg.into_bytes()),
        content_type: "image/svg+xml",
        etag: format!("\"favicon-1-{state}\""),
    }
}

/// The product's mark on a 32 unit square: a lamp house on a container, its light to both sides.
const MARK: &str = "<path d='M4 8l8 3.5v3L4 11zM28 8l-8 3.5v3L28 11z' fill='#f6c65b'/>\
<path d='M13 9h6l1.6 17h-9.2z' fill='#eef5f9'/><path d='M12.2 17.5h7.6l.4 4h-8.4z' fill='#2f86b8'/>\
<path d='M12 9l4-4 4 4z' fill='#eef5f9'/><path d='M8 26h16v2H8z' fill='#eef5f9'/>";

/// The address of the icon for a mood.
#[must_use]
pub fn favicon_address(mood: Mood) -> String {
    format!("/assets/favicon-{}.svg", super::words::mood(mood))
}
