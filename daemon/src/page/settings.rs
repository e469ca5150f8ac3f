//! The settings in force: key, value, meaning, and where each came from.
//!
//! Owns that place. Must never offer a change that the daemon does not take.

use maud::{Markup, html};

use super::parts::empty;
use super::{Scene, words};
use crate::view::SettingView;

/// The whole place.
pub(super) fn draw(scene: &Scene<'_>) -> Markup {
    let settings = &scene.view.settings;
    // Neighbours of one prefix make a group; the table of keys has them together.
    let groups: Vec<&[SettingView]> = settings.chunk_by(|a, b| prefix(&a.key) == prefix(&b.key)).collect();
    html! {
        h1 { (words::SETTINGS) }
        p class="lead" { (words::SETTINGS_LEAD) }
        @if settings.is_empty() { (empty(words::SETTINGS_NONE)) }
        div class="settings" {
            @for group in groups {
                @let name = group.first().map_or("", |s| prefix(&s.key));
                section aria-labelledby={ "set-" (name) } {
                    h2 id={ "set-" (name) } { (words::sentence(name).trim_end_matches('.')) }
                    dl class="rows" { @for s in group { (setting(s)) } }
                }
            }
        }
    }
}

fn prefix(key: &str) -> &str {
    key.split_once('.').map_or(key, |(prefix, _)| prefix)
}

fn setting(s: &SettingView) -> Markup {
    let own = s.origin != "default";
    html! {
        div class={ "row setting" @if own { " own" } } data-key={ "set-" (s.key) } {
            dt { code { (s.key) } }
            dd class="value" { code { (if s.value.is_empty() { "(empty)" } else { &s.value }) } }
            dd class="why" { (words::sentence(&s.doc)) }
            dd class="when" { @if own { strong { (words::SET_BY_YOU) } ", " } "from " (if own { s.origin.as_str() } else { "the defaults" }) }
        }
    }
}
