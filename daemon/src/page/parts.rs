//! The small parts that every place is made of: signs, times, versions, ids, forms.
//!
//! Owns how each looks in markup. Must never emit a style attribute or a script: the content security policy forbids both.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{Scene, words};
use crate::view::{Mood, VersionView};

/// The sign of a meaning: shape, colour and word in one.
pub(super) fn sign(mood: Mood) -> Markup {
    let word = words::mood(mood);
    html! {
        span class={ "sign " (word) } {
            svg viewBox="0 0 20 20" aria-hidden="true" { use href={ "#sign-" (word) } {} }
            span class="vh" { (word) ": " }
        }
    }
}

/// A sentence of the core as it stands on the page; containers' names at its start keep their case.
pub(super) fn said(scene: &Scene<'_>, text: &str) -> String {
    words::sentence_unless(text, |word| scene.view.containers.iter().any(|c| c.name == word))
}

/// A sign that asks for nothing: grey, of a shape that no meaning has, and a word.
pub(super) fn calm(shape: &str, word: &str) -> Markup {
    html! {
        span class="sign calm" {
            svg viewBox="0 0 20 20" aria-hidden="true" { use href={ "#sign-" (shape) } {} }
            span class="vh" { (word) ": " }
        }
    }
}

/// An icon of the sprite, without meaning of its own.
pub(super) fn icon(name: &str) -> Markup {
    html! { svg class="icon" viewBox="0 0 24 24" aria-hidden="true" { use href={ "#icon-" (name) } {} } }
}

/// The day and time in the reader's zone, whole.
fn whole(scene: &Scene<'_>, at: DateTime<Utc>) -> String {
    at.with_timezone(&scene.ctx.time_zone).format("%-d %B %Y, %H:%M:%S %Z").to_string()
}

/// How long ago in words; days beyond two weeks become a date. The script repeats this rule every half minute.
pub(super) fn ago(scene: &Scene<'_>, at: DateTime<Utc>) -> Markup {
    let seconds = (scene.ctx.now - at).num_seconds();
    let text = match seconds {
        ..60 => "just now".to_owned(),
        60..3600 => plural(seconds / 60, "minute"),
        3600..86_400 => plural(seconds / 3600, "hour"),
        86_400..1_209_600 => plural(seconds / 86_400, "day"),
        _ => at.with_timezone(&scene.ctx.time_zone).format("on %-d %B %Y").to_string(),
    };
    html! { time datetime=(at.to_rfc3339()) title=(whole(scene, at)) data-ago { (text) } }
}

fn plural(n: i64, unit: &str) -> String {
    if n == 1 { format!("1 {unit} ago") } else { format!("{n} {unit}s ago") }
}

/// A time of day, with the day where it is not today: `03:00`, `tomorrow at 03:00`, `on 24 November at 03:00`.
pub(super) fn clock(scene: &Scene<'_>, at: DateTime<Utc>) -> Markup {
    let zone = scene.ctx.time_zone;
    let local = at.with_timezone(&zone);
    let days = (local.date_naive() - scene.ctx.now.with_timezone(&zone).date_naive()).num_days();
    let form = match days {
        0 => "%H:%M",
        1 => "tomorrow at %H:%M",
        -1 => "yesterday at %H:%M",
        _ => "%-d %B at %H:%M",
    };
    html! { time datetime=(at.to_rfc3339()) title=(whole(scene, at)) { (local.format(form).to_string()) } }
}

/// A version's name; a digest for a name is shortened. The whole is in the title.
pub(super) fn version(v: &VersionView) -> Markup {
    let name = version_name(v);
    html! { span class="version" title=[(!v.digest.is_empty()).then_some(v.digest.as_str())] { (name) } }
}

/// The version as text.
pub(super) fn version_name(v: &VersionView) -> String {
    let name = if v.name.is_empty() { v.digest.as_str() } else { v.name.as_str() };
    if name.is_empty() {
        return "unknown".to_owned();
    }
    match name.split_once(':') {
        Some((_, hex)) if hex.len() > 12 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => short(name),
        _ => name.to_owned(),
    }
}

/// Old version, arrow, new version. Where both have one name (a moved tag such as `latest`), the short digests tell them
/// apart.
pub(super) fn moved(from: &VersionView, to: &VersionView) -> Markup {
    let same = version_name(from) == version_name(to);
    let name = |v: &VersionView| {
        html! { (version(v)) @if same && !v.digest.is_empty() { " " code { (short(&v.digest)) } } }
    };
    html! {
        span class="moved" {
            span class="vh" { "from " } span class="from" { (name(from)) }
            " " (icon("to")) span class="vh" { " to " } " "
            span class="to" { (name(to)) }
        }
    }
}

/// The first twelve digits of an id or digest.
pub(super) fn short(id: &str) -> String {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.chars().take(12).collect()
}

/// An id, shortened; whole on focus, and whole when copied.
pub(super) fn id(whole: &str) -> Markup {
    if whole.is_empty() {
        return html! { "unknown" };
    }
    let short = short(whole);
    html! {
        code class="id" tabindex="0" data-whole=(whole) aria-label=(whole) {
            span class="short" { (short) "…" }
            span class="whole" aria-hidden="true" { (whole) }
        }
    }
}

/// An image reference that breaks after its separators, not in the middle of a word.
pub(super) fn image(reference: &str) -> Markup {
    html! { code { @for part in reference.split_inclusive(['/', ':', '@']) { (part) wbr; } } }
}

/// A sentence of the core: what stands between back quotes is typed by people, so it is set as code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A part of a path, percent-encoded.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A container's own place.
pub(super) fn container_address(name: &str) -> String {
    format!("/containers/{}", encode(name))
}

/// An update's own place.
pub(super) fn update_address(tx: &str) -> String {
    format!("/updates/{}", encode(tx))
}

/// How much a button asks for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Main,
    Quiet,
}

/// The question that is asked once before something is done that stops a service.
pub(super) struct Ask {
    pub title: String,
    pub text: String,
}

/// One thing to be done, as a form with one button.
pub(super) struct Act<'a> {
    pub action: &'a str,
    pub fields: Vec<(&'a str, &'a str)>,
    pub label: &'a str,
    /// Said by screen readers after the label, so that twenty buttons of one label can be told apart.
    pub whom: &'a str,
    pub busy: &'a str,
    pub weight: Weight,
    pub ask: Option<Ask>,
}

/// Draws the form. It works without a script and leads back to where it was.
pub(super) fn act(scene: &Scene<'_>, act: &Act<'_>) -> Markup {
    let class = match act.weight {
        Weight::Main => "button main",
        Weight::Quiet => "button",
    };
    let title = act.ask.as_ref().map(|a| a.title.as_str());
    let text = act.ask.as_ref().map(|a| a.text.as_str());
    html! {
        form class="act" method="post" action={ "/actions/" (act.action) } data-act data-ask=[title] data-ask-text=[text] {
            @for (name, value) in &act.fields { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="return" value=(scene.here);
            button class=(class) type="submit" data-busy=(act.busy) {
                span class="label" { (act.label) }
                @if !act.whom.is_empty() { span class="vh" { " " (act.whom) } }
            }
        }
    }
}

/// A place with nothing in it: what would be there, and how to get it.
pub(super) fn empty(text: &str) -> Markup {
    html! { p class="empty" { (text) } }
}
