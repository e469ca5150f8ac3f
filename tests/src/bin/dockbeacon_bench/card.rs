//! The SD card image: sizes, the way to login and page with and without Dockbeacon, memory and writing of an idle device.
//!
//! Owns three boots under emulation, one after the other. Must never write to the image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dockbeacon_tests::card::{self, Card};
use dockbeacon_tests::idle;
use dockbeacon_tests::qemu::{Machine, Setup, Vm};

use super::{Row, megabytes, say};

const BOOT: Duration = Duration::from_secs(1200);
/// After this the start is over, also its last writing.
const CALM: Duration = Duration::from_secs(240);
/// What is taken for the day.
const WATCH: Duration = Duration::from_secs(600);
/// Everything of ours that starts at boot.
const OURS: [&str; 7] = [
    "dockbeacon.service",
    "dockbeacon-firstboot.service",
    "dockbeacon-provision.service",
    "dockbeacon-claim.path",
    "dockbeacon-claim.service",
    "dockbeacon-clock.timer",
    "dockbeacon-host.path",
];

/// All of it.
pub fn measure() -> Result<Vec<Row>> {
    let image = card::image()?;
    let mut rows = sizes(&image)?;
    let folder = tempfile::Builder::new().prefix("dockbeacon-card").tempdir()?;
    let copy = |name: &str| image.copy_to(&folder.path().join(name), 4);

    say("booting without Dockbeacon (some minutes)");
    let without = OURS.map(|unit| format!("systemd.mask={unit}")).join(" ");
    let mut vm = Setup::new(Machine::Virt).append(&without).start(&copy("without.img")?)?;
    vm.wait_console("login:", BOOT)?;
    let bare = vm.uptime().as_secs_f64();
    vm.cut();

    say("booting with it, for the first time");
    let mut vm = Setup::new(Machine::Virt).start(&copy("with.img")?)?;
    let (login, page) = wait_login_and_page(&mut vm)?;
    rows.push(Row::note("login prompt without Dockbeacon", format!("{bare:.0} s")));
    rows.push(Row::note("login prompt with it, first boot", format!("{login:.0} s")));
    rows.push(Row::note("page, first boot", format!("{page:.0} s")));
    rows.push(Row::limit("page, beside the login prompt without it", page / bare, "x", 2, 1.5));

    say("an idle device writes (some fifteen minutes)");
    settle(&mut vm)?;
    let day = idle::written(&mut vm, WATCH)?;
    rows.push(Row::limit("written in an idle day", megabytes(day.day()), "MB", 2, 5.0));
    rows.push(Row::note("  of it by itself", format!("{:.2} MB", megabytes(day.idle))));
    for (timer, times, bytes) in day.timers.iter().filter(|(_, _, bytes)| *bytes > 0) {
        rows.push(Row::note(&format!("  of it {timer}"), format!("{times} x {:.3} MB", megabytes(*bytes))));
    }
    vm.cut();

    say("booting on the board of a Raspberry Pi 3B (some minutes)");
    let mut vm = Setup::new(Machine::Raspi3b).start(&copy("board.img")?)?;
    settle(&mut vm)?;
    let seen = idle::memory(&mut vm)?;
    rows.push(Row::limit("memory in use, idle, of 1 GB", megabytes(seen.used * 1024), "MB", 0, 200.0));
    rows.push(Row::limit("  the daemon's", megabytes(seen.daemon * 1024), "MB", 1, 12.0));
    Ok(rows)
}

/// Of the file to load, and of what lies on the card.
fn sizes(image: &Card) -> Result<Vec<Row>> {
    let packed: PathBuf = format!("{}.xz", image.path.display()).into();
    let mut rows = Vec::new();
    if let Ok(file) = std::fs::metadata(&packed) {
        rows.push(Row::limit("image to load, .img.xz", megabytes(file.len()), "MB", 0, 350.0));
    }
    let used = blocks(&image.path)?;
    rows.push(Row::limit("image on the card", megabytes(used), "MB", 0, 1600.0));
    Ok(rows)
}

/// Bytes that a file with holes takes.
fn blocks(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(path.metadata().with_context(|| path.display().to_string())?.blocks() * 512)
}

/// Seconds from switching on until the console asks for a login, and until the page answers.
fn wait_login_and_page(vm: &mut Vm) -> Result<(f64, f64)> {
    let address = format!("https://127.0.0.1:{}/livez", vm.page);
    // Its certificate is its own.
    let ask = || Command::new("curl").args(["-sfk", "-m", "2", "-o", "/dev/null", &address]).status();
    let (mut login, mut page) = (None, None);
    let end = Instant::now() + BOOT;
    loop {
        if login.is_none() && vm.console_shows("login:") {
            login = Some(vm.uptime().as_secs_f64());
        }
        if page.is_none() && ask().context("cannot run curl")?.success() {
            page = Some(vm.uptime().as_secs_f64());
        }
        if let (Some(login), Some(page)) = (login, page) {
            return Ok((login, page));
        }
        if Instant::now() > end {
            bail!("within {BOOT:?} the login came after {login:?} s and the page after {page:?} s");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until everything has started, and has calmed down.
fn settle(vm: &mut Vm) -> Result<()> {
    let state = vm.wait_started(BOOT)?;
    if state != "running" {
        bail!("the device did not start well: {state}");
    }
    std::thread::sleep(CALM);
    Ok(())
}
