//! Reads the kernel's files about power, heat, card and memory.
//!
//! Owns where they are. Must never judge them: the core does.

use std::path::{Path, PathBuf};

use dockbeacon_core::device::{Disk, Observed};

/// Where the engine keeps its data, unless it was told otherwise.
const ENGINE_DATA: &str = "/var/lib/docker";

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn disk(path: &Path) -> Option<Disk> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    #[allow(clippy::useless_conversion, reason = "not the same type on every machine")]
    let (free, total) = (bytes(stat.blocks_available().into()), bytes(stat.blocks().into()));
    Some(Disk { path: path.display().to_string(), free, total })
}

/// Everything as it is now. `root` is `/`, `state_dir` where we keep our own data.
#[must_use]
pub fn observe(root: &Path, state_dir: &Path) -> Observed {
    let at = |path: &str| text(&root.join(path));
    let hwmon = entries(&root.join("sys/class/hwmon"))
        .into_iter()
        .find(|dir| text(&dir.join("name")).is_some_and(|name| name.trim() == "rpi_volt"));
    let errors = entries(&root.join("sys/fs/ext4"))
        .iter()
        .filter_map(|dir| text(&dir.join("errors_count"))?.trim().parse::<u64>().ok())
        .max();
    Observed {
        under_voltage: hwmon.and_then(|dir| text(&dir.join("in0_lcrit_alarm"))),
        throttled: at("sys/devices/platform/soc/soc:firmware/get_throttled"),
        temperature: at("sys/class/thermal/thermal_zone0/temp"),
        disks: [Path::new(ENGINE_DATA), state_dir].into_iter().filter_map(disk).collect(),
        mounts: at("proc/self/mountinfo"),
        card_errors: errors.map(|count| count.to_string()),
        end_of_life: at("sys/block/mmcblk0/device/pre_eol_info"),
        life_time: at("sys/block/mmcblk0/device/life_time"),
        controllers: at("sys/fs/cgroup/cgroup.controllers"),
    }
}

/// What the board calls itself, where a device tree says so.
#[must_use]
pub fn model(root: &Path) -> String {
    let text = text(&root.join("proc/device-tree/model"))
        .or_else(|| text(&root.join("sys/devices/virtual/dmi/id/product_name")));
    text.unwrap_or_default().trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}
