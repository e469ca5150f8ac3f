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
    Some(Disk { path: path.display().to_string(), free, total, refuses_writing: false })
}

/// Whether the file system has given up writing after an error, which not every kernel tells in its mount table. Nothing is
/// written to find out: of a file system that has given up, `fsync` of an unchanged folder fails, too.
fn refuses_writing(folder: &Path) -> bool {
    let Err(error) = std::fs::File::open(folder).and_then(|folder| folder.sync_all()) else { return false };
    let why = error.raw_os_error().map(nix::errno::Errno::from_raw);
    matches!(why, Some(nix::errno::Errno::EROFS | nix::errno::Errno::EIO))
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
    let look_closer = errors.is_some_and(|count| count > 0);
    let disks = [Path::new(ENGINE_DATA), state_dir].into_iter().filter_map(|path| {
        Some(Disk { refuses_writing: look_closer && refuses_writing(path), ..disk(path)? })
    });
    Observed {
        under_voltage: hwmon.and_then(|dir| text(&dir.join("in0_lcrit_alarm"))),
        throttled: at("sys/devices/platform/soc/soc:firmware/get_throttled"),
        temperature: at("sys/class/thermal/thermal_zone0/temp"),
        disks: disks.collect(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::process::Command;

    use dockbeacon_core::device::{Limits, examine, is_fault};

    use super::*;

    struct Mounted(PathBuf);

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    /// Needs root, to mount a file system and to tell it of an error.
    #[test]
    fn p8_a_file_system_that_gave_up_writing_is_a_fault_whatever_the_mount_table_says() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (image, at) = (folder.path().join("image"), folder.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let done = |program: &str, args: &[&Path]| {
            assert!(Command::new(program).args(args).status().unwrap().success(), "{program}");
        };
        done("/usr/sbin/mkfs.ext4", &[Path::new("-q"), Path::new("-e"), Path::new("remount-ro"), &image]);
        done("mount", &[Path::new("-o"), Path::new("loop"), &image, &at]);
        let mounted = Mounted(at.clone());
        let is_wrong = || {
            let mut seen = observe(Path::new("/"), &at);
            // As on Debian 13's kernel, which says nothing of it there.
            seen.mounts = seen.mounts.map(|text| text.replace("emergency_ro", "rw"));
            is_fault(&examine(&seen, &Limits { min_free: 0, max_temperature: 200 }, &[]))
        };
        assert!(!is_wrong());
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let line = table.lines().find(|line| line.split(' ').nth(1) == at.to_str()).unwrap();
        let device = line.split(' ').next().unwrap().trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "trial").unwrap();
        assert!(is_wrong());
        drop(mounted);
    }
}
