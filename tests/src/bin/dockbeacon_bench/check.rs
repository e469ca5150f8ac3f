//! How long one check takes, whole process, beside a bare client that sends the same requests.
//!
//! Owns pairing and counting. Must never let a warm state folder help.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dockbeacon_tests::daemon::Home;

use super::household::{CONTAINERS, Household, IMAGES, ROUND_TRIP};
use super::{Row, median, say, span};

/// Pairs measured; the first one more warms the caches of both.
const PAIRS: usize = 11;

/// Measures.
pub async fn measure(house: &Household) -> Result<Vec<Row>> {
    say("checking, beside a bare client");
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut heads = (usize::MAX, 0);
    for pair in 0..=PAIRS {
        let (first, second);
        if pair % 2 == 0 {
            (first, second) = (dockbeacon(house, pair, &mut heads).await?, client(house).await?);
        } else {
            let bare = client(house).await?;
            (first, second) = (dockbeacon(house, pair, &mut heads).await?, bare);
        }
        if pair > 0 {
            ours.push(first);
            bare.push(second);
            ratios.push(first / second);
        }
    }
    let (low, high) = span(&ours);
    let (bare_low, bare_high) = span(&bare);
    let what = format!("check, {CONTAINERS} containers, {IMAGES} images, {} ms line", ROUND_TRIP.as_millis());
    Ok(vec![
        Row::limit(&what, median(&ours), "s", 3, 0.27),
        Row::note("  fastest and slowest of 11", format!("{low:.3} s, {high:.3} s")),
        Row::note(
            "  bare client in the same run",
            format!("{:.3} s ({bare_low:.3} s, {bare_high:.3} s)", median(&bare)),
        ),
        Row::limit("  check over bare client, median of pairs", median(&ratios), "x", 2, 1.3),
        Row::note("  HEADs in the registry's log per check", format!("{} to {}", heads.0, heads.1)),
    ])
}

/// One `dockbeacon check` with a fresh state folder, in seconds.
async fn dockbeacon(house: &Household, round: usize, heads: &mut (usize, usize)) -> Result<f64> {
    let folder = house.place.path().join(format!("check{round}"));
    std::fs::create_dir_all(&folder)?;
    let home = Home::new(&folder, &house.place.engine.host, &house.settings())?;
    house.registry.clear_log();
    let begun = Instant::now();
    let output = home.cli(&["check"])?;
    let took = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || !said.contains(&format!("checked {IMAGES} images: everything is current"))
    {
        bail!("dockbeacon check said {said:?} {:?}", String::from_utf8_lossy(&output.stderr));
    }
    let seen = requests(house).await;
    *heads = (heads.0.min(seen), heads.1.max(seen));
    Ok(took)
}

/// One check by the bare client, in seconds.
async fn client(house: &Household) -> Result<f64> {
    house.registry.clear_log();
    let ca = house.registry.ca.as_ref().context("the registry has no CA")?;
    let begun = Instant::now();
    let output = Command::new(std::env::current_exe()?)
        .arg("bare")
        .arg(house.place.engine.socket())
        .arg(ca)
        .arg(&house.line.address)
        .output()?;
    let took = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() != format!("{IMAGES} current") {
        bail!("the bare client said {said:?} {:?}", String::from_utf8_lossy(&output.stderr));
    }
    requests(house).await;
    Ok(took)
}

/// What the registry was asked, once its log has caught up; everything that is no HEAD counts a thousand.
async fn requests(house: &Household) -> usize {
    let end = Instant::now() + Duration::from_secs(5);
    while house.registry.log().len() < IMAGES && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    house.registry.log().iter().map(|a| if a.method == "HEAD" { 1 } else { 1000 }).sum()
}
