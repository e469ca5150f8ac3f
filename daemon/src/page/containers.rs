//! The containers: the list by project, and one container beside it.
//!
//! Owns grouping and the choice of which container is shown unasked. Must never hide one: the filter only does on the
//! reader's word.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::parts::{
    self, ago, clock, container_address, empty, icon, id, moved, sign, version, version_name,
};
use super::{Scene, lists, words};
use crate::view::{ContainerView, Mood};

/// The list, with the named container beside it; unasked, the one that needs eyes most (shown where there is room only).
/// `None` when there is none of that name.
pub(super) fn draw(scene: &Scene<'_>, name: Option<&str>) -> Option<Markup> {
    let all = &scene.view.containers;
    let shown = match name {
        Some(name) => Some(all.iter().find(|c| c.name == name)?),
        None => all.iter().min_by_key(|c| urgency(c.mood)),
    };
    Some(html! {
        div class={ "beside " (if name.is_some() { "one" } else { "many" }) } {
            section class="list" aria-labelledby="containers" {
                (heading(name.is_some()))
                @if !scene.view.status.engine.up && !all.is_empty() { (aged(scene)) }
                @if all.is_empty() { (none(scene.view.status.engine.up)) } @else { (list(scene, shown)) }
            }
            @if let Some(c) = shown { (detail(scene, c, name.is_some())) }
        }
    })
}

fn heading(one: bool) -> Markup {
    // A document has one first heading: the container's own, where one was asked for.
    html! {
        @if one { h2 id="containers" { (words::CONTAINERS) } } @else { h1 id="containers" { (words::CONTAINERS) } }
    }
}

const fn urgency(mood: Mood) -> u8 {
    match mood {
        Mood::Fault => 0,
        Mood::Working => 1,
        Mood::Waiting => 2,
        Mood::Starting => 3,
        Mood::Well => 4,
    }
}

/// The age of what is shown while the engine is silent.
fn aged(scene: &Scene<'_>) -> Markup {
    html! {
        p class="aged" { (sign(Mood::Fault))
            span { (words::AGED) @if let Some(since) = scene.view.status.engine.since { ", " (ago(scene, since)) } "." }
        }
    }
}

fn none(answers: bool) -> Markup {
    html! {
        div class="nothing" {
            (icon("containers"))
            @if answers {
                p { strong { (words::CONTAINERS_NONE) } }
                p { (words::CONTAINERS_NONE_HOW) }
                p { code { (words::CONTAINERS_NONE_EXAMPLE) } }
            } @else {
                p { strong { (words::CONTAINERS_UNKNOWN) } }
                p { (words::CONTAINERS_UNKNOWN_HOW) }
            }
        }
    }
}

fn list(scene: &Scene<'_>, shown: Option<&ContainerView>) -> Markup {
    // Those on their own come last, whatever the projects are called.
    let mut groups: BTreeMap<(bool, &str), Vec<&ContainerView>> = BTreeMap::new();
    for c in &scene.view.containers {
        groups.entry((c.project.is_empty(), &c.project)).or_default().push(c);
    }
    html! {
        div class="filter" data-filter-box hidden {
            label class="vh" for="filter" { (words::FILTER) }
            input id="filter" type="search" placeholder=(words::FILTER) autocomplete="off" spellcheck="false" data-filter;
            p class="found" role="status" data-found {}
        }
        p class="empty" data-found-none hidden { (words::FILTER_NONE) }
        @for ((alone, project), members) in &groups {
            section class="group" data-group data-key={ "group-" (project) } {
                h3 { (if *alone { words::ALONE } else { project }) " " span class="count" { (members.len()) } }
                ul class="rows" {
                    @for c in members { (row(scene, c, shown.is_some_and(|s| s.id == c.id && s.name == c.name))) }
                }
            }
        }
    }
}

fn row(scene: &Scene<'_>, c: &ContainerView, chosen: bool) -> Markup {
    html! {
        li class="row" data-key={ "c-" (c.name) } data-text={ (c.name) " " (c.project) " " (c.image) " " (c.reason.text) } {
            (sign(c.mood))
            a class="what" href=(container_address(&c.name)) aria-current=[chosen.then_some("true")] {
                span class="head" { span class="name" { (c.name) } " " (version(&c.version)) }
                span class="line" { span class="said" { (state(c)) } " " span class="policy" { (words::policy(&c.policy)) } }
                span class="why" { (parts::prose(&next(scene, c))) }
            }
        }
    }
}

/// The engine's words for the state and uptime; the bare state where it has none.
fn state(c: &ContainerView) -> String {
    if c.status.is_empty() {
        words::sentence(&c.state).trim_end_matches('.').to_owned()
    } else {
        c.status.clone()
    }
}

/// What comes next for it, and why.
fn next(scene: &Scene<'_>, c: &ContainerView) -> String {
    let reason = parts::said(scene, &c.reason.text);
    let to = c.candidate.as_ref().map(version_name).filter(|to| *to != version_name(&c.version));
    match (c.next.as_str(), to) {
        ("update", Some(to)) => format!("Next run brings {to}. {reason}"),
        ("update", None) => format!("Next run updates it. {reason}"),
        ("approve", Some(to)) => format!("{to} is out. {reason}"),
        ("report", Some(to)) => format!("{to} is out. {reason}"),
        _ => reason,
    }
}

fn detail(scene: &Scene<'_>, c: &ContainerView, asked: bool) -> Markup {
    let past: Vec<_> =
        scene.view.updates.iter().filter(|u| u.container == c.name && u.outcome != "running").collect();
    let now = scene.view.updates.iter().find(|u| u.container == c.name && u.outcome == "running");
    html! {
        article class="detail" aria-labelledby="one" {
            @if asked { p class="up" { a href="/containers" { (icon("back")) (words::ALL_CONTAINERS) } } }
            header class={ "one " (words::mood(c.mood)) } {
                (sign(c.mood))
                @if asked { h1 id="one" { (c.name) } } @else { h2 id="one" { (c.name) } }
                p class="why" { (state(c)) ". " (parts::prose(&next(scene, c))) }
            }
            @if let Some(u) = now { ul class="rows cards" { (lists::running(u)) } }
            @else if let Some(to) = &c.candidate {
                div class="offer" {
                    p class="head" { (moved(&c.version, to)) }
                    p { (lists::built(scene, to)) (words::update_does(&c.name, &version_name(&c.version), &version_name(to))) }
                    @if c.next == "approve" { (lists::approve(scene, c)) } @else { (lists::update_now(scene, c)) }
                }
            }
            h3 { (words::FACTS) }
            (facts(scene, c))
            h3 { (words::HISTORY) }
            @if past.is_empty() { (empty(words::HISTORY_NONE)) }
            @else { ul class="rows" { @for u in past.iter().take(20) { (lists::past(scene, u, false)) } } }
            // Where history has the button, a second one would only ask which is meant.
            @if let Some(to) = c.rollback_to.as_ref().filter(|_| now.is_none() && !past.iter().any(|u| u.can_roll_back)) {
                (lists::roll_back(scene, &c.name, &c.version, to))
            }
        }
    }
}

fn facts(scene: &Scene<'_>, c: &ContainerView) -> Markup {
    let ports = c.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    html! {
        dl class="facts" {
            dt { "Policy" } dd { (words::policy(&c.policy)) @if !c.policy_origin.is_empty() { ", from " (c.policy_origin) } }
            dt { "Image" } dd { (parts::image(&c.image)) }
            dt { "Version" } dd { (parts::version(&c.version)) @if let Some(at) = c.version.built { ", built " (ago(scene, at)) } }
            dt { "Digest" } dd { (id(&c.version.digest)) }
            dt { "Health" } dd { (if c.health.is_empty() { "no health check" } else { &c.health }) }
            dt { "Ports" } dd { (if ports.is_empty() { "none published" } else { &ports }) }
            dt { "Project" } dd { (if c.project.is_empty() { "none" } else { &c.project }) }
            dt { "Container" } dd { (id(&c.id)) @if let Some(at) = c.created { ", made " (clock(scene, at)) } }
        }
    }
}
