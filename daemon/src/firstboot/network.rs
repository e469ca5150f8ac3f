//! Network, a name of its own, true time.
//!
//! Owns waiting for them, each with a limit, and saying for what. Must never wait for ever, and must never change a name that nobody
//! else has.

use std::time::Duration;

use anyhow::Result;
use dockbeacon_core::provision::acts::host_name;
use dockbeacon_core::provision::name::{instead, way_out};
use dockbeacon_core::provision::report::Outcome;
use dockbeacon_core::provision::steps::Step;

use super::card::Card;
use super::report::{Reporter, say};
use super::{Done, claim, customise, identity, truth};
use crate::clock;
use crate::runner::{Run, installed};

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// The responder probes for less than a second, and announces for two more.
const SETTLED: Duration = Duration::from_secs(30);

/// So long after the network came, the responder must have heard whether somebody else has the name.
const OBJECTION: Duration = Duration::from_secs(5);

/// How it went.
pub struct Reached {
    /// The step.
    pub done: Done,
    /// The time can be believed.
    pub trusted: bool,
}

/// Waits for the network, sees to the name, and for true time.
pub async fn reach(
    card: &Card,
    patience: Duration,
    networks: &[String],
    time_from: &[String],
    reporter: &mut Reporter,
) -> Reached {
    let network = wait(
        patience,
        || connected(card),
        || {
            reporter.note(
                Step::Network,
                Outcome::Waiting,
                "waits for the network: a cable, or the wireless network",
            );
        },
    )
    .await;
    if !network {
        let about = if networks.is_empty() {
            "plug in a cable, or write wifi: with ssid: and password: into dockbeacon.yaml on the boot partition".to_owned()
        } else {
            format!("check name and password of {}, or plug in a cable", networks.join(", "))
        };
        let why =
            format!("no network after {} s; {about}. It is tried again every minute", patience.as_secs());
        return Reached { done: Done::Badly { why, again: true }, trusted: truth::known(card) };
    }
    if let Err(error) = own_name(card).await {
        say(&format!("first boot: the name: {error:#}"));
    }
    let ntp = wait(
        patience,
        || truth::known(card),
        || {
            reporter.note(Step::Network, Outcome::Waiting, "waits for the true time from a time server");
        },
    )
    .await;
    if ntp {
        return Reached { done: Done::well("the network is reached and the time is true"), trusted: true };
    }
    reporter.note(Step::Network, Outcome::Waiting, "no time server answers; asks web servers for the time");
    match truth::ask(card, time_from).await {
        Ok(message) => Reached { done: Done::well(message), trusted: true },
        Err(error) => Reached {
            done: Done::Badly {
                why: format!(
                    "the network is reached, but nobody tells the true time ({error:#}); write a time server that this network \
                     reaches as time-servers: into dockbeacon.yaml. It is tried again every minute; until then nothing is pulled"
                ),
                again: true,
            },
            trusted: false,
        },
    }
}

/// Whether it became so in time; `tell` is called if it is not so at once.
async fn wait(patience: Duration, so: impl Fn() -> bool, tell: impl FnOnce()) -> bool {
    if so() {
        return true;
    }
    tell();
    let until = clock::now().monotonic + patience;
    while clock::now().monotonic < until {
        tokio::time::sleep(LOOK.min(patience)).await;
        if so() {
            return true;
        }
    }
    false
}

/// Whether there is a way out: a default route.
fn connected(card: &Card) -> bool {
    let four = card.text("proc/net/route").unwrap_or_default();
    let six = card.text("proc/net/ipv6_route").unwrap_or_default();
    way_out(&four, &six)
}

/// Asks the responder for something without arguments; as busctl writes the answer.
async fn ask_responder(what: &str) -> Option<String> {
    let server = ["org.freedesktop.Avahi", "/", "org.freedesktop.Avahi.Server"];
    let arguments = ["--timeout=5", "call"].into_iter().chain(server).chain([what]);
    let answer = Run::new("busctl", arguments).patience(Duration::from_secs(10)).run().await;
    answer.ok().map(|answer| answer.trim().to_owned())
}

/// The name that the responder answers to.
async fn responder() -> Option<String> {
    let answer = ask_responder("GetHostName").await?;
    Some(answer.strip_prefix("s ").unwrap_or_default().trim_matches('"').to_owned())
}

/// A name that another device has gets the last four of the serial number.
async fn own_name(card: &Card) -> Result<()> {
    if !installed("busctl") {
        return Ok(());
    }
    let Some(ours) = identity::name(card) else { return Ok(()) };
    // Without a responder nobody can tell whose name it is.
    let Some(mut heard) = responder().await else { return Ok(()) };
    if card.is_live() {
        // The network is there only just: an objection takes as long as the question for the name.
        let until = clock::now().monotonic + OBJECTION;
        while heard == ours && clock::now().monotonic < until {
            tokio::time::sleep(LOOK).await;
            heard = responder().await.unwrap_or(heard);
        }
    }
    if heard != ours && card.is_live() {
        // It may have taken its own words for another's, as when an address changed under it: only who finds the name taken
        // twice has a rival. A new name would be for good, and the old one may be in somebody's bookmarks.
        Run::new("systemctl", ["restart", "avahi-daemon.service"]).run().await?;
        let until = clock::now().monotonic + SETTLED;
        while ask_responder("GetState").await.as_deref() != Some("i 2") && clock::now().monotonic < until {
            tokio::time::sleep(LOOK).await;
        }
        let Some(again) = responder().await else { return Ok(()) };
        heard = again;
    }
    let Some(name) = instead(&ours, &heard, &serial(card)) else { return Ok(()) };
    say(&format!("first boot: another device is called {ours}; this one is now {name}"));
    for act in host_name(&name, &card.text("etc/hosts").unwrap_or_default()) {
        customise::act(card, &act).await?;
    }
    if card.is_live() {
        Run::new("systemctl", ["restart", "avahi-daemon.service"]).run().await?;
    }
    claim::run(card).map(drop)
}

/// The board's serial number, else the machine's id.
fn serial(card: &Card) -> String {
    let board = ["proc/device-tree/serial-number", "sys/firmware/devicetree/base/serial-number"];
    let found = board
        .iter()
        .find_map(|path| card.text(path))
        .map(|text| text.trim_end_matches('\0').trim().to_owned());
    found
        .filter(|text| text.len() >= 4)
        .or_else(|| card.text("etc/machine-id"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}
