//! Back to a new card.

use crate::card::{Card, Disk};
use crate::is_root;

fn used() -> Card {
    let card = Card::new();
    card.boot(
        "dockbeacon.yaml",
        "hostname: shelf\nuser: {name: alice, ssh-keys: [KEY]}\nwifi: {ssid: Home, password: secret123}\nregistry-mirrors: https://m.example.org\n",
    );
    card.boots_well("early");
    card.write("var/lib/dockbeacon/dockbeacon.db", "history");
    card.write("var/lib/dockbeacon/claimed", "");
    card.write("var/lib/dockbeacon/stopped-for-shutdown", "[\"web\"]");
    card.write("var/lib/docker/volumes/data", "precious");
    card.write("srv/apps/web/compose.yaml", "services: {}");
    // What somebody did later by hand.
    card.write("etc/dockbeacon/config.yaml", "registries: [{password: mine}]");
    card.write("etc/dockbeacon/token", "secret");
    card.write("etc/NetworkManager/system-connections/office.nmconnection", "psk=secret");
    card.adds_account("bob");
    // What the owner asked for first is gone from the boot partition.
    std::fs::remove_file(card.path("boot/firmware/dockbeacon.yaml")).unwrap();
    card
}

fn is_new(card: &Card, point: &str) {
    assert!(!card.has("boot/firmware/dockbeacon-reset"), "{point}");
    assert!(
        !card.has("var/lib/dockbeacon/dockbeacon.db") && !card.has("var/lib/dockbeacon/claimed"),
        "{point}"
    );
    assert_eq!(card.text("etc/hostname"), "dockbeacon\n", "{point}");
    assert_eq!(card.text("etc/docker/daemon.json"), "{\"live-restore\": true}\n", "{point}");
    assert!(!card.has("etc/NetworkManager/system-connections/dockbeacon-wifi-1.nmconnection"), "{point}");
    assert!(!card.has("etc/sudoers.d/050-dockbeacon-alice"), "{point}");
    let accounts = card.text("etc/passwd");
    assert!(!accounts.contains("alice") && !accounts.contains("bob"), "{point}: {accounts}");
    assert!(card.empty_folder("etc/dockbeacon"), "{point}");
    assert!(card.empty_folder("etc/NetworkManager/system-connections"), "{point}");
    // It waits for its next owner, with another code and another face.
    assert!(card.has("boot/firmware/dockbeacon-claim.txt"), "{point}");
    assert_ne!(card.text("etc/ssh/ssh_host_ed25519_key.pub"), "made before", "{point}");
}

#[test]
fn settings_go_and_data_stays_unless_asked_twice() {
    if !is_root() {
        return;
    }
    let card = used();
    card.boot("dockbeacon-reset", "");
    card.boots_well("early");
    is_new(&card, "once");
    assert_eq!(card.text("var/lib/docker/volumes/data"), "precious");
    assert!(card.has("srv/apps/web/compose.yaml") && card.has("home/alice"));
    assert_eq!(card.text("var/lib/dockbeacon/stopped-for-shutdown"), "[\"web\"]", "it is to be started");
    card.boot("dockbeacon-reset", "data\r\ndata\r\n");
    card.write("srv/site/index.html", "hello");
    std::fs::create_dir_all(card.path("srv/media/disk")).unwrap();
    let disk = Disk::mount(card.path("srv/media/disk"), "1m").unwrap();
    card.write("srv/media/disk/film", "of somebody else");
    card.boots_well("early");
    for left in
        ["var/lib/docker/volumes", "srv/apps/web", "srv/site", "var/lib/dockbeacon/stopped-for-shutdown"]
    {
        assert!(!card.has(left), "{left}");
    }
    assert!(card.has("srv/apps"), "services are put there");
    assert_eq!(card.text("srv/media/disk/film"), "of somebody else");
    drop(disk);
    assert!(card.has("var/lib/docker"), "it may be a mount point");
}

#[test]
fn the_page_asks_for_a_reset_too() {
    if !is_root() {
        return;
    }
    let card = used();
    card.write("var/lib/dockbeacon/reset-asked", "settings\n");
    card.boots_well("early");
    is_new(&card, "asked by the page");
}

#[test]
fn a_power_cut_in_a_reset_ends_the_same() {
    if !is_root() {
        return;
    }
    for point in ["flagged", "emptied", "restored", "forgotten"] {
        let card = used();
        card.boot("dockbeacon-reset", "");
        let name = format!("firstboot.reset.{point}");
        let cut = card.boots("early", &[("DOCKBEACON_FAILPOINT", name.as_str())]);
        assert!(!cut.status.success(), "{point} was not passed");
        card.boots_well("early");
        is_new(&card, point);
        assert_eq!(card.text("var/lib/docker/volumes/data"), "precious");
        assert_eq!(card.text("var/lib/dockbeacon/stopped-for-shutdown"), "[\"web\"]", "{point}");
    }
}
