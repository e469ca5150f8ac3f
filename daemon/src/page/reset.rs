//! Back to a new device: asked for here, carried out by the next start.
//!
//! Owns that section. Must never be drawn where no first boot would carry it out.

use dockbeacon_core::auth::Role;
use maud::{Markup, html};

use super::parts::{Act, Weight, act};
use super::{Scene, words};

/// The section; nothing where there is nothing to offer.
pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let device = &scene.view.device;
    if !device.can_reset || !scene.may(Role::Admin) {
        return html! {};
    }
    html! {
        section class="reset" aria-labelledby="reset" {
            h2 id="reset" { (words::RESET) }
            @if device.reset_asked.is_empty() { (form(scene)) } @else {
                p class="why fault" {
                    (if device.reset_asked == "everything" { words::RESET_ASKED_ALL } else { words::RESET_ASKED })
                }
                (act(scene, &Act { action: "factory-reset-cancel", fields: vec![], label: words::RESET_CANCEL, whom: "",
                    busy: words::RESET_CANCEL_BUSY, weight: Weight::Main, ask: None }))
            }
        }
    }
}

fn form(scene: &Scene<'_>) -> Markup {
    let name = &scene.view.status.host_name;
    html! {
        details class="still" {
            summary { (words::RESET_OPEN) }
            form method="post" action="/actions/factory-reset" data-act {
                input type="hidden" name="return" value=(scene.here);
                fieldset {
                    legend { (words::RESET_WHAT) }
                    label { input type="radio" name="extent" value="settings" checked; " " (words::RESET_SETTINGS) }
                    label { input type="radio" name="extent" value="everything"; " " (words::RESET_ALL) }
                }
                label for="reset-name" { (words::RESET_NAME) " " code { (name) } }
                input id="reset-name" name="name" type="text" autocomplete="off" autocapitalize="none" spellcheck="false";
                label for="reset-password" { (words::PASSWORD) }
                input id="reset-password" name="password" type="password" required autocomplete="current-password";
                label { input type="checkbox" name="now" value="yes"; " " (words::RESET_NOW) }
                button class="button" type="submit" data-busy=(words::RESET_BUSY) { span class="label" { (words::RESET_DO) } }
            }
        }
    }
}
