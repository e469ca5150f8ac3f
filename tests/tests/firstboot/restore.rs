//! A backup is made of one device and comes back on another, with real engines, Compose, tar and disks.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

use anyhow::{Context as _, Result, ensure};
use dockbeacon::ports::Records as _;
use dockbeacon::store::Store;
use dockbeacon_tests::daemon::program;
use dockbeacon_tests::engine::{Own, TestEngine};
use dockbeacon_tests::sandbox::{Sandbox, locked};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::card::{Card, Disk};
use crate::is_root;
use crate::late::{boots, connected, docker, running, with_service};

/// Two engines for these tests, which take turns: a backup has every volume of its engine in it.
static ENGINES: LazyLock<Mutex<Own>> = LazyLock::new(|| Mutex::new(Own::start().unwrap()));

/// Accounts and owners of files are in a backup: without root there is nothing to test.
fn on_each<F: Future<Output = Result<()>>>(test: impl Fn(TestEngine) -> F) {
    if !is_root() {
        return;
    }
    let own = locked(&ENGINES);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for engine in &own.engines {
        runtime.block_on(test(engine.clone())).with_context(|| format!("on {}", engine.name)).unwrap();
    }
}

/// A used device: a service of Compose with data in a volume, settings, an owner; and what stays behind.
struct Used {
    card: Card,
    place: Sandbox,
    env: Vec<(String, String)>,
    project: String,
    /// Where backups go.
    folder: TempDir,
}

impl Used {
    async fn new(engine: &TestEngine) -> Result<Self> {
        let place = Sandbox::new(engine)?;
        let (card, env) = (connected(), docker(&place)?);
        let project = place.name("kept");
        with_service(&card, &place, &project)?;
        let (code, said) = boots(&card, &env);
        ensure!(code == Some(0), "{said}");
        let used = Self { card, place, env, project, folder: tempfile::tempdir()? };
        used.fill_volume().await?;
        let store = state(&used.card)?;
        store.set_password(Some("$argon2id$the-owner"))?;
        store.meta_set("lost-services", "of the old machine")?;
        used.card.write("srv/site/index.html", "hello");
        used.card.write("etc/dockbeacon/config.yaml", "schedule:\n  interval: 7h\n");
        Ok(used)
    }

    /// Such a device and its backup.
    async fn with_backup(engine: &TestEngine) -> Result<(Self, PathBuf)> {
        let used = Self::new(engine).await?;
        let (file, _) = used.backed_up(used.folder.path())?;
        Ok((used, file))
    }

    fn volume(&self) -> String {
        format!("{}_data", self.project)
    }

    async fn fill_volume(&self) -> Result<()> {
        let body = json!({ "Name": self.volume(), "Labels": { "com.docker.compose.volume": "data" } });
        self.place.raw().post("/volumes/create", &body).await?;
        fill(&self.data().await?)
    }

    /// Where the volume's data lie.
    async fn data(&self) -> Result<PathBuf> {
        let volume = self.place.raw().get(&format!("/volumes/{}", self.volume())).await?;
        Ok(volume["Mountpoint"].as_str().context("no mountpoint")?.into())
    }

    fn backup(&self, folder: &Path) -> Output {
        let mut command = Command::new(program().unwrap());
        command.arg("--json").arg("--state-dir").arg(self.card.path("var/lib/dockbeacon"));
        command.args(["backup", "--in-clear", "--root"]).arg(self.card.root()).arg(folder);
        command.envs(self.env.iter().cloned()).output().unwrap()
    }

    /// One that goes well.
    fn backed_up(&self, folder: &Path) -> Result<(PathBuf, Value)> {
        let output = self.backup(folder);
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout)?;
        Ok((made["file"].as_str().context("no file")?.into(), made))
    }

    /// The machine is lost: nothing of it is left on the engine.
    async fn lost(&self) -> Result<()> {
        let raw = self.place.raw();
        for container in running(&self.place, &self.project).await? {
            let id = container["Id"].as_str().context("no id")?;
            raw.delete(&format!("/containers/{id}?force=true&v=true")).await?;
        }
        raw.delete(&format!("/volumes/{}", self.volume())).await?;
        Ok(())
    }

    /// A start of that card which ends there.
    fn cut_at(&self, card: &Card, point: &str) -> Result<()> {
        let mut cut = self.env.clone();
        cut.push(("DOCKBEACON_FAILPOINT".into(), point.into()));
        let (code, said) = boots(card, &cut);
        ensure!(code.is_none(), "{point} was not passed: {said}");
        Ok(())
    }

    /// Everything that came with the backup is on that card and runs.
    async fn is_back(&self, card: &Card, point: &str) -> Result<()> {
        ensure!(running(&self.place, &self.project).await?.len() == 1, "{point}: the service does not run");
        let volume = self.place.raw().get(&format!("/volumes/{}", self.volume())).await?;
        ensure!(volume["Labels"]["com.docker.compose.volume"] == "data", "{point}: {volume}");
        compare(&self.data().await?).with_context(|| point.to_owned())?;
        ensure!(card.text("srv/site/index.html") == "hello", "{point}");
        ensure!(card.mode(&format!("srv/apps/{}/.env", self.project)) == 0o600, "{point}");
        ensure!(card.text("etc/dockbeacon/config.yaml").contains("7h"), "{point}");
        let state = card.path("var/lib/dockbeacon");
        ensure!(!state.join("dockbeacon.db-wal").exists(), "{point}: a log lies beside the state");
        let file = fs::metadata(state.join("dockbeacon.db"))?;
        ensure!((file.uid(), file.gid(), file.mode() & 0o777) == (990, 991, 0o600), "{point}: {file:?}");
        let store = Store::open(&state)?;
        ensure!(store.password()?.as_deref() == Some("$argon2id$the-owner"), "{point}");
        ensure!(store.meta_get("lost-services")?.is_none(), "{point}: of the old machine");
        ensure!(
            !card.has("var/lib/dockbeacon-firstboot/restore"),
            "{point}: the unpacked backup fills the card"
        );
        Ok(())
    }
}

/// A card without settings of its own, up to where the network is needed.
fn fresh() -> Result<Card> {
    let card = connected();
    fs::remove_file(card.path("etc/dockbeacon/config.yaml"))?;
    card.boots_well("early");
    Ok(card)
}

/// A new card, into which that backup was put.
fn new_card(backup: &Path) -> Result<Card> {
    let card = fresh()?;
    fs::copy(backup, card.path("boot/firmware").join(backup.file_name().context("no name")?))?;
    Ok(card)
}

/// Dockbeacon's own state on a card.
fn state(card: &Card) -> Result<Store> {
    let folder = card.path("var/lib/dockbeacon");
    fs::create_dir_all(&folder)?;
    Ok(Store::open(&folder)?)
}

/// What a copy loses easily.
fn fill(data: &Path) -> Result<()> {
    fs::write(data.join("file with space\nand line"), "text")?;
    fs::create_dir(data.join("shared"))?;
    nix::unistd::chown(&data.join("shared"), Some(1234.into()), Some(2345.into()))?;
    fs::set_permissions(data.join("shared"), fs::Permissions::from_mode(0o2770))?;
    fs::hard_link(data.join("file with space\nand line"), data.join("same"))?;
    symlink("/etc/passwd", data.join("link"))?;
    let holes = fs::File::create(data.join("holes"))?;
    holes.set_len(64 << 20)?;
    nix::unistd::mkfifo(&data.join("pipe"), nix::sys::stat::Mode::S_IRUSR)?;
    nix::unistd::chown(data, Some(999.into()), Some(999.into()))?;
    let given =
        Command::new("setfattr").args(["-n", "user.mark", "-v", "kept"]).arg(data.join("same")).status()?;
    ensure!(given.success());
    Ok(())
}

fn compare(data: &Path) -> Result<()> {
    let meta = |name: &str| fs::symlink_metadata(data.join(name)).with_context(|| name.to_owned());
    ensure!(fs::read(data.join("file with space\nand line"))? == b"text");
    ensure!(meta("same")?.ino() == meta("file with space\nand line")?.ino(), "two files of one");
    let shared = meta("shared")?;
    ensure!((shared.uid(), shared.gid(), shared.mode() & 0o7777) == (1234, 2345, 0o2770), "{shared:?}");
    ensure!(fs::read_link(data.join("link"))? == Path::new("/etc/passwd"));
    ensure!(meta("holes")?.len() == 64 << 20 && meta("holes")?.blocks() < 1000, "the holes were filled");
    ensure!(std::os::unix::fs::FileTypeExt::is_fifo(&meta("pipe")?.file_type()));
    let own = fs::metadata(data)?;
    ensure!((own.uid(), own.gid()) == (999, 999), "{own:?}");
    let mark = Command::new("getfattr")
        .args(["--only-values", "-n", "user.mark"])
        .arg(data.join("same"))
        .output()?;
    ensure!(mark.stdout == b"kept", "{mark:?}");
    Ok(())
}

#[test]
fn a_device_comes_back_on_a_new_card() {
    on_each(|engine: TestEngine| async move {
        let used = Used::new(&engine).await?;
        let (file, made) = used.backed_up(used.folder.path())?;
        ensure!(fs::metadata(&file)?.mode() & 0o777 == 0o600, "others may read it");
        ensure!(fs::read_dir(used.folder.path())?.count() == 1, "something lies beside it");
        ensure!(made["manifest"]["apps"] == json!([{ "name": used.project, "running": true }]), "{made:#}");
        used.lost().await?;
        let card = new_card(&file)?;
        let (code, said) = boots(&card, &used.env);
        ensure!(code == Some(0), "{said}");
        let (outcome, message) = card.step("late", "restore");
        ensure!(outcome == "done" && message.contains("with its owner"), "{message}");
        used.is_back(&card, "once").await?;
        // Its owner is there now; the backup lies there still, and nothing is done with it.
        card.write("var/lib/dockbeacon/claimed", "");
        let (code, said) = boots(&card, &used.env);
        ensure!(code == Some(0) && said.contains("7/8 -: the device has an owner"), "{said}");
        // Also after the owner was forgotten, for the backup would bring the old password back.
        card.write("var/lib/dockbeacon/had-owner", "");
        fs::remove_file(card.path("var/lib/dockbeacon/claimed"))?;
        let (code, said) = boots(&card, &used.env);
        ensure!(code == Some(0) && said.contains("7/8 -: the device is not new"), "{said}");
        // Also after a reset that leaves the data; one that does not makes it a new device.
        card.boot("dockbeacon-reset", "");
        card.boots_well("early");
        ensure!(!card.has("var/lib/dockbeacon/had-owner"), "the daemon's folder was not emptied");
        let (code, said) = boots(&card, &used.env);
        ensure!(code == Some(0) && said.contains("7/8 -: the device is not new"), "{said}");
        card.boot("dockbeacon-reset", "data\ndata\n");
        card.boots_well("early");
        let (_, said) = boots(&card, &used.env);
        ensure!(said.contains("7/8 ...: restoring a backup"), "{said}");
        Ok(())
    });
}

#[test]
fn a_power_cut_while_a_backup_comes_back_is_made_up_for() {
    on_each(|engine: TestEngine| async move {
        let points = [
            "firstboot.restore.unpacked",
            "firstboot.restore.stamped",
            "engine.volume.sent",
            "engine.volume.after",
            "firstboot.restore.placed",
            "firstboot.restore.placed#2",
            "firstboot.restore.placed#3",
            "firstboot.restore.placed#4",
            "firstboot.restore.placed#5",
            "firstboot.restore.state",
            "firstboot.restore.done",
        ];
        let (used, file) = Used::with_backup(&engine).await?;
        for point in points {
            used.lost().await?;
            let card = new_card(&file)?;
            used.cut_at(&card, point)?;
            // The card with the backup may be gone meanwhile; and the owner that came with it may be there.
            if !point.ends_with("unpacked") {
                fs::remove_file(card.path("boot/firmware").join(file.file_name().context("no name")?))?;
            }
            if point.ends_with("done") {
                card.write("var/lib/dockbeacon/claimed", "");
            }
            let (code, said) = boots(&card, &used.env);
            ensure!(code == Some(0), "{point}: {said}");
            used.is_back(&card, point).await?;
        }
        Ok(())
    });
}

#[test]
fn what_belongs_onto_another_disk_is_copied_there_over_power_cuts() {
    on_each(|engine: TestEngine| async move {
        let (used, file) = Used::with_backup(&engine).await?;
        for point in ["firstboot.restore.copied", "firstboot.restore.moved"] {
            used.lost().await?;
            let card = new_card(&file)?;
            let _disk = Disk::mount(card.path("srv/apps"), "1m")?;
            used.cut_at(&card, point)?;
            let (code, said) = boots(&card, &used.env);
            ensure!(code == Some(0), "{point}: {said}");
            let (outcome, message) = card.step("late", "restore");
            ensure!(outcome == "done", "{point}: {message}");
            used.is_back(&card, point).await?;
        }
        Ok(())
    });
}

#[test]
fn the_newest_backup_on_a_labelled_disk_is_found() {
    on_each(|engine: TestEngine| async move {
        let (used, _) = Used::with_backup(&engine).await?;
        used.lost().await?;
        fs::write(
            used.folder.path().join("dockbeacon-backup-shop-20200101T000000Z.tar.gz"),
            "an old one, damaged",
        )?;
        let card = fresh()?;
        let disk = card.path("dev/disk/by-label/DOCKBEACON");
        fs::create_dir_all(disk.parent().context("no folder")?)?;
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-L", "DOCKBEACON", "-d"]).arg(used.folder.path()).arg(&disk).arg("64M");
        ensure!(make.status()?.success());
        let before = fs::read(&disk)?;
        let (code, said) = boots(&card, &used.env);
        ensure!(code == Some(0), "{said}");
        used.is_back(&card, "disk").await?;
        ensure!(fs::read(&disk)? == before, "the disk was written to");
        ensure!(
            !fs::read_to_string("/proc/mounts")?.contains(&card.root().display().to_string()),
            "still mounted"
        );
        Ok(())
    });
}

#[test]
fn nothing_that_is_in_use_is_replaced() {
    on_each(|engine: TestEngine| async move {
        let (used, file) = Used::with_backup(&engine).await?;
        let data = used.data().await?;
        fs::write(data.join("same"), "newer")?;
        let card = new_card(&file)?;
        card.write("srv/site/index.html", "another");
        card.write("etc/dockbeacon/config.yaml", "schedule:\n  interval: 9h\n");
        used.cut_at(&card, "firstboot.restore.stamped")?;
        // Somebody claims it just now.
        state(&card)?.set_password(Some("$argon2id$another"))?;
        card.write("var/lib/dockbeacon/claimed", "");
        let (code, said) = boots(&card, &used.env);
        ensure!(code == Some(0), "{said}");
        let (outcome, message) = card.step("late", "restore");
        ensure!(outcome == "failed" && message.contains("but not all of it"), "{message}");
        for what in
            [used.volume().as_str(), "/srv/site is there", "config.yaml is there", "has an owner already"]
        {
            ensure!(message.contains(what), "{what}: {message}");
        }
        ensure!(fs::read(data.join("same"))? == b"newer");
        ensure!(card.text("srv/site/index.html") == "another");
        ensure!(card.text("etc/dockbeacon/config.yaml").contains("9h"));
        let store = state(&card)?;
        ensure!(store.password()?.as_deref() == Some("$argon2id$another"));
        Ok(())
    });
}

#[test]
fn what_is_no_whole_backup_changes_nothing_and_says_so() {
    on_each(|engine: TestEngine| async move {
        let (used, file) = Used::with_backup(&engine).await?;
        let whole = fs::read(&file)?;
        let name = file.file_name().context("no name")?;
        let tells = |content: &[u8], wanted: &str| -> Result<()> {
            let card = new_card(&file)?;
            fs::write(card.path("boot/firmware").join(name), content)?;
            let before = card.snapshot();
            let (code, said) = boots(&card, &used.env);
            ensure!(code == Some(0), "{said}");
            let (outcome, message) = card.step("late", "restore");
            ensure!(outcome == "failed" && message.contains(wanted), "{wanted}: {message}");
            let after = card.snapshot();
            let changed: Vec<&String> =
                after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
            ensure!(changed.is_empty() && after.len() == before.len(), "{wanted}: changed {changed:?}");
            Ok(())
        };
        tells(&whole[..whole.len() / 2], "damaged or not complete")?;
        // Data that do not match their checksum; elsewhere a wrong bit may unpack to the same data.
        let mut flipped = whole.clone();
        flipped[whole.len() - 6] ^= 0x10;
        tells(&flipped, "damaged or not complete")?;
        tells(b"", "damaged or not complete")?;
        // Others may make archives too.
        let own = tempfile::tempdir()?;
        let pack = |paths: &[&str]| -> Result<Vec<u8>> {
            let out = Command::new("tar").arg("-cz").arg("-C").arg(own.path()).args(paths).output()?;
            ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            Ok(out.stdout)
        };
        fs::create_dir_all(own.path().join("etc"))?;
        fs::write(own.path().join("etc/passwd"), "root::0:0::/:/bin/sh\n")?;
        tells(&pack(&["etc/passwd"])?, "not made by Dockbeacon")?;
        let manifest = own.path().join("dockbeacon-backup.json");
        fs::write(&manifest, json!({ "format": 99, "version": "9.0.0" }).to_string())?;
        tells(&pack(&["dockbeacon-backup.json"])?, "made by Dockbeacon 9.0.0")?;
        let good =
            Command::new("tar").arg("-xzO").arg("-f").arg(&file).arg("dockbeacon-backup.json").output()?;
        fs::write(&manifest, good.stdout)?;
        tells(&pack(&["dockbeacon-backup.json", "etc/passwd"])?, "it holds etc/passwd")?;
        // A link where a folder belongs would lead what is put in place, or what it is taken from, elsewhere.
        fs::create_dir(own.path().join("srv"))?;
        symlink(own.path(), own.path().join("srv/apps"))?;
        tells(&pack(&["dockbeacon-backup.json", "srv"])?, "/srv/apps is a link")?;
        ensure!(own.path().join("etc/passwd").exists());
        Ok(())
    });
}

#[test]
fn a_backup_is_whole_or_not_there() {
    on_each(|engine: TestEngine| async move {
        let used = Used::new(&engine).await?;
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        // A disk that is too small, really.
        let small = tempfile::tempdir()?;
        let disk = Disk::mount(small.path().to_owned(), "4k")?;
        fs::write(used.data().await?.join("noise"), noise())?;
        let output = used.backup(small.path());
        let left = fs::read_dir(small.path())?.count();
        drop(disk);
        ensure!(output.status.code() == Some(1) && left == 0, "{left} left: {}", said(&output));
        ensure!(said(&output).contains("is full; free some space there"), "{}", said(&output));
        // What somebody put in its way is not written to.
        let folder = used.folder.path();
        let (precious, part) = (folder.join("precious"), folder.join("dockbeacon-backup.part"));
        fs::write(&precious, "untouched")?;
        symlink(&precious, &part)?;
        symlink("/mnt/ssd", used.card.path("srv/apps/far"))?;
        let (file, made) = used.backed_up(folder)?;
        ensure!(fs::read(&precious)? == b"untouched" && fs::symlink_metadata(&file)?.is_file());
        ensure!(
            made["manifest"]["left_out"].to_string().contains("/srv/apps/far: it is a link to /mnt/ssd"),
            "{made:#}"
        );
        // Into what is saved, nowhere, and without a word about its secrets.
        let output = used.backup(&used.card.path("srv/site"));
        ensure!(
            output.status.code() == Some(1) && said(&output).contains("lies in what is saved"),
            "{}",
            said(&output)
        );
        let output = used.backup(Path::new("/nowhere"));
        ensure!(
            output.status.code() == Some(1) && said(&output).contains("no such folder"),
            "{}",
            said(&output)
        );
        let output = Command::new(program()?).args(["backup", "/nowhere"]).output()?;
        ensure!(output.status.code() == Some(2) && said(&output).contains("--in-clear"), "{}", said(&output));
        Ok(())
    });
}

/// Bytes that do not pack.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..32 * 1024).flat_map(|_| next()).collect()
}
