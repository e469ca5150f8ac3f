//! The root partition and its file system get the card.
//!
//! Owns asking the kernel what is on the card and the programs that change it. Must never touch a card other than the one that
//! the root file system is on, nor move or shrink anything.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockbeacon_core::provision::growth::{Card as Table, Growth, Partition, growth};
use dockbeacon_core::provision::steps::{Stamp, Step};

use super::Done;
use super::card::Card;
use crate::failpoint;
use crate::runner::Run;

/// Growing a file system of a slow, large card.
const PATIENCE: Duration = Duration::from_secs(600);

/// The card as the kernel knows it.
struct Known {
    table: Table,
    /// `/dev/mmcblk0`.
    disk: PathBuf,
    /// `/dev/mmcblk0p2`.
    partition: PathBuf,
}

/// Whether there is anything to grow, or growing was not finished.
pub fn room(card: &Card) -> bool {
    look(card).is_ok_and(|known| match growth(&known.table) {
        Growth::To { .. } => true,
        Growth::Nothing(_) => !card.stamps().holds(Step::Grow.name(), &inputs(&known.table.root)),
    })
}

/// The partition that the file system was grown to.
fn inputs(root: &Partition) -> String {
    format!("{} {} {}", root.number, root.start, root.size)
}

/// Grows partition and file system.
pub async fn grow(card: &Card) -> Done {
    match work(card).await {
        Ok(message) => Done::well(message),
        Err(error) => Done::badly(format!("{error:#}; the device works, with less space")),
    }
}

async fn work(card: &Card) -> Result<String> {
    let mut known = look(card)?;
    if let Growth::To { size } = growth(&known.table) {
        let (disk, number) = (known.disk.display().to_string(), known.table.root.number.to_string());
        // One sector is written: after a power cut it is the old table or the new one.
        let arguments = ["--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", "-N", &number, &disk];
        Run::new("sfdisk", arguments).input(format!(",{size}\n")).run().await?;
        failpoint::hit("firstboot.grow.table");
        Run::new("partx", ["--update", "--nr", &number, &disk]).run().await?;
        failpoint::hit("firstboot.grow.kernel");
        known = look(card)?;
    }
    let root = card.root().display().to_string();
    // A partition that is in use can only be grown by the kernel; both programs ask it to.
    let first = Run::new("/usr/lib/systemd/systemd-growfs", [root]).patience(PATIENCE).run().await;
    if let Err(first) = first {
        let second =
            Run::new("resize2fs", [known.partition.display().to_string()]).patience(PATIENCE).run().await;
        second.with_context(|| format!("growing the file system ({first:#})"))?;
    }
    failpoint::hit("firstboot.grow.system");
    card.stamp(Step::Grow.name(), Stamp { inputs: inputs(&known.table.root), redacted: None })?;
    Ok(format!("the root partition has {} MiB", known.table.root.size / 2048))
}

fn look(card: &Card) -> Result<Known> {
    let device = fs::metadata(card.root()).context("looking at the root file system")?.dev();
    // A folder that stands for a card lies on the disk of the machine it is on, which is not ours to change.
    let above = card.root().join("..");
    ensure!(
        card.is_live() || fs::metadata(above)?.dev() != device,
        "{} is not a file system of its own",
        card.root().display()
    );
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let kernel = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"))
        .context("the root file system is on no block device")?;
    let root = partition(&kernel)?.context("the root file system is on no partition")?;
    let disk = kernel.parent().context("a partition of no disk")?;
    let mut others = Vec::new();
    for entry in fs::read_dir(disk)? {
        let path = entry?.path();
        if path != kernel
            && let Some(other) = partition(&path)?
        {
            others.push(other);
        }
    }
    let node = |path: &Path| Path::new("/dev").join(path.file_name().unwrap_or_default());
    Ok(Known {
        table: Table { sectors: number(disk, "size")?, root, others },
        disk: node(disk),
        partition: node(&kernel),
    })
}

/// A partition's place in its disk; `None` for what is no partition.
fn partition(kernel: &Path) -> Result<Option<Partition>> {
    if !kernel.join("partition").exists() {
        return Ok(None);
    }
    let index = u32::try_from(number(kernel, "partition")?)?;
    Ok(Some(Partition { number: index, start: number(kernel, "start")?, size: number(kernel, "size")? }))
}

fn number(folder: &Path, name: &str) -> Result<u64> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    text.trim().parse().with_context(|| format!("{} holds no number", path.display()))
}
