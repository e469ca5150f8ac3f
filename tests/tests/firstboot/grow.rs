//! The root partition grows, on a real partition table and a real file system.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::card::{Card, command_on};
use crate::is_root;

/// A card in a file: FAT, then ext4, then room. Everything is taken down when dropped.
struct Loop {
    device: String,
    node: Option<PathBuf>,
    mount: PathBuf,
    folder: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    use std::io::Write as _;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    child.stdin.take().unwrap().write_all(input.as_bytes()).map_err(|error| format!("{program}: {error}"))?;
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{program}: {}", text(&output.stderr)))
    }
}

impl Loop {
    fn new(bytes: u64) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("card.img");
        fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let image = image.display().to_string();
        let table = "label: dos\nstart=2048, size=32768, type=c\nstart=34816, size=131072, type=83\n";
        run("sfdisk", &["--quiet", &image], table)?;
        let device = run("losetup", &["--partscan", "--show", "--find", &image], "")?;
        let mount = folder.path().join("mount");
        fs::create_dir(&mount).unwrap();
        let mut card = Self { device, node: None, mount, folder };
        run("partx", &["--add", &card.device], "")
            .or_else(|_| run("partx", &["--update", &card.device], ""))?;
        let name = Path::new(&card.device).file_name().unwrap().to_string_lossy().into_owned();
        let partition = format!("/dev/{name}p2");
        if !fs::metadata(&partition).is_ok_and(|meta| meta.file_type().is_block_device()) {
            // Without udev nobody makes the node.
            let numbers =
                fs::read_to_string(format!("/sys/class/block/{name}p2/dev")).map_err(|e| e.to_string())?;
            let (major, minor) = numbers.trim().split_once(':').unwrap();
            run("mknod", &[&partition, "b", major, minor], "")?;
            card.node = Some(PathBuf::from(&partition));
        }
        run("mkfs.ext4", &["-q", &partition], "")?;
        run("mount", &[&partition, &card.mount.display().to_string()], "")?;
        Ok(card)
    }

    /// The partition's and the file system's size in MiB.
    fn sizes(&self) -> (u64, u64) {
        let name = Path::new(&self.device).file_name().unwrap().to_string_lossy().into_owned();
        let sectors = fs::read_to_string(format!("/sys/class/block/{name}p2/size")).unwrap();
        let stat = nix::sys::statvfs::statvfs(&self.mount).unwrap();
        (sectors.trim().parse::<u64>().unwrap() / 2048, stat.blocks() * stat.fragment_size() / 1024 / 1024)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = run("umount", &[&self.mount.display().to_string()], "");
        let _ = run("partx", &["--delete", &self.device], "");
        let _ = run("losetup", &["--detach", &self.device], "");
        if let Some(node) = &self.node {
            let _ = fs::remove_file(node);
        }
        let _ = self.folder.path();
    }
}

/// The program on the mounted card.
fn boots(card: &Loop, more: &[(&str, &str)]) -> (bool, String) {
    let template = Card::new();
    let target = card.mount.display().to_string();
    run("cp", &["-a", "--no-clobber", &format!("{}/.", template.root().display()), &target], "").unwrap();
    let output = command_on(&card.mount, "early").envs(more.iter().copied()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_root_partition_gets_the_card() {
    if !is_root() {
        return;
    }
    let points =
        [None, Some("firstboot.grow.table"), Some("firstboot.grow.kernel"), Some("firstboot.grow.system")];
    for point in points {
        let card = match Loop::new(600 * 1024 * 1024) {
            Ok(card) => card,
            Err(why) => return eprintln!("skipped, there are no loop devices with partitions here: {why}"),
        };
        assert_eq!(card.sizes().0, 64);
        if let Some(point) = point {
            let (well, said) = boots(&card, &[("DOCKBEACON_FAILPOINT", point)]);
            assert!(!well, "{point} was not passed: {said}");
        }
        let (well, said) = boots(&card, &[]);
        let (partition, system) = card.sizes();
        assert_eq!(partition, 600 - 17, "{point:?}: {said}");
        if !may_resize() {
            // The kernel lets only whoever has this right grow a file system that is in use: here the step must have failed,
            // and be tried again. The image's own test boots see it done.
            assert!(!well && said.contains("growing the file system"), "{point:?}: {said}");
            let (_, again) = boots(&card, &[]);
            assert!(again.contains("growing the file system"), "{again}");
            continue;
        }
        assert!(well, "{point:?}: {said}");
        assert!(system > 500, "{point:?}: {system} MiB\n{said}");
        let (_, said) = boots(&card, &[]);
        assert!(said.contains("first boot 1/8 -: the card is in use as far as it should be"), "{said}");
    }
}

/// Whether we have CAP_SYS_RESOURCE, which not every container gives to its root.
fn may_resize() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(line.trim(), 16).unwrap_or_default() & 1 << 24 != 0
}

#[test]
fn a_large_card_keeps_room_for_a_second_root() {
    if !is_root() {
        return;
    }
    // Sparse: it takes no space.
    let card = match Loop::new(16_000_000_000) {
        Ok(card) => card,
        Err(why) => return eprintln!("skipped, there are no loop devices with partitions here: {why}"),
    };
    let (well, said) = boots(&card, &[]);
    assert!(well || !may_resize(), "{said}");
    assert_eq!(card.sizes().0, 16_000_000_000 / 1024 / 1024 - 3072 - 17);
}
