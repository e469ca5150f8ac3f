//! The device: its panel, its engine, its clock, its program.
//!
//! Owns that place. Must never show a measure that the snapshot has not.

use maud::{Markup, html};

use super::parts::{ago, clock, prose};
use super::{Scene, panel, reset, words};

/// The whole place.
pub(super) fn draw(scene: &Scene<'_>) -> Markup {
    let status = &scene.view.status;
    let engine = &status.engine;
    let driver = match scene.view.panel.driver.as_str() {
        "" | "virtual" => "this drawing only; no lamps are wired",
        "rppal" => "GPIO lines, by rppal",
        "gpio" => "GPIO lines, by the kernel's character device",
        "led" => "the kernel's LEDs",
        other => other,
    };
    html! {
        h1 { (words::DEVICE) }
        div class="beside even" {
            (panel::section(scene, true))
            div {
                section aria-labelledby="engine" {
                    h2 id="engine" { (words::ENGINE) }
                    dl class="facts" {
                        dt { "State" }
                        dd {
                            (if engine.up { "answers" } else { "does not answer" })
                            @if let Some(since) = engine.since { ", since " (clock(scene, since)) }
                            @if let Some(error) = &engine.error { p class="why fault" { (prose(&words::sentence(error))) } }
                        }
                        dt { "Version" } dd { (or_unknown(&engine.version)) }
                        dt { "API" } dd { (or_unknown(&engine.api_version)) }
                        dt { "Address" } dd { code { (or_unknown(&engine.address)) } }
                        dt { "Containers" } dd { (status.well) " well, " (status.unwell) " not, " (status.total) " in all" }
                    }
                }
                section aria-labelledby="program" {
                    h2 id="program" { (words::PROGRAM) }
                    dl class="facts" {
                        dt { "Name" } dd { (or_unknown(&status.host_name)) }
                        dt { (words::NAME) } dd { (or_unknown(&status.version))
                            @if let Some(at) = status.started { ", started " (ago(scene, at)) } }
                        dt { "Lamps" } dd { (driver)
                            @if !scene.view.panel.why.is_empty() { p class="why" { (prose(&words::sentence(&scene.view.panel.why))) } }
                            @for problem in &scene.view.panel.problems { p class="why fault" { (prose(&words::sentence(problem))) } } }
                        dt { "Button" } dd { (if scene.view.panel.button.is_empty() { "none" } else { &scene.view.panel.button }) }
                    }
                }
                @if !scene.view.device.findings.is_empty() { (health(scene)) }
                section aria-labelledby="time" {
                    h2 id="time" { (words::TIME) }
                    dl class="facts" {
                        dt { "Now" } dd { (clock(scene, scene.ctx.now)) ", "
                            (if status.time_trusted { words::TIME_TRUSTED } else { words::TIME_NOT_TRUSTED }) }
                        dt { "Zone" } dd { (scene.ctx.time_zone.name()) }
                        dt { "Checks" } dd { (or_unknown(&status.schedule)) }
                    }
                }
                (reset::section(scene))
            }
        }
    }
}

/// Power, heat, card and memory.
fn health(scene: &Scene<'_>) -> Markup {
    let name = |measure: &str| match measure {
        "power" => "Power",
        "throttling" => "Slowed down",
        "temperature" => "Temperature",
        "space" => "Space",
        "card" => "Card",
        "wear" => "Wear",
        "memory" => "Memory of containers",
        _ => "Other",
    };
    let device = &scene.view.device;
    html! {
        section aria-labelledby="board" {
            h2 id="board" { (words::BOARD) }
            dl class="facts" {
                @if !device.model.is_empty() { dt { "Model" } dd { (device.model) } }
                @for finding in &device.findings {
                    dt { (name(&finding.measure)) }
                    dd {
                        (or_unknown(&finding.value))
                        @if finding.verdict == "bad" { p class="why fault" { (prose(&words::sentence(&finding.text))) } }
                        @else if finding.verdict != "good" { p class="why" { (prose(&words::sentence(&finding.text))) } }
                    }
                }
            }
        }
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}
