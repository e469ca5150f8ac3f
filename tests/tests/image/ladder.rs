//! The ladder of last resorts on the appliance: a container, the engine's service, the device, safe mode, and back.
//!
//! Owns an engine that is broken for good, over a restart of the device. Must never leave a machine running.

use std::process::Command;
use std::time::Duration;

use dockbeacon_tests::qemu::{Machine, Setup, Vm};

use crate::appliance::{
    LAMPS, PASSWORD, lit_while, p3_a_service_of_the_boot_partition_runs,
    p12_held_for_five_seconds_it_shuts_down, prepare, version, version_at, wait_healthy,
};
use crate::boot::{self, SOON, UPDATE, settled, wait_for, wait_state};

/// An engine that ends at once, however often it is started, also after a restart of the device; the containers that it has
/// started go on.
const BREAK: &str = "mkdir -p /etc/systemd/system/docker.service.d && \
    printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >/etc/systemd/system/docker.service.d/broken.conf && \
    systemctl daemon-reload && sync && systemctl kill --kill-whom=main -s KILL docker.service; systemctl stop docker.socket";

/// Makes somebody the owner with the code that lies on the boot partition.
fn claim(vm: &mut Vm) {
    wait_state(vm, "unclaimed");
    let code = vm.run("sed -n 's/.*Claim code *//p' /boot/firmware/dockbeacon-claim.txt", SOON).unwrap();
    let body = format!(r#"{{"code": "{code}", "password": "{PASSWORD}"}}"#);
    let page = format!("https://localhost:{}/api/v1/claim", vm.page);
    let told = curl(&["-H", "Content-Type: application/json", "-d", &body, &page]);
    assert_eq!(told, "200");
    wait_state(vm, "all-well");
}

/// The status of what the page answers; its certificate is its own.
fn curl(args: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sk", "-o", "/dev/null", "-w", "%{http_code}"])
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "two boots, twelve minutes under emulation; scripts/test --all runs it"]
fn h8_from_the_container_to_safe_mode_and_back() {
    let (_turn, folder, card) = boot::card();
    prepare(&card, folder.path(), "engine-patience: 40s, reboots-per-day: 1");
    let setup = Setup::new(Machine::Virt).with_qtest();
    let mut vm = setup.start(&card).unwrap();
    vm.set_line(crate::appliance::BUTTON, true).unwrap();
    settled(&mut vm);
    p3_a_service_of_the_boot_partition_runs(&mut vm);

    // Without an owner the lamps would say only that.
    claim(&mut vm);

    // A service that hangs fails its health check.
    let started = "docker inspect -f '{{.State.StartedAt}}' relay-relay-1";
    let before = vm.run(started, SOON).unwrap();
    vm.run("kill -STOP $(docker inspect -f '{{.State.Pid}}' relay-relay-1)", SOON).unwrap();
    wait_for(&mut vm, &format!("[ \"$({started})\" != '{before}' ]"), UPDATE);
    wait_healthy(&mut vm, "relay-relay-1", UPDATE);
    assert_eq!(version(&mut vm, 8080), "1.0.0");

    // Asked at its own address: the engine's forwarding from loopback ends with the engine.
    let address =
        "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' relay-relay-1";
    let address = vm.run(address, SOON).unwrap();
    vm.run(BREAK, SOON).unwrap();
    assert_eq!(version_at(&mut vm, &address, 8080), "1.0.0", "containers outlive their engine");
    vm.wait_off(Duration::from_secs(600)).unwrap();
    card.check().unwrap();

    // Up again with the same engine: it has used up its restart of the device, and stays.
    let mut vm = setup.start(&card).unwrap();
    vm.set_line(crate::appliance::BUTTON, true).unwrap();
    vm.wait_shell(boot::BOOT).unwrap();
    let safe = "dockbeacon --json status | grep -q 'safe mode'";
    wait_for(&mut vm, safe, 2 * UPDATE);
    let log = vm.run("journalctl -b -o cat --no-pager -u dockbeacon", SOON).unwrap();
    assert!(log.contains("its service is restarted") && log.contains("safe mode"), "{log}");
    // What led to it is on the card, though the journal of that boot was in memory.
    let kept = vm.run("zcat /var/log/dockbeacon/*.log.gz", SOON).unwrap();
    assert!(kept.contains("docker.service"), "{kept}");
    let up = vm.run("cat /proc/sys/kernel/random/boot_id", SOON).unwrap();
    let (_, _, lit) = lit_while(&mut vm, "sleep 100", UPDATE);
    assert_eq!(lit, LAMPS[2..], "only the lamp for faults");
    assert_eq!(
        vm.run("cat /proc/sys/kernel/random/boot_id", SOON).unwrap(),
        up,
        "safe mode restarts nothing"
    );
    assert_eq!(curl(&["-L", &format!("https://localhost:{}/", vm.page)]), "200");

    // Somebody mends it; nobody has to tell the daemon.
    vm.run("rm /etc/systemd/system/docker.service.d/broken.conf; systemctl daemon-reload; systemctl reset-failed; systemctl start docker", SOON)
        .unwrap();
    wait_healthy(&mut vm, "relay-relay-1", UPDATE);
    wait_state(&mut vm, "all-well");
    wait_for(&mut vm, &format!("! {safe}"), SOON);
    p12_held_for_five_seconds_it_shuts_down(&mut vm);
    card.check().unwrap();
}
