//! The page: places drawn from one snapshot, on the server, useful without a script.
//!
//! Owns the one renderer and the embedded assets. Must never ask a loop, an engine or a clock: the snapshot and the
//! context are all that it knows, and every sentence about the world comes from the core.

mod assets;
mod claim;
mod containers;
mod device;
mod layout;
mod lists;
mod overview;
mod panel;
mod parts;
mod reset;
mod settings;
mod updates;
mod words;

use chrono::{DateTime, Utc};
pub use chrono_tz::Tz;
use dockbeacon_core::auth::Role;
use maud::Markup;

pub use assets::{Asset, asset, favicon, names as asset_names};

use crate::view::View;

/// Where somebody is on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `/`
    Overview,
    /// `/containers`
    Containers,
    /// `/containers/{name}`
    Container(String),
    /// `/updates`
    Updates,
    /// `/updates/{tx}`
    Update(String),
    /// `/device`
    Device,
    /// `/settings`
    Settings,
    /// `/claim`
    Claim,
    /// `/login`
    Login,
    /// Over plain HTTP from another machine; where the same place is over TLS.
    Plain(String),
    /// Anywhere else.
    NotFound,
}

impl Place {
    /// The place's address, names percent-encoded; where a form asks to be led back to.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Overview | Self::Claim | Self::Login | Self::Plain(_) | Self::NotFound => "/".to_owned(),
            Self::Containers => "/containers".to_owned(),
            Self::Container(name) => parts::container_address(name),
            Self::Updates => "/updates".to_owned(),
            Self::Update(tx) => parts::update_address(tx),
            Self::Device => "/device".to_owned(),
            Self::Settings => "/settings".to_owned(),
        }
    }
}

/// Who looks, when and how.
#[derive(Debug, Clone)]
pub struct PageContext {
    /// What the session may do; `None` for a stranger, who sees the login or claim place only.
    pub role: Option<Role>,
    /// False until the device has an owner.
    pub claimed: bool,
    /// How the last form ended, for those without the script.
    pub flash: Option<String>,
    /// The moment that relative times count from.
    pub now: DateTime<Utc>,
    /// `light` or `dark` where the reader chose one; anything else follows the system.
    pub theme: Option<String>,
    /// For times of day.
    pub time_zone: Tz,
}

/// Everything that a template may read.
struct Scene<'a> {
    view: &'a View,
    ctx: &'a PageContext,
    place: &'a Place,
    here: String,
}

impl Scene<'_> {
    fn may(&self, role: Role) -> bool {
        self.ctx.role.is_some_and(|r| r >= role)
    }
}

/// Draws a place as a whole document. `None` when the container or update that it names is not in the snapshot: answer
/// with status 404 and `Place::NotFound`. A stranger gets the claim place while the device has no owner, and the login
/// place afterwards, whatever was asked for.
#[must_use]
pub fn render(place: &Place, view: &View, ctx: &PageContext) -> Option<Markup> {
    let shown = match place {
        Place::Claim => &Place::Claim,
        Place::NotFound | Place::Plain(_) => place,
        _ if !ctx.claimed => &Place::Claim,
        _ if ctx.role.is_none() => &Place::Login,
        Place::Overview
        | Place::Containers
        | Place::Container(_)
        | Place::Updates
        | Place::Update(_)
        | Place::Device
        | Place::Settings
        | Place::Login => place,
    };
    // A login drawn in the stead of a place leads to that place.
    let scene = Scene { view, ctx, place: shown, here: place.address() };
    let (title, body) = match shown {
        Place::Overview => (words::OVERVIEW.to_owned(), overview::draw(&scene)),
        Place::Containers => (words::CONTAINERS.to_owned(), containers::draw(&scene, None)?),
        Place::Container(name) => (name.clone(), containers::draw(&scene, Some(name))?),
        Place::Updates => (words::UPDATES.to_owned(), updates::draw(&scene)),
        Place::Update(tx) => updates::draw_one(&scene, tx)?,
        Place::Device => (words::DEVICE.to_owned(), device::draw(&scene)),
        Place::Settings => (words::SETTINGS.to_owned(), settings::draw(&scene)),
        Place::Claim => (words::CLAIM.to_owned(), claim::claim(&scene)),
        Place::Login => (words::LOGIN.to_owned(), claim::login(&scene)),
        Place::Plain(https) => (words::PLAIN.to_owned(), claim::plain(https)),
        Place::NotFound => (words::LOST_PLACE.to_owned(), claim::not_found()),
    };
    Some(layout::document(&scene, &title, &body))
}
