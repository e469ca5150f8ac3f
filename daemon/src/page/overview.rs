//! The overview: is all well; if not, what, since when, and what is being done; is anything waiting for me.
//!
//! Owns that order. Must never put anything before the answers.

use dockbeacon_core::auth::Role;
use maud::{Markup, html};

use super::parts::{Act, Weight, act, ago, clock, container_address, empty, prose, said, sign};
use super::{Scene, lists, panel, words};
use crate::view::{ContainerView, Mood};

/// The whole place.
pub(super) fn draw(scene: &Scene<'_>) -> Markup {
    html! {
        div class="overview" {
            div class="answers" {
                (hero(scene))
                (wrong(scene))
                (running(scene))
                @let waiting = lists::waiting(scene);
                @if !waiting.is_empty() {
                    section aria-labelledby="waiting" {
                        h2 id="waiting" { (words::WAITING) }
                        (lists::approvals(scene, &waiting))
                    }
                }
                (notices(scene))
            }
            (panel::section(scene, false))
            section class="lately" aria-labelledby="lately" {
                h2 id="lately" { (words::LATELY) }
                @if scene.view.events.is_empty() { (empty(words::LATELY_NONE)) }
                @else { (lists::events(scene, &scene.view.events, 10)) }
            }
        }
    }
}

fn hero(scene: &Scene<'_>) -> Markup {
    let status = &scene.view.status;
    html! {
        section class={ "hero " (words::mood(status.state)) } aria-labelledby="answer" {
            (sign(status.state))
            h1 id="answer" { (answer(scene)) }
            @if status.state != Mood::Starting {
            p class="mine" {
                @match lists::waiting(scene).len() {
                    0 => { (words::WAITING_NONE) }
                    n => { a href="#waiting" { (words::wait_here(n)) } "." }
                }
            }
            p class="checks" { (checks(scene)) }
            }
            @if status.state != Mood::Starting && scene.may(Role::Operate) {
                div class="buttons" {
                    (act(scene, &Act { action: "check", fields: vec![], label: words::CHECK, whom: "", busy: words::CHECK_BUSY,
                        weight: Weight::Quiet, ask: None }))
                    @if status.paused_until.is_some() { (resume(scene)) }
                }
            }
        }
    }
}

/// Is all well? What the engine's silence looks like in detail stands below, with what to do.
fn answer<'a>(scene: &'a Scene<'_>) -> std::borrow::Cow<'a, str> {
    let status = &scene.view.status;
    let silent = !status.engine.up && status.engine.error.is_some();
    if status.sentence.is_empty() {
        words::STARTING.into()
    } else if silent && status.state == Mood::Fault {
        words::sentence(words::ENGINE_DOWN).into()
    } else {
        status.sentence.as_str().into()
    }
}

/// When images were last asked for and will be next.
pub(super) fn checks(scene: &Scene<'_>) -> Markup {
    let status = &scene.view.status;
    html! {
        @if status.checking { (words::CHECKING) }
        @else {
            @match status.last_check {
                Some(at) => { "Last check " (ago(scene, at)) }
                None => { (words::NEVER_CHECKED) }
            }
        }
        @match status.next_check {
            Some(at) => { ", next " @if same_day(scene, at) { "at " } (clock(scene, at)) "." }
            None => { ", " (words::NO_NEXT) "." }
        }
        @if let Some(until) = status.paused_until {
            " " strong { "Updates are paused until " (clock(scene, until)) "." }
        }
    }
}

fn same_day(scene: &Scene<'_>, at: chrono::DateTime<chrono::Utc>) -> bool {
    let zone = scene.ctx.time_zone;
    at.with_timezone(&zone).date_naive() == scene.ctx.now.with_timezone(&zone).date_naive()
}

/// The button that lets updates go on.
pub(super) fn resume(scene: &Scene<'_>) -> Markup {
    act(
        scene,
        &Act {
            action: "resume",
            fields: vec![],
            label: words::RESUME,
            whom: "",
            busy: words::RESUME_BUSY,
            weight: Weight::Main,
            ask: None,
        },
    )
}

fn wrong(scene: &Scene<'_>) -> Markup {
    let engine = &scene.view.status.engine;
    // Before the first answer nothing is known, which is not the same as wrong.
    let down = !engine.up && engine.error.is_some();
    let faults: Vec<_> = scene.view.containers.iter().filter(|c| c.mood == Mood::Fault).collect();
    html! {
        @if down || !faults.is_empty() {
            section aria-labelledby="wrong" {
                h2 id="wrong" { (words::WRONG) }
                ul class="rows cards" {
                    @if down { (engine_down(scene)) }
                    @for c in faults.iter().take(8) { (fault(scene, c)) }
                }
                @if faults.len() > 8 { p { a href="/containers" { "and " (words::containers(faults.len() - 8)) " more" } } }
            }
        }
    }
}

fn engine_down(scene: &Scene<'_>) -> Markup {
    let engine = &scene.view.status.engine;
    html! {
        li class="row card fault" data-key="engine" {
            (sign(Mood::Fault))
            div class="what" {
                p { strong { (words::ENGINE_DOWN) } @if let Some(since) = engine.since { ", since " (clock(scene, since)) } "." }
                p class="why" { (prose(&words::sentence(engine.error.as_deref().unwrap_or_default()))) }
                p class="does" { (words::ENGINE_DOWN_DOES) }
            }
        }
    }
}

fn fault(scene: &Scene<'_>, c: &ContainerView) -> Markup {
    html! {
        li class="row card fault" data-key={ "fault-" (c.name) } {
            (sign(Mood::Fault))
            div class="what" {
                p class="head" { a class="name" href=(container_address(&c.name)) { (c.name) } " " span class="said" { (c.status) } }
                p class="why" { (prose(&said(scene, &c.reason.text))) }
            }
        }
    }
}

fn running(scene: &Scene<'_>) -> Markup {
    let under_way: Vec<_> = scene.view.updates.iter().filter(|u| u.outcome == "running").collect();
    html! {
        @if !under_way.is_empty() {
            section aria-labelledby="running" {
                h2 id="running" { (words::RUNNING) }
                ul class="rows cards" { @for u in under_way { (lists::running(u)) } }
            }
        }
    }
}

fn notices(scene: &Scene<'_>) -> Markup {
    let status = &scene.view.status;
    let unsure = !status.time_trusted && status.state != Mood::Starting;
    html! {
        @if unsure || !status.notices.is_empty() {
            section aria-labelledby="notices" {
                h2 id="notices" { (words::NOTICES) }
                ul class="plain" {
                    @if unsure { li { (words::TIME_UNKNOWN) } }
                    @for notice in &status.notices { li { (prose(&said(scene, notice))) } }
                }
            }
        }
    }
}
