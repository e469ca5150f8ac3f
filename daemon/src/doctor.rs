//! `dockbeacon doctor`: looks at everything that Dockbeacon needs.
//!
//! Owns looking. Must never judge, which is `core::doctor`'s, nor change anything but for a file that it writes into the state folder
//! and removes again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dockbeacon_core::doctor::{Seen, Space};
use dockbeacon_core::model::ImageRef;
use dockbeacon_core::settings::Settings;

use crate::clock;
use crate::docker::Engine;
use crate::registry::Registry;

/// Looks at this machine.
pub async fn look(settings: &Settings, state: &Path) -> Seen {
    let now = clock::now();
    let (engine, images) = engine(settings).await;
    let network = connected();
    let ask = network && now.trusted;
    let registries = if ask { Some(registries(settings, &images).await) } else { None };
    let mut space = vec![("the state folder", existing(state))];
    let data = Path::new("/var/lib/docker");
    if data.exists() {
        space.push(("the engine's images", data.to_owned()));
    }
    Seen {
        state: (state.display().to_string(), unwritable(state)),
        time: (now.trusted, now.civil.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        space: space.into_iter().filter_map(|(of, path)| room(of, &path)).collect(),
        engine: Some(engine),
        network,
        registries,
        controllers: fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").ok(),
        root_options: root_options(),
        board: board(),
        gpio: gpio(),
    }
}

/// The engine's version, and the images that its containers were made from.
async fn engine(settings: &Settings) -> (Result<String, String>, BTreeSet<String>) {
    let asked = async {
        let engine = Engine::connect(&settings.engine.host).await?;
        let info = engine.info().await?;
        let containers = engine.containers().await?;
        Ok::<_, crate::docker::EngineError>((info.version, containers))
    };
    match asked.await {
        Ok((version, containers)) => (Ok(version), containers.iter().map(|c| c.image.clone()).collect()),
        Err(error) => (Err(error.to_string()), BTreeSet::new()),
    }
}

/// One image of every registry that is in use; without any, a small one of Docker Hub.
async fn registries(settings: &Settings, images: &BTreeSet<String>) -> Vec<(String, Option<String>)> {
    let mut asked: BTreeMap<String, ImageRef> = BTreeMap::new();
    for image in images {
        // An image that was named by its id comes from nowhere that could be asked.
        if let Ok(reference) = ImageRef::parse(image) {
            asked.entry(reference.registry.clone()).or_insert(reference);
        }
    }
    if asked.is_empty()
        && let Ok(reference) = ImageRef::parse("busybox:latest")
    {
        asked.insert(reference.registry.clone(), reference);
    }
    let registry = match Registry::new(&settings.registry, Arc::new(clock::now)) {
        Ok(registry) => registry,
        Err(error) => return vec![("registries".to_owned(), Some(error.to_string()))],
    };
    registry.prepare();
    let heads = registry.heads(&asked.values().cloned().collect()).await;
    let answer = |reference: &ImageRef| match heads.get(reference) {
        Some(Err(error)) => Some(error.to_string()),
        Some(Ok(_)) | None => None,
    };
    asked.iter().map(|(name, reference)| (name.clone(), answer(reference))).collect()
}

/// The folder, or the one above it that exists.
fn existing(path: &Path) -> std::path::PathBuf {
    path.ancestors().find(|one| one.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Why nothing can be written there.
fn unwritable(folder: &Path) -> Option<String> {
    if !folder.exists() {
        return Some("it does not exist; the daemon's first start makes it".to_owned());
    }
    let trial = folder.join(format!(".doctor-{}", std::process::id()));
    match fs::write(&trial, b"") {
        Ok(()) => fs::remove_file(&trial).err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

fn room(of: &'static str, path: &Path) -> Option<Space> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    let unit = stat.fragment_size();
    let bytes = |blocks: u64| blocks.saturating_mul(unit);
    Some(Space {
        of,
        path: path.display().to_string(),
        free: bytes(stat.blocks_available()),
        total: bytes(stat.blocks()),
    })
}

/// Whether there is a default route.
fn connected() -> bool {
    let four = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let six = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    dockbeacon_core::provision::name::way_out(&four, &six)
}

fn root_options() -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let root = mounts.lines().rfind(|line| line.split_whitespace().nth(1) == Some("/"))?;
    root.split_whitespace().nth(3).map(str::to_owned)
}

fn board() -> Option<String> {
    let model = fs::read_to_string("/proc/device-tree/model").ok()?;
    let model = model.trim_end_matches('\0').to_owned();
    model.starts_with("Raspberry Pi").then_some(model)
}

/// The kernel's GPIO chips by label, and why one cannot be opened.
fn gpio() -> Vec<(String, Option<String>)> {
    let Ok(entries) = fs::read_dir("/sys/bus/gpio/devices") else { return Vec::new() };
    let mut chips: Vec<(String, Option<String>)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let device = Path::new("/dev").join(&name);
            let label = fs::read_to_string(entry.path().join("of_node/compatible"))
                .or_else(|_| fs::read_to_string(entry.path().join("label")))
                .map_or(name, |text| label(&text));
            device.exists().then(|| {
                (
                    label,
                    fs::OpenOptions::new().read(true).write(true).open(&device).err().map(|e| e.to_string()),
                )
            })
        })
        .collect();
    chips.sort();
    chips
}

/// The label that the header's chip has, from the device tree's name of it.
fn label(compatible: &str) -> String {
    let first = compatible.split('\0').next().unwrap_or_default().trim();
    let known = [
        ("brcm,bcm2711-gpio", "pinctrl-bcm2711"),
        ("brcm,bcm2835-gpio", "pinctrl-bcm2835"),
        ("brcm,bcm2837-gpio", "pinctrl-bcm2835"),
        ("raspberrypi,rp1-gpio", "pinctrl-rp1"),
    ];
    known
        .iter()
        .find(|(name, _)| *name == first)
        .map_or_else(|| first.to_owned(), |(_, label)| (*label).to_owned())
}
