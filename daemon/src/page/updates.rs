//! The updates: what runs, what would move and why not, what was done; and one update's story.
//!
//! Owns that place. Must never sort the plan: its order is the order of the run.

use dockbeacon_core::auth::Role;
use maud::{Markup, html};

use super::parts::{
    Act, Ask, Weight, act, ago, calm, container_address, empty, icon, id, image, moved, prose, said, sign,
    version, version_name,
};
use super::{Scene, lists, overview, words};
use crate::view::{Mood, PlanEntryView, UpdateView};

/// The whole place.
pub(super) fn draw(scene: &Scene<'_>) -> Markup {
    html! {
        h1 { (words::UPDATES) }
        p class="lead" { (overview::checks(scene)) }
        (controls(scene))
        div class="beside even" {
            div class="list" {
                (running(scene))
                (plan(scene))
            }
            (past(scene, None))
        }
    }
}

fn controls(scene: &Scene<'_>) -> Markup {
    let paused = scene.view.status.paused_until.is_some();
    html! {
        @if scene.may(Role::Operate) {
            div class="buttons" {
                (act(scene, &Act { action: "check", fields: vec![], label: words::CHECK, whom: "", busy: words::CHECK_BUSY,
                    weight: Weight::Quiet, ask: None }))
                @if paused { (overview::resume(scene)) } @else {
                    (act(scene, &Act { action: "pause", fields: vec![("hours", "24")], label: words::PAUSE, whom: "",
                        busy: words::PAUSE_BUSY, weight: Weight::Quiet, ask: None }))
                }
            }
            p class="does" { strong { (words::CHECK) } ": " (words::CHECK_DOES) @if !paused { " " strong { (words::PAUSE) } ": " (words::PAUSE_DOES) } }
        }
    }
}

fn running(scene: &Scene<'_>) -> Markup {
    let now: Vec<_> = scene.view.updates.iter().filter(|u| u.outcome == "running").collect();
    html! {
        @if !now.is_empty() {
            section aria-labelledby="running" {
                h2 id="running" { (words::RUNNING) }
                ul class="rows cards" { @for u in now { (lists::running(u)) } }
            }
        }
    }
}

fn plan(scene: &Scene<'_>) -> Markup {
    let plan = &scene.view.plan;
    let (moving, still): (Vec<_>, Vec<_>) = plan.entries.iter().partition(|e| e.action != "none");
    let next = moving.iter().filter(|e| e.action == "update").count();
    html! {
        section aria-labelledby="plan" {
            h2 id="plan" { (words::PLAN) }
            @if plan.entries.is_empty() { (empty(words::PLAN_NONE)) }
            @else {
                @if moving.is_empty() { p class="still" { (words::PLAN_STILL) } }
                @else {
                    p class="does" { (words::PLAN_HOW) }
                    ol class="rows plan" { @for e in &moving { (entry(scene, e)) } }
                }
                @if next > 0 && scene.may(Role::Operate) {
                    (act(scene, &Act { action: "update", fields: vec![], label: words::RUN, whom: "", busy: words::UPDATE_BUSY,
                        weight: Weight::Main, ask: Some(Ask { title: words::run_ask(next), text: words::PLAN_HOW.to_owned() }) }))
                }
                @if !still.is_empty() {
                    details class="still" data-key="still" open[moving.is_empty() && still.len() <= 12] {
                        summary { (words::stay(still.len())) }
                        ul class="rows" { @for e in &still { (entry(scene, e)) } }
                    }
                }
                @if let Some(made) = plan.made { p class="when" { "Made " (ago(scene, made)) "." } }
            }
        }
    }
}

fn entry(scene: &Scene<'_>, e: &PlanEntryView) -> Markup {
    let container = scene.view.containers.iter().find(|c| c.name == e.container);
    // A plan says nothing of health: a sick service that has no newer image must not look well here.
    let fault = container.is_some_and(|c| c.mood == Mood::Fault);
    let mark = match e.action.as_str() {
        _ if fault => sign(Mood::Fault),
        "approve" => sign(Mood::Waiting),
        "update" => calm("next", words::NEXT_RUN),
        "report" => calm("seen", words::WATCHED),
        _ => sign(Mood::Well),
    };
    html! {
        li class="row" data-key={ "plan-" (e.container) } {
            (mark)
            div class="what" {
                p class="head" {
                    a class="name" href=(container_address(&e.container)) { (e.container) } " "
                    @match &e.to { Some(to) if e.action != "none" => { (moved(&e.from, to)) } _ => { (version(&e.from)) } }
                }
                p class="why" { (prose(&said(scene, &e.reason.text))) }
                @if !e.steps.is_empty() {
                    details data-key={ "steps-" (e.container) } {
                        summary { (e.steps.len()) " steps" }
                        ol class="does" { @for s in &e.steps { li { (said(scene, s)) } } }
                    }
                }
            }
            @if e.action == "approve" && let Some(c) = container.filter(|c| c.updating.is_none()) { (lists::approve(scene, c)) }
        }
    }
}

fn past(scene: &Scene<'_>, chosen: Option<&str>) -> Markup {
    let past: Vec<_> = scene.view.updates.iter().filter(|u| u.outcome != "running").collect();
    html! {
        section class={ "list" @if chosen.is_some() { " aside" } } aria-labelledby="past" {
            h2 id="past" { (words::PAST) }
            @if past.is_empty() { (empty(words::PAST_NONE)) }
            @else {
                ul class="rows" { @for u in &past { (lists::past(scene, u, chosen == Some(u.tx.as_str()))) } }
            }
        }
    }
}

/// One update's story and its title; history beside it where there is room. `None` when it is not in the snapshot.
pub(super) fn draw_one(scene: &Scene<'_>, tx: &str) -> Option<(String, Markup)> {
    let u = scene.view.updates.iter().find(|u| u.tx == tx)?;
    let title = format!("{}: {}", words::outcome(&u.outcome, &u.kind), u.container);
    let body = html! {
        div class="beside one" {
            (past(scene, Some(tx)))
            (story(scene, u))
        }
    };
    Some((title, body))
}

fn story(scene: &Scene<'_>, u: &UpdateView) -> Markup {
    let mood = lists::outcome_mood(u);
    html! {
        article class="detail" aria-labelledby="one" {
            p class="up" { a href="/updates" { (icon("back")) (words::ALL_UPDATES) } }
            header class={ "one " (words::mood(mood)) } {
                (sign(mood))
                h1 id="one" { (u.container) }
                p class="head" { (moved(&u.from, &u.to)) }
                p class="why" { (lists::told(u)) }
                p class="when" { (lists::ended(scene, u)) }
            }
            @if u.can_roll_back { (lists::roll_back(scene, &u.container, &u.to, &u.from)) }
            h3 { (words::STEPS) }
            (lists::steps(u))
            @if !u.log.is_empty() {
                h3 { (words::LOG) }
                pre class="log" tabindex="0" { code { @for line in &u.log { (line) "\n" } } }
            }
            h3 { (words::DETAILS) }
            dl class="facts" {
                dt { "Why" } dd { (if u.cause.is_empty() { "not recorded".to_owned() } else { words::sentence(&u.cause) }) }
                dt { "Container" } dd { a href=(container_address(&u.container)) { (u.container) } }
                dt { "Image" } dd { (image(&u.image)) }
                dt { "From" } dd { (version_name(&u.from)) " " (id(&u.from.digest)) }
                dt { "To" } dd { (version_name(&u.to)) " " (id(&u.to.digest)) }
                dt { "Transaction" } dd { code { (u.tx) } }
            }
        }
    }
}
