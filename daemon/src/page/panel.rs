//! The virtual front panel: the board as a drawing, its rhythm as data, its button as forms.
//!
//! Owns the drawing. Must never choose a rhythm: the snapshot has it, the same that the real lamps show.

use dockbeacon_core::auth::Role;
use maud::{Markup, html};

use super::parts::{Act, Weight, act, said};
use super::{Scene, words};
use crate::view::{LampView, PanelView};

/// Without a script: lit where the rhythm is ever lit.
fn steady(lamp: &LampView) -> f32 {
    lamp.pattern.iter().map(|b| b.level).fold(0.0, f32::max)
}

/// The board with its lamps. One per document: the gradients have fixed ids.
pub(super) fn board(panel: &PanelView) -> Markup {
    let dark = |name: &str| LampView { name: name.to_owned(), pattern: vec![] };
    let lamps = if panel.lamps.is_empty() {
        vec![dark("health"), dark("update"), dark("fault")]
    } else {
        panel.lamps.clone()
    };
    let since = panel.since.map(|t| t.timestamp_millis());
    // The lamps share the board's left part; the button sits at its right.
    let span = 192 / lamps.len().min(6);
    html! {
        beacon-panel data-since=[since] {
            svg class="board" viewBox="0 0 320 148" role="img" aria-label=(format!("{}: {}", words::PANEL, panel.words)) {
                defs {
                    linearGradient id="board-face" x1="0" y1="0" x2="0" y2="1" {
                        stop offset="0" stop-color="#17506f" {} stop offset="1" stop-color="#0f3850" {}
                    }
                    radialGradient id="glow-health" { stop offset="0" stop-color="#7dffb8" {} stop offset=".35" stop-color="#2ee58a" stop-opacity=".55" {} stop offset="1" stop-color="#2ee58a" stop-opacity="0" {} }
                    radialGradient id="glow-update" { stop offset="0" stop-color="#ffe9a8" {} stop offset=".35" stop-color="#ffc53d" stop-opacity=".55" {} stop offset="1" stop-color="#ffc53d" stop-opacity="0" {} }
                    radialGradient id="glow-fault" { stop offset="0" stop-color="#ffb3a6" {} stop offset=".35" stop-color="#ff5440" stop-opacity=".6" {} stop offset="1" stop-color="#ff5440" stop-opacity="0" {} }
                }
                rect x="1" y="1" width="318" height="146" rx="14" fill="url(#board-face)" stroke="#2c7196" stroke-width="1.500" {}
                // Traces, header and holes: what makes it a board and not a card.
                path d="M70 30v12l-15 14v12M86 30v22M120 30v36M138 30v16l8 8v10M170 30v12l15 14v12M236 30v34M258 30v34" fill="none" stroke="#2a6a8d" stroke-width="2" {}
                rect x="50" y="10" width="220" height="22" rx="3" fill="#0a2232" {}
                path d="M60 16.500h206M60 25.500h206" stroke="#d9b45a" stroke-width="4" stroke-linecap="round" stroke-dasharray="0 10.500" {}
                @for (x, y) in [(18, 18), (302, 18), (18, 131), (302, 131)] {
                    circle cx=(x) cy=(y) r="7" fill="none" stroke="#d9b45a" stroke-width="2.500" {}
                    circle cx=(x) cy=(y) r="4.500" fill="#071a26" {}
                }
                @for (place, lamp) in lamps.iter().take(6).enumerate() {
                    @let x = 26 + span * place + span / 2;
                    @let kind = match lamp.name.as_str() { "update" => "update", "fault" => "fault", _ => "health" };
                    circle cx=(x) cy="84" r="15" fill="#0a2232" {}
                    circle class={ "lens " (kind) } cx=(x) cy="84" r="11" {}
                    g class={ "lit " (kind) } data-beats=(beats(lamp)) opacity=(steady(lamp)) {
                        circle cx=(x) cy="84" r="34" fill={ "url(#glow-" (kind) ")" } {}
                        circle class="core" cx=(x) cy="84" r="11" {}
                        ellipse cx=(x - 3) cy="80" rx="4" ry="3" fill="#fff" opacity=".85" {}
                    }
                    text class="silk" x=(x) y="121" text-anchor="middle" { (lamp.name) }
                }
                rect x="226" y="62" width="44" height="44" rx="6" fill="#c9d3d9" {}
                rect x="226" y="62" width="44" height="44" rx="6" fill="none" stroke="#8a99a3" stroke-width="2" {}
                @for (x, y) in [(232, 68), (264, 68), (232, 100), (264, 100)] { circle cx=(x) cy=(y) r="2" fill="#8a99a3" {} }
                circle class="cap" cx="248" cy="84" r="14" fill="#1c2a33" stroke="#0d171d" stroke-width="1.500" {}
                path d="M238 78a12 12 0 0 1 20 0" fill="none" stroke="#51636e" stroke-width="2" stroke-linecap="round" {}
                text class="silk" x="248" y="121" text-anchor="middle" { "button" }
            }
        }
    }
}

/// The rhythm as the script reads it: `level,milliseconds,fade` per beat, beats separated by spaces.
fn beats(lamp: &LampView) -> String {
    let beat = |b: &crate::view::BeatView| format!("{},{},{}", b.level, b.ms, u8::from(b.fade));
    lamp.pattern.iter().map(beat).collect::<Vec<_>>().join(" ")
}

/// The board, what it says, and what its button would do.
pub(super) fn section(scene: &Scene<'_>, with_identify: bool) -> Markup {
    let panel = &scene.view.panel;
    let gesture = |gesture: &'static str, label: &'static str| {
        let fields = vec![("gesture", gesture)];
        act(
            scene,
            &Act {
                action: "press",
                fields,
                label,
                whom: "",
                busy: words::PRESS_BUSY,
                weight: Weight::Quiet,
                ask: None,
            },
        )
    };
    html! {
        section class="panel" aria-labelledby="panel" {
            h2 id="panel" { (words::PANEL) }
            (board(panel))
            p class="shows" { "Shows: " strong { (shown(panel)) } }
            @if scene.may(Role::Admin) {
                ul class="gestures" {
                    @if !panel.press.is_empty() { li { (gesture("press", words::PRESS)) p { (said(scene, &panel.press)) } } }
                    @if !panel.double_press.is_empty() {
                        li { (gesture("double-press", words::DOUBLE_PRESS)) p { (said(scene, &panel.double_press)) } }
                    }
                    @if with_identify {
                        li {
                            (act(scene, &Act { action: "identify", fields: vec![], label: words::IDENTIFY, whom: "",
                                busy: words::IDENTIFY_BUSY, weight: Weight::Quiet, ask: None }))
                            p { (words::IDENTIFY_DOES) }
                        }
                    }
                }
            }
        }
    }
}

fn shown(panel: &PanelView) -> &str {
    if panel.words.is_empty() { "nothing yet" } else { &panel.words }
}
