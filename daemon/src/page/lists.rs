//! Rows that several places share: an approval, an update's steps, a line of history, what happened.
//!
//! Owns their markup. Must never leave out why: each row says it.

use dockbeacon_core::auth::Role;
use maud::{Markup, html};

use super::parts::{
    Act, Ask, Weight, act, ago, clock, container_address, moved, said, sign, update_address, version_name,
};
use super::{Scene, words};
use crate::view::{ContainerView, EventView, Mood, StepView, UpdateView, VersionView};

/// A candidate's age: how old the image is that would come.
pub(super) fn built(scene: &Scene<'_>, v: &VersionView) -> Markup {
    html! { @if let Some(at) = v.built { "Built " (ago(scene, at)) ". " } }
}

/// The containers that wait for approval.
pub(super) fn waiting<'a>(scene: &Scene<'a>) -> Vec<&'a ContainerView> {
    scene.view.containers.iter().filter(|c| c.next == "approve" && c.updating.is_none()).collect()
}

/// Each of those that wait with its button, and one button for all where there are several.
pub(super) fn approvals(scene: &Scene<'_>, waiting: &[&ContainerView]) -> Markup {
    html! {
        ul class="rows cards" {
            @for c in waiting { (approval(scene, c)) }
        }
        @if waiting.len() > 1 && scene.may(Role::Operate) {
            @let fields = waiting.iter().map(|c| ("container", c.name.as_str()))
                .chain([("fingerprint", scene.view.plan.fingerprint.as_str())]).collect();
            (act(scene, &Act { action: "approve", fields, label: &words::approve_all(waiting.len()), whom: "",
                busy: words::APPROVE_BUSY, weight: Weight::Quiet, ask: None }))
        }
    }
}

fn approval(scene: &Scene<'_>, c: &ContainerView) -> Markup {
    let to = c.candidate.clone().unwrap_or_default();
    html! {
        li class="row card waiting" data-key={ "approve-" (c.name) } {
            (sign(Mood::Waiting))
            div class="what" {
                p class="head" { a class="name" href=(container_address(&c.name)) { (c.name) } " " (moved(&c.version, &to)) }
                p class="why" { (built(scene, &to)) (said(scene, &c.reason.text))
                    @if !c.policy_origin.is_empty() { " Asked for by " (c.policy_origin) "." } }
                p class="does" { (words::update_does(&c.name, &version_name(&c.version), &version_name(&to))) }
            }
            (approve(scene, c))
        }
    }
}

/// The button that approves one candidate under the plan's fingerprint.
pub(super) fn approve(scene: &Scene<'_>, c: &ContainerView) -> Markup {
    html! {
        @if scene.may(Role::Operate) {
            (act(scene, &Act { action: "approve",
                fields: vec![("container", &c.name), ("fingerprint", &scene.view.plan.fingerprint)],
                label: words::APPROVE, whom: &c.name, busy: words::APPROVE_BUSY, weight: Weight::Main, ask: None }))
        }
    }
}

/// The button that updates one container by hand.
pub(super) fn update_now(scene: &Scene<'_>, c: &ContainerView) -> Markup {
    let to = c.candidate.as_ref().map(version_name).unwrap_or_default();
    html! {
        @if scene.may(Role::Operate) {
            (act(scene, &Act { action: "update", fields: vec![("container", &c.name)], label: words::UPDATE, whom: &c.name,
                busy: words::UPDATE_BUSY, weight: Weight::Quiet,
                ask: Some(Ask { title: words::update_ask(&c.name),
                    text: words::update_does(&c.name, &version_name(&c.version), &to) }) }))
        }
    }
}

/// The button that puts the earlier version back.
pub(super) fn roll_back(scene: &Scene<'_>, name: &str, from: &VersionView, to: &VersionView) -> Markup {
    html! {
        @if scene.may(Role::Operate) {
            (act(scene, &Act { action: "rollback", fields: vec![("container", name)], label: words::ROLLBACK,
                whom: &format!("{name} to {}", version_name(to)), busy: words::ROLLBACK_BUSY, weight: Weight::Quiet,
                ask: Some(Ask { title: words::rollback_ask(name, &version_name(to)),
                    text: words::rollback_does(name, &version_name(from)) }) }))
        }
    }
}

/// What an outcome means.
pub(super) fn outcome_mood(u: &UpdateView) -> Mood {
    match u.outcome.as_str() {
        "running" => Mood::Working,
        "updated" | "unchanged" => Mood::Well,
        "failed" | "rolled-back" | "rolled_back" | "stood-back" | "stood_back" => Mood::Waiting,
        _ => Mood::Fault,
    }
}

/// The order in which an update that goes well passes its states.
const ROAD: [&str; 6] = ["pulling", "creating", "stopping", "starting", "verifying", "committing"];

/// The steps that were taken with the time spent in each, then (while it runs and is not on its way back) those to come.
pub(super) fn steps(u: &UpdateView) -> Markup {
    let running = u.outcome == "running";
    let told: Vec<_> = u.steps.iter().filter(|s| !matches!(s.state.as_str(), "planned" | "done")).collect();
    let back = told.iter().any(|s| s.state.starts_with("roll"));
    // Where it is on the road: the last state passed, aliases included.
    let at = told.iter().filter_map(|s| place_on_road(&s.state)).max();
    let ahead: &[&str] = match at {
        _ if !running || back => &[],
        None => &ROAD,
        Some(at) => ROAD.get(at + 1..).unwrap_or_default(),
    };
    html! {
        ol class="steps" aria-label=(words::STEPS) {
            @for (i, s) in told.iter().enumerate() {
                @let now = running && i + 1 == told.len();
                (step(s, now, u))
            }
            @for state in ahead { li class="ahead" { span class="dot" {} span class="state" { (words::step(state)) } } }
        }
    }
}

fn step(s: &StepView, now: bool, u: &UpdateView) -> Markup {
    let class = match s.state.as_str() {
        _ if now => "now",
        "rolling_back" | "rolling-back" | "rolled_back" | "rolled-back" | "stood_back" | "stood-back" => {
            "back"
        }
        _ if u.outcome == "lost" => "past",
        _ => "past",
    };
    // A state that is only an end has no time of its own.
    let end = matches!(s.state.as_str(), "rolled_back" | "rolled-back" | "stood_back" | "stood-back");
    html! {
        li class=(class) aria-current=[now.then_some("step")] {
            span class="dot" {}
            span class="state" { (words::step(&s.state)) }
            @if !end {
                span class="spent" data-running=[s.at.filter(|_| now).map(|t| t.to_rfc3339())] { (words::duration(s.seconds)) }
            }
            @if !s.detail.is_empty() { span class="detail" { (s.detail) } }
        }
    }
}

fn place_on_road(state: &str) -> Option<usize> {
    let state = if state == "parking" { "stopping" } else { state };
    ROAD.iter().position(|s| *s == state)
}

/// A run under way, with its steps.
pub(super) fn running(u: &UpdateView) -> Markup {
    html! {
        li class="row card working" data-key={ "running-" (u.tx) } {
            (sign(Mood::Working))
            div class="what" {
                p class="head" { a class="name" href=(update_address(&u.tx)) { (u.container) } " " (moved(&u.from, &u.to)) }
                p class="why" { (told(u)) }
                (steps(u))
            }
        }
    }
}

/// Why it was begun, or at least that somebody asked.
fn begun(u: &UpdateView) -> String {
    let text = if u.message.is_empty() { &u.cause } else { &u.message };
    if text.is_empty() {
        words::BY_HAND.to_owned()
    } else {
        words::sentence_unless(text, |word| word == u.container)
    }
}

/// How it ended and why, without saying the same word twice.
pub(super) fn told(u: &UpdateView) -> Markup {
    let outcome = words::outcome(&u.outcome, &u.kind);
    let story = begun(u);
    let twice = story.to_lowercase().starts_with(&outcome.to_lowercase());
    html! { @if !twice { strong { (outcome) } ". " } (story) }
}

/// A run that has ended, as a line of history.
pub(super) fn past(scene: &Scene<'_>, u: &UpdateView, chosen: bool) -> Markup {
    html! {
        li class="row" data-key={ "past-" (u.tx) } {
            (sign(outcome_mood(u)))
            div class="what" {
                p class="head" {
                    a class="name" href=(update_address(&u.tx)) aria-current=[chosen.then_some("true")] { (u.container) }
                    " " (moved(&u.from, &u.to))
                }
                p class="why" { (told(u)) }
                p class="when" { (ended(scene, u)) }
            }
            @if u.can_roll_back { (roll_back(scene, &u.container, &u.to, &u.from)) }
        }
    }
}

/// When it ended and how long it took.
pub(super) fn ended(scene: &Scene<'_>, u: &UpdateView) -> Markup {
    html! {
        @match (u.started, u.ended) {
            (Some(start), Some(end)) => {
                (ago(scene, end)) ", took " (words::duration((end - start).num_milliseconds() as f64 / 1000.0))
            }
            (Some(start), None) => { "begun " (ago(scene, start)) }
            (None, Some(end)) => { (ago(scene, end)) }
            (None, None) => { "at a time that was not recorded" }
        }
    }
}

/// What happened last.
pub(super) fn events(scene: &Scene<'_>, events: &[EventView], most: usize) -> Markup {
    html! {
        ul class="rows events" {
            @for e in events.iter().take(most) {
                li class="row" data-key={ "event-" (e.id) } {
                    (sign(e.mood))
                    div class="what" {
                        p { (said(scene, &e.text)) }
                        p class="when" { (ago(scene, e.at)) ", " (clock(scene, e.at))
                            @if !e.container.is_empty() { " · " a href=(container_address(&e.container)) { (e.container) } } }
                    }
                }
            }
        }
    }
}
