//! The document around every place: head, navigation, messages, the question dialog, the sprite of signs and icons.
//!
//! Owns landmarks and live regions. Must never hold a place's content.

use maud::{DOCTYPE, Markup, html};

use super::parts::{Act, Weight, act, icon};
use super::{Place, Scene, assets, words};
use crate::view::Mood;

/// The whole document.
pub(super) fn document(scene: &Scene<'_>, title: &str, body: &Markup) -> Markup {
    let theme = scene.ctx.theme.as_deref().filter(|t| matches!(*t, "light" | "dark"));
    let known = known(scene);
    let status = &scene.view.status;
    let mood = if known { status.state } else { Mood::Starting };
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme] data-place=(place_name(scene.place)) {
            head {
                meta charset="utf-8";
                title data-live="title" { (title_of(scene, title, known)) }
                meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                meta name="color-scheme" content=(theme.unwrap_or("light dark"));
                meta name="theme-color" content="#103a56";
                meta name="words" content=(script_words());
                meta name="now" content=(scene.ctx.now.to_rfc3339());
                link rel="icon" type="image/svg+xml" href=(assets::favicon_address(mood)) data-live="favicon";
                link rel="manifest" href="/manifest.webmanifest";
                link rel="stylesheet" href="/assets/page.css";
                script type="module" src="/assets/page.js" {}
            }
            body {
                a class="skip" href="#main" { (words::SKIP) }
                (sprite())
                header class="top" {
                    a class="brand" href="/" { (icon("mark")) span { (words::NAME) }
                        @if known && !status.host_name.is_empty() { span class="host" { (status.host_name) } } }
                    @if known { (navigation(scene)) }
                    div class="tools" {
                        button class="tool" type="button" data-theme-switch hidden { (icon("theme")) span class="vh" {} }
                        @if scene.ctx.role.is_some() { (log_out(scene)) }
                    }
                }
                p class="lost" role="status" data-lost hidden {}
                main id="main" tabindex="-1" {
                    @if let Some(flash) = &scene.ctx.flash { p class="flash" role="status" { (flash) } }
                    div class="place" data-live="place" data-follow[known] { (body) }
                }
                @if known { p class="vh" role="status" data-live="said" { (status.sentence) } }
                div class="toasts" role="status" aria-live="polite" {}
                dialog class="question" aria-labelledby="question-title" aria-describedby="question-text" {
                    h2 id="question-title" {}
                    p id="question-text" {}
                    div class="buttons" {
                        button class="button" type="button" data-no { (words::CANCEL) }
                        button class="button main" type="button" data-yes {}
                    }
                }
            }
        }
    }
}

/// Whether the reader may see anything of the device.
fn known(scene: &Scene<'_>) -> bool {
    scene.ctx.claimed && scene.ctx.role.is_some()
}

fn title_of(scene: &Scene<'_>, title: &str, known: bool) -> String {
    let status = &scene.view.status;
    let state = match status.state {
        _ if !known => "",
        Mood::Well | Mood::Starting => "",
        Mood::Waiting => "◆ ",
        Mood::Working => "◌ ",
        Mood::Fault => "▲ ",
    };
    format!("{state}{title} · {}", words::NAME)
}

fn script_words() -> String {
    let map: serde_json::Map<String, serde_json::Value> =
        words::SCRIPT.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
    serde_json::Value::Object(map).to_string()
}

fn place_name(place: &Place) -> &'static str {
    match place {
        Place::Overview => "overview",
        Place::Containers | Place::Container(_) => "containers",
        Place::Updates | Place::Update(_) => "updates",
        Place::Device => "device",
        Place::Settings => "settings",
        Place::Claim => "claim",
        Place::Login => "login",
        Place::Plain(_) => "plain",
        Place::NotFound => "not-found",
    }
}

fn navigation(scene: &Scene<'_>) -> Markup {
    let here = place_name(scene.place);
    let places = [
        ("overview", "/", words::OVERVIEW),
        ("containers", "/containers", words::CONTAINERS),
        ("updates", "/updates", words::UPDATES),
        ("device", "/device", words::DEVICE),
        ("settings", "/settings", words::SETTINGS),
    ];
    let status = &scene.view.status;
    html! {
        nav class="places" aria-label=(words::PLACES) data-live="places" {
            @for (name, address, label) in places {
                a href=(address) aria-current=[(name == here).then_some("page")] {
                    (icon(name))
                    span class="label" { (label) }
                    @if name == "updates" && status.waiting > 0 {
                        span class="badge" { (status.waiting) span class="vh" { " " (words::waiting(status.waiting)) } }
                    }
                }
            }
        }
    }
}

fn log_out(scene: &Scene<'_>) -> Markup {
    act(
        scene,
        &Act {
            action: "logout",
            fields: vec![],
            label: words::LOGOUT,
            whom: "",
            busy: words::LOGOUT,
            weight: Weight::Quiet,
            ask: None,
        },
    )
}

/// Signs (20 units, filled by meaning) and icons (24 units, stroked), drawn once and used by reference.
fn sprite() -> Markup {
    html! {
        svg class="sprite" width="0" height="0" aria-hidden="true" {
            symbol id="sign-well" viewBox="0 0 20 20" {
                circle cx="10" cy="10" r="9" fill="currentColor" {}
                path class="cut" d="M5.800 10.300l3 3 5.400-6" fill="none" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" {}
            }
            symbol id="sign-waiting" viewBox="0 0 20 20" {
                path d="M10 .5l9.500 9.500-9.500 9.500L.5 10z" fill="currentColor" {}
                path class="cut" d="M10 5.800v4.400l2.600 1.800" fill="none" stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round" {}
            }
            symbol id="sign-working" viewBox="0 0 20 20" {
                circle cx="10" cy="10" r="7.500" fill="none" stroke="currentColor" stroke-width="3" stroke-dasharray="11.700 4" stroke-linecap="round" {}
            }
            symbol id="sign-fault" viewBox="0 0 20 20" {
                path d="M10 1.500l9 16.500H1z" fill="currentColor" stroke="currentColor" stroke-width="1.500" stroke-linejoin="round" {}
                path class="cut" d="M10 7v5.200M10 15v.2" fill="none" stroke-width="2" stroke-linecap="round" {}
            }
            symbol id="sign-starting" viewBox="0 0 20 20" {
                circle cx="10" cy="10" r="8" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="2 3.030" {}
            }
            symbol id="sign-next" viewBox="0 0 20 20" {
                path d="M10 1.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17M6 10h7.500M10.500 6.800l3.200 3.200-3.200 3.200" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round" {}
            }
            symbol id="sign-seen" viewBox="0 0 20 20" {
                path d="M1.500 10C5 3.500 15 3.500 18.500 10 15 16.500 5 16.500 1.500 10zM10 7.600a2.400 2.400 0 1 1 0 4.800 2.400 2.400 0 0 1 0-4.800" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linejoin="round" {}
            }
            symbol id="icon-mark" viewBox="0 0 24 24" {
                path class="beam" d="M1 4l7 3v2.500L1 6.500zM23 4l-7 3v2.500l7-3z" fill="currentColor" {}
                path d="M9.500 9h5l1.700 12H7.800zM9 6.500L12 3l3 3.500V8H9z" fill="currentColor" {}
                path class="cut" d="M9.100 15.200h5.800" stroke-width="2.400" fill="none" {}
            }
            symbol id="icon-overview" viewBox="0 0 24 24" { path d="M4 11l8-7 8 7M6 9.500V20h12V9.500M10 20v-6h4v6" {} }
            symbol id="icon-containers" viewBox="0 0 24 24" { path d="M3 7.500L12 3l9 4.500v9L12 21l-9-4.500zM3 7.500l9 4.500 9-4.500M12 12v9M7.500 5.200l9 4.600" {} }
            symbol id="icon-updates" viewBox="0 0 24 24" { path d="M20 6v5h-5M4 18v-5h5M19 11a7.500 7.500 0 0 0-13-4L4 9.500M5 13a7.500 7.500 0 0 0 13 4l2-2.500" {} }
            symbol id="icon-device" viewBox="0 0 24 24" { path d="M6 6h12v12H6zM10 10h4v4h-4zM9 3v3M15 3v3M9 18v3M15 18v3M3 9h3M3 15h3M18 9h3M18 15h3" {} }
            symbol id="icon-settings" viewBox="0 0 24 24" { path d="M4 7h8M18 7h2M4 17h2M12 17h8M15 4.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5M9 14.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5" {} }
            symbol id="icon-theme" viewBox="0 0 24 24" { path d="M12 4a8 8 0 1 0 0 16z" fill="currentColor" stroke="none" {} circle cx="12" cy="12" r="8" {} }
            symbol id="icon-to" viewBox="0 0 24 24" { path d="M4 12h15M13.500 6.500L19 12l-5.500 5.500" {} }
            symbol id="icon-back" viewBox="0 0 24 24" { path d="M20 12H5M10.500 6.500L5 12l5.500 5.500" {} }
        }
    }
}
