//! A device whose card died: its backup, on a USB disk, makes a new card into what it was.
//!
//! Owns two boots, of the old card and of the new one. Must never leave a machine running.
#![allow(clippy::await_holding_lock, reason = "the one task of a test waits for its turn at the machine")]

use std::process::Command;

use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::qemu::{Machine, Setup, Vm};
use serde_json::json;

use crate::appliance::{PASSWORD, client, prepare, version, wait_healthy};
use crate::boot::{self, SOON, UPDATE, settled, wait_for};

/// Plugged into USB, as a person would.
fn with_disk(setup: Setup, disk: &str) -> Setup {
    let drive = format!("if=none,id=stick,format=raw,file={disk}");
    setup.args(&["-drive", &drive, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"])
}

async fn post(vm: &Vm, path: &str, body: serde_json::Value) -> u16 {
    let address = format!("https://localhost:{}/api/v1/{path}", vm.page);
    client().post(address).json(&body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
#[ignore = "two boots, ten minutes under emulation; scripts/test --all runs it"]
async fn a_backup_on_a_usb_disk_makes_a_new_card_into_the_old_device() {
    let (_turn, folder, old) = boot::card();
    let disk = folder.path().join("stick").display().to_string();
    let made = Command::new("mkfs.ext4").args(["-q", "-L", "DOCKBEACON", &disk, "256M"]).status().unwrap();
    assert!(made.success());
    let new = old.copy_to(&folder.path().join("new.img"), 4).unwrap();

    prepare(&old, folder.path(), "engine-patience: 5m");
    let service = |port: u16, data: &str| {
        format!(
            "services:\n  relay:\n    image: local/relay:1\n    restart: unless-stopped\n    ports: ['{port}:8080']\n{data}"
        )
    };
    let data = "    volumes: ['data:/data']\nvolumes: {data: {}}\n";
    old.boot_write("apps/relay/compose.yaml", service(8080, data).as_bytes()).unwrap();
    let mut vm = with_disk(Setup::new(Machine::Virt), &disk).start(&old).unwrap();
    settled(&mut vm);
    wait_healthy(&mut vm, "relay-relay-1", UPDATE);
    let code = vm.run("cat /var/lib/dockbeacon/claim-code", SOON).unwrap();
    assert_eq!(post(&vm, "claim", json!({ "code": code, "password": PASSWORD })).await, 200);
    vm.run(
        "cd $(docker volume inspect -f '{{.Mountpoint}}' relay_data) && echo precious >ledger && mkdir shared && chgrp 1234 shared && \
         chmod 2770 shared && mkdir /srv/site && echo hello >/srv/site/index.html && dockbeacon pause 48h",
        SOON,
    )
    .unwrap();
    vm.run("mkdir /run/stick && mount /dev/disk/by-label/DOCKBEACON /run/stick", SOON).unwrap();
    println!("{}", vm.run("dockbeacon backup --in-clear /run/stick 2>&1", UPDATE).unwrap());
    vm.run("umount /run/stick && systemctl poweroff", SOON).unwrap();
    vm.wait_off(SOON).unwrap();

    // The new card; the images of what ran lie on its boot partition, since there is no registry here.
    new.boot_write("apps/other/compose.yaml", service(8081, "").as_bytes()).unwrap();
    let image = ImageSpec::demo_arm64("1.0.0").unwrap().build().unwrap();
    new.boot_write("apps/other/relay.tar", &image.archive("local/relay:1").unwrap()).unwrap();
    let mut vm = with_disk(Setup::new(Machine::Virt), &disk).start(&new).unwrap();
    settled(&mut vm);
    wait_for(&mut vm, "grep -q '\"finished\": *true' /run/dockbeacon-firstboot/late.json", UPDATE);
    println!(
        "{}",
        vm.run(
            "cat /run/dockbeacon-firstboot/late.json; journalctl -b -u dockbeacon-provision --no-pager",
            SOON
        )
        .unwrap()
    );
    wait_healthy(&mut vm, "relay-relay-1", UPDATE);
    wait_healthy(&mut vm, "other-relay-1", UPDATE);
    assert_eq!(version(&mut vm, 8080), "1.0.0");
    let report = vm.run("cat /run/dockbeacon-firstboot/late.json", SOON).unwrap();
    assert!(report.contains("with its owner") && !report.contains("failed"), "{report}");
    // Its owner is told to the rest of the device.
    wait_for(
        &mut vm,
        "test -e /var/lib/dockbeacon/claimed && test ! -e /boot/firmware/dockbeacon-claim.txt",
        SOON,
    );
    let mut is =
        |command: &str, wanted: &str| assert_eq!(vm.run(command, SOON).unwrap(), wanted, "{command}");
    is(
        "cd $(docker inspect -f '{{range .Mounts}}{{.Source}}{{end}}' relay-relay-1) && cat ledger && stat -c '%g %a' shared",
        "precious\n1234 2770",
    );
    is(
        "cat /srv/site/index.html; ls /var/lib/dockbeacon-firstboot/restore 2>/dev/null; grep -c stick /proc/mounts; true",
        "hello\n0",
    );
    is(
        "systemctl is-active dockbeacon; systemctl --failed --no-legend; ls /boot/firmware/dockbeacon-claim.txt 2>/dev/null; true",
        "active",
    );
    // Its owner comes in with the password of before, and nobody else can take it.
    assert_eq!(post(&vm, "login", json!({ "password": PASSWORD })).await, 200);
    let status = vm.run("dockbeacon --json status", SOON).unwrap();
    assert!(status.contains("paused"), "{status}");
    vm.run("systemctl poweroff", SOON).unwrap();
    vm.wait_off(SOON).unwrap();
    new.check().unwrap();
}
