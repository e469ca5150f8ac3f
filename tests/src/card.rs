//! An SD card: the built image, or a copy of it that a machine may write to, read and changed without mounting it.
//!
//! Owns finding the image, copying it, and its two file systems through debugfs and mtools. Must never write to the image.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

const MIB: u64 = 1024 * 1024;

/// One of the card's partitions, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub size: u64,
    /// Its type in the table: 0xc is FAT, 0x83 is Linux.
    pub kind: u8,
}

/// A file of the root file system, as debugfs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name within its folder.
    pub name: String,
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
}

/// The card in a file.
#[derive(Debug, Clone)]
pub struct Card {
    /// The file.
    pub path: PathBuf,
}

/// The image under test: `DOCKBEACON_TEST_IMAGE`, else the newest of `out/image`.
///
/// # Errors
/// There is none.
pub fn image() -> Result<Card> {
    if let Some(given) = std::env::var_os("DOCKBEACON_TEST_IMAGE").filter(|v| !v.is_empty()) {
        return Ok(Card { path: given.into() });
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../out/image");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "img"))
        .collect();
    found.sort_by_key(|path| path.metadata().and_then(|m| m.modified()).ok());
    let path = found.pop().context("there is no image: run scripts/build-image --no-compress first")?;
    Ok(Card { path })
}

/// Runs a tool to its end.
fn run(program: &str, args: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(args)
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .output()
        .with_context(|| format!("cannot run {program}"))
}

fn good(program: &str, args: &[&str]) -> Result<Vec<u8>> {
    let output = run(program, args)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        bail!("{program} {args:?}: {said}");
    }
    Ok(output.stdout)
}

impl Card {
    /// A copy that may be written to, grown to `gib` GiB (a power of two, which the emulated board wants) without taking the
    /// space.
    ///
    /// # Errors
    /// No space.
    pub fn copy_to(&self, path: &Path, gib: u64) -> Result<Self> {
        let from = self.path.to_string_lossy();
        good("cp", &["--reflink=auto", "--sparse=always", &from, &path.to_string_lossy()])?;
        let file = std::fs::File::options().write(true).open(path)?;
        let size = (gib * 1024 * MIB).max(file.metadata()?.len());
        file.set_len(size)?;
        Ok(Self { path: path.to_owned() })
    }

    /// The primary partitions that the table names.
    ///
    /// # Errors
    /// There is no table.
    pub fn partitions(&self) -> Result<Vec<Partition>> {
        use std::io::Read;
        let mut sector = [0_u8; 512];
        std::fs::File::open(&self.path)?.read_exact(&mut sector)?;
        if sector[510..] != [0x55, 0xaa] {
            bail!("{} has no partition table", self.path.display());
        }
        let number =
            |bytes: &[u8]| u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) * 512;
        Ok((0..4)
            .map(|i| &sector[446 + i * 16..462 + i * 16])
            .filter(|entry| entry[4] != 0)
            .map(|entry| Partition { start: number(&entry[8..]), size: number(&entry[12..]), kind: entry[4] })
            .collect())
    }

    /// The disk's name in its table, as PARTUUIDs begin with it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn disk_id(&self) -> Result<String> {
        use std::io::Read;
        let mut sector = [0_u8; 512];
        std::fs::File::open(&self.path)?.read_exact(&mut sector)?;
        Ok(format!("{:08x}", u32::from_le_bytes([sector[440], sector[441], sector[442], sector[443]])))
    }

    fn partition(&self, number: usize) -> Result<Partition> {
        self.partitions()?.get(number - 1).copied().with_context(|| format!("there is no partition {number}"))
    }

    // ---- the boot partition ----

    fn fat(&self) -> Result<String> {
        Ok(format!("{}@@{}", self.path.display(), self.partition(1)?.start))
    }

    /// Names in the top folder of the boot partition.
    ///
    /// # Errors
    /// It is no FAT file system.
    pub fn boot_names(&self) -> Result<Vec<String>> {
        let text = good("mdir", &["-b", "-i", &self.fat()?, "::"])?;
        Ok(String::from_utf8_lossy(&text)
            .lines()
            .map(|line| line.trim_start_matches("::/").trim_end_matches('/').to_owned())
            .filter(|name| !name.is_empty())
            .collect())
    }

    /// A file of the boot partition.
    ///
    /// # Errors
    /// It is not there.
    pub fn boot_read(&self, name: &str) -> Result<Vec<u8>> {
        good("mtype", &["-i", &self.fat()?, &format!("::{name}")])
    }

    /// Takes a file of the boot partition out.
    ///
    /// # Errors
    /// It is not there.
    pub fn boot_take(&self, name: &str, to: &Path) -> Result<()> {
        good("mcopy", &["-n", "-i", &self.fat()?, &format!("::{name}"), &to.to_string_lossy()]).map(drop)
    }

    /// Puts a file on the boot partition, with the folders that it lies in, as its owner does before the first boot.
    ///
    /// # Errors
    /// No space.
    pub fn boot_write(&self, name: &str, content: &[u8]) -> Result<()> {
        let fat = self.fat()?;
        let mut folder = String::new();
        for part in Path::new(name).parent().into_iter().flat_map(Path::iter) {
            folder = format!("{folder}/{}", part.to_string_lossy());
            // It may be there.
            run("mmd", &["-D", "s", "-i", &fat, &format!("::{folder}")])?;
        }
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), content)?;
        good("mcopy", &["-o", "-i", &fat, &file.path().to_string_lossy(), &format!("::{name}")]).map(drop)
    }

    // ---- the root file system ----

    fn ext(&self) -> Result<String> {
        Ok(format!("{}?offset={}", self.path.display(), self.partition(2)?.start))
    }

    fn debugfs(&self, request: &str) -> Result<Vec<u8>> {
        let output = run("debugfs", &["-R", request, &self.ext()?])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // The first line is its version; whatever follows is a complaint, and the status is 0 in any case.
        if !output.status.success() || said.lines().count() > 1 {
            bail!("debugfs {request}: {said}");
        }
        Ok(output.stdout)
    }

    /// A file of the root file system; symbolic links are not followed.
    ///
    /// # Errors
    /// It is not there.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.debugfs(&format!("cat \"{path}\""))
    }

    /// The same as text.
    ///
    /// # Errors
    /// It is not there.
    pub fn text(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// What lies in a folder, without `.` and `..`.
    ///
    /// # Errors
    /// It is not there.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let text = self.debugfs(&format!("ls -p \"{path}\""))?;
        let mut found = Vec::new();
        for line in String::from_utf8_lossy(&text).lines() {
            // /inode/mode/uid/gid/name/size/
            let parts: Vec<&str> = line.split('/').collect();
            let [_, inode, mode, uid, gid, name, size, ..] = parts[..] else { continue };
            if inode == "0" || name == "." || name == ".." {
                continue;
            }
            found.push(Entry {
                name: name.into(),
                mode: u32::from_str_radix(mode, 8)?,
                uid: uid.parse()?,
                gid: gid.parse()?,
                size: size.parse().unwrap_or(0),
            });
        }
        Ok(found)
    }

    /// One file's entry, `None` where it is not there.
    ///
    /// # Errors
    /// Its folder is not there.
    pub fn entry(&self, path: &str) -> Result<Option<Entry>> {
        let (folder, name) = path.rsplit_once('/').context("an absolute path, please")?;
        let folder = if folder.is_empty() { "/" } else { folder };
        Ok(self.list(folder)?.into_iter().find(|entry| entry.name == name))
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// It is none.
    pub fn link(&self, path: &str) -> Result<String> {
        let text = self.debugfs(&format!("stat \"{path}\""))?;
        String::from_utf8_lossy(&text)
            .lines()
            .find_map(|line| {
                line.split_once("Fast link dest: \"").map(|(_, to)| to.trim_end_matches('"').to_owned())
            })
            .with_context(|| format!("{path} is no symbolic link"))
    }

    /// Checks both file systems as after a power cut: what the next boot's check does first, and then nothing may be left.
    /// The boot partition is checked on a copy.
    ///
    /// # Errors
    /// One has a mistake that this does not mend.
    pub fn check(&self) -> Result<()> {
        // What a mount would do.
        let ext = self.ext()?;
        run("e2fsck", &["-p", "-E", "journal_only", &ext])?;
        good("e2fsck", &["-fn", &ext])?;
        let boot = self.partition(1)?;
        let copy = tempfile::NamedTempFile::new()?;
        let block = 4 * MIB;
        good(
            "dd",
            &[
                &format!("if={}", self.path.display()),
                &format!("of={}", copy.path().display()),
                &format!("bs={block}"),
                &format!("skip={}", boot.start / block),
                &format!("count={}", boot.size / block),
                "conv=sparse",
                "status=none",
            ],
        )?;
        let copy = copy.path().to_string_lossy();
        // Status 1: it was mounted, and that is noted off. What else it says is for the reader of a failed test.
        let boot = run("fsck.fat", &["-a", &copy])?;
        good("fsck.fat", &["-n", &copy])
            .map(drop)
            .with_context(|| format!("after {}", String::from_utf8_lossy(&boot.stdout)))
    }
}
