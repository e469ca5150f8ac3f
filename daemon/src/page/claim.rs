//! The places of a stranger: claim, login, the way to https, and nowhere.
//!
//! Owns their forms. Must never show anything of the device but its lamps while it has no owner.

use maud::{Markup, html};

use super::{Scene, panel, words};

fn hidden(scene: &Scene<'_>) -> Markup {
    html! { input type="hidden" name="return" value=(scene.here); }
}

/// Takes ownership, or says that somebody has.
pub(super) fn claim(scene: &Scene<'_>) -> Markup {
    html! {
        div class="door" {
            // An unclaimed device shows one thing: that it waits for its owner.
            @if !scene.ctx.claimed { (panel::board(&scene.view.panel)) }
            h1 { (words::CLAIM) }
            @if scene.ctx.claimed {
                p { (words::CLAIMED_LEAD) }
                p { (words::CLAIMED_HOW) " " code { (words::RESET_COMMAND) } "." }
                p { a class="button main" href="/login" { (words::LOGIN) } }
            } @else {
                p { (words::CLAIM_LEAD) }
                @if !scene.view.panel.button.is_empty() { (by_press(scene)) }
                form method="post" action="/actions/claim" data-act data-leave="/" {
                    (hidden(scene))
                    label for="code" { (words::CODE) }
                    input id="code" name="code" type="text" required autocomplete="one-time-code" autocapitalize="characters"
                        spellcheck="false" class="mono" aria-describedby="code-help";
                    p id="code-help" class="help" { (words::CLAIM_WHERE) " " (words::CODE_HELP) }
                    label for="password" { (words::NEW_PASSWORD) }
                    input id="password" name="password" type="password" required minlength="10" autocomplete="new-password"
                        aria-describedby="password-help";
                    p id="password-help" class="help" { (words::NEW_PASSWORD_HELP) }
                    button class="button main" type="submit" data-busy=(words::CLAIM_BUSY) { span class="label" { (words::CLAIM_DO) } }
                }
                div class="hint" {
                    p { (words::CLAIM_AGAIN) }
                    pre tabindex="0" { code { (words::RESET_COMMAND) } }
                }
            }
        }
    }
}

/// The form that is answered when the button on the device is pressed.
fn by_press(scene: &Scene<'_>) -> Markup {
    html! {
        form method="post" action="/actions/claim" data-act data-leave="/" {
            (hidden(scene))
            input type="hidden" name="way" value="press";
            label for="press-password" { (words::NEW_PASSWORD) }
            input id="press-password" name="password" type="password" required minlength="10" autocomplete="new-password"
                aria-describedby="press-help";
            p id="press-help" class="help" { (words::NEW_PASSWORD_HELP) " " (words::CLAIM_PRESS_HELP) }
            button class="button main" type="submit" data-busy=(words::CLAIM_PRESS_BUSY) { span class="label" { (words::CLAIM_PRESS) } }
        }
        p class="help" { (words::CLAIM_OR) }
    }
}

/// Asks for the password.
pub(super) fn login(scene: &Scene<'_>) -> Markup {
    html! {
        div class="door" {
            h1 { (words::LOGIN) }
            p { (words::LOGIN_LEAD) }
            form method="post" action="/actions/login" data-act data-leave=(scene.here) {
                (hidden(scene))
                label for="password" { (words::PASSWORD) }
                input id="password" name="password" type="password" required autocomplete="current-password" autofocus;
                button class="button main" type="submit" data-busy=(words::LOGIN_BUSY) { span class="label" { (words::LOGIN) } }
            }
            details class="hint" {
                summary { (words::LOST) }
                p { "On the device, as root:" }
                pre tabindex="0" { code { (words::RESET_COMMAND) } }
            }
        }
    }
}

/// Explains why there is nothing to see here, and leads to where there is.
pub(super) fn plain(https: &str) -> Markup {
    html! {
        div class="door" {
            h1 { (words::PLAIN) }
            p { (words::PLAIN_WHY) }
            p { a class="button main" href=(https) { (words::PLAIN_GO) } }
            div class="hint" {
                p { (words::PLAIN_WARNING) }
                p { (words::PLAIN_COMPARE) }
            }
        }
    }
}

/// There is nothing at this address.
pub(super) fn not_found() -> Markup {
    html! {
        div class="door" {
            h1 { (words::LOST_PLACE) }
            p { (words::LOST_PLACE_HOW) }
            p { a class="button main" href="/" { (words::TO_OVERVIEW) } }
        }
    }
}
