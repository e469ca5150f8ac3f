//! The web page. A stand-in until the page's own slice is merged, with its types.
//!
//! Owns what people see. Must never decide, nor write.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use dockbeacon_core::auth::Role;
use maud::{DOCTYPE, Markup, html};

use crate::view::View;

/// Where on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `/`
    Overview,
    /// `/containers`
    Containers,
    /// `/containers/NAME`
    Container(String),
    /// `/updates`
    Updates,
    /// `/updates/TX`
    Update(String),
    /// `/device`
    Device,
    /// `/settings`
    Settings,
    /// `/claim`
    Claim,
    /// `/login`
    Login,
    /// Anything else.
    NotFound,
}

/// Who looks, and what was just said to them.
#[derive(Debug, Clone)]
pub struct PageContext {
    /// What the login may do; `None` without one.
    pub role: Option<Role>,
    /// Whether the device has an owner.
    pub claimed: bool,
    /// The answer to the last action.
    pub flash: Option<String>,
    /// The time.
    pub now: DateTime<Utc>,
    /// `light`, `dark`; `None` follows the system.
    pub theme: Option<String>,
}

/// One file of the page.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Its content.
    pub bytes: Cow<'static, [u8]>,
    /// Its type.
    pub content_type: &'static str,
    /// Its strong entity tag, with the quotes.
    pub etag: String,
}

/// Draws a place; `None` where there is no such container or update.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "the signature that the page has")]
pub fn render(place: Place, view: &View, ctx: &PageContext) -> Option<Markup> {
    let known = match &place {
        Place::Container(name) => view.containers.iter().any(|container| container.name == *name),
        Place::Update(tx) => view.updates.iter().any(|update| update.tx == *tx),
        Place::Overview
        | Place::Containers
        | Place::Updates
        | Place::Device
        | Place::Settings
        | Place::Claim
        | Place::Login
        | Place::NotFound => true,
    };
    known.then(|| {
        html! {
            (DOCTYPE)
            html lang="en" {
                head { title { "Dockbeacon" } }
                body {
                    @if let Some(flash) = &ctx.flash { p role="status" { (flash) } }
                    p { (format!("{place:?}")) ": " (view.status.sentence) }
                }
            }
        }
    })
}

/// One file by its path under `/assets/`.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    (path == "favicon.svg").then(|| Asset {
        bytes: Cow::Borrowed(br#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>"#),
        content_type: "image/svg+xml",
        etag: "\"stand-in\"".to_owned(),
    })
}
