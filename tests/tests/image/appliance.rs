//! The appliance from the first boot on, as its owner has it: flashed with files of theirs, claimed by a press of the button, used,
//! unplugged, hung, reset and switched off.
//!
//! Owns the order: one card goes through up to three boots of QEMU's own machine, because a boot costs minutes. A step is a function
//! of its own; it carries a row's number where the row's acceptance runs in it. Must never reach beyond this machine.
#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]
#![allow(clippy::await_holding_lock, reason = "the one task of a test waits for its turn at the machine")]

use std::time::{Duration, Instant};

use dockbeacon_tests::card::{self, Card};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::qemu::{Machine, REGISTRY, Setup, Vm};
use dockbeacon_tests::registry::Registry;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::boot::{self, BOOT, SOON, UPDATE, as_declared, settled, wait_for, wait_state};
use crate::browser::{browser, click, fill, open, until, until_within};

pub const PASSWORD: &str = "harbour light seven";
/// The button's line of the emulated chip, and its lamps: health, update, fault.
pub const BUTTON: u8 = 6;
pub const LAMPS: [u8; 3] = [0, 1, 2];

/// What the owner puts on the boot partition, with these settings of `device`; gives the key of their SSH.
pub fn prepare(card: &Card, folder: &std::path::Path, device: &str) -> std::path::PathBuf {
    let key = folder.join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "alice@laptop", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen, from Debian's package openssh-client");
    assert!(made.success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let [health, update, fault] = LAMPS.map(|line| format!("9030000.pl061:{line}"));
    let settings = format!(
        "hostname: shelf\n\
         user:\n  name: alice\n  ssh-keys:\n    - {}\n  sudo: true\n\
         time-zone: Europe/Berlin\n\
         settings:\n\
         \x20 panel:\n    health: {health}\n    update: {update}\n    fault: {fault}\n    button: 9030000.pl061:{BUTTON}\n\
         \x20 schedule:\n    interval: never\n    check-on-start: false\n\
         \x20 device: {{ {device} }}\n",
        public.trim()
    );
    card.boot_write("dockbeacon.yaml", settings.as_bytes()).unwrap();
    let image = ImageSpec::demo_arm64("1.0.0").unwrap().build().unwrap();
    card.boot_write("apps/relay/relay.tar", &image.archive("local/relay:1").unwrap()).unwrap();
    let service = "services:\n  relay:\n    image: local/relay:1\n    restart: unless-stopped\n    ports: ['8080:8080']\n";
    card.boot_write("apps/relay/compose.yaml", service.as_bytes()).unwrap();
    key
}

/// What the device answers on a port of its own.
pub fn version(vm: &mut Vm, port: u16) -> String {
    version_at(vm, "127.0.0.1", port)
}

/// What is answered there, asked from the device.
pub fn version_at(vm: &mut Vm, address: &str, port: u16) -> String {
    let ask = format!(
        "bash -c 'exec 3<>/dev/tcp/{address}/{port} && printf \"GET /version HTTP/1.0\\r\\n\\r\\n\" >&3 && tail -n 1 <&3'"
    );
    vm.try_run(&ask, SOON).unwrap().1
}

/// Waits until a container says that it is healthy.
pub fn wait_healthy(vm: &mut Vm, name: &str, limit: Duration) {
    wait_for(
        vm,
        &format!("docker ps --format '{{{{.Names}}}} {{{{.Status}}}}' | grep -q '^{name} Up.*(healthy)'"),
        limit,
    );
}

/// Writes down for as long as the command runs what the kernel says of the lamps' lines; gives which were seen high.
pub fn lit_while(vm: &mut Vm, command: &str, limit: Duration) -> (i32, String, Vec<u8>) {
    // All of it by the shell itself: twenty times in a second a program more would be most of what an emulated processor does.
    let start = "base=$(sed -n 's/.*GPIOs \\([0-9]*\\)-.*9030000.pl061:$/\\1/p' /sys/kernel/debug/gpio); rm -f /run/lit /run/lit.end; \
        bash -c 'exec {never}<> <(:); while [ ! -e /run/lit.end ]; do mapfile all </sys/kernel/debug/gpio; \
        printf %s \"${all[@]}\" >>/run/lit; read -rt 0.05 -u $never; done' &";
    vm.run(start, SOON).unwrap();
    let (status, said) = vm.try_run(command, limit).unwrap();
    let seen = vm
        .run("touch /run/lit.end; wait; sed -n 's/.*gpio-\\([0-9]*\\).*|dockbeacon.*out hi.*/\\1/p' /run/lit | sort -u | while read n; do echo $((n - base)); done; rm -f /run/lit.end", SOON)
        .unwrap();
    (status, said, seen.split_whitespace().map(|n| n.parse().unwrap()).collect())
}

/// Presses the button for so long.
pub fn press(vm: &Vm, length: Duration) {
    vm.set_line(BUTTON, false).unwrap();
    // Time is what a gesture is about.
    std::thread::sleep(length);
    vm.set_line(BUTTON, true).unwrap();
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The device signs its own certificate; which one it is, the console tells.
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).tls_info(true);
    client.redirect(reqwest::redirect::Policy::none()).timeout(SOON).build().unwrap()
}

/// The console tells address, code and fingerprint; the page has that certificate; plain http leads there.
async fn the_console_says_where_and_how(vm: &mut Vm) {
    let console = vm.console.text();
    assert!(console.contains("https://shelf.local:3625/"), "{console}");
    let hex = |line: &str| -> String { line.trim().rsplit(' ').next().unwrap_or_default().to_owned() };
    let lines: Vec<&str> = console.lines().map(|line| line.trim_end_matches('\r')).collect();
    let at = lines.iter().rposition(|line| line.contains("Certificate  SHA-256 ")).expect("a fingerprint");
    let shown = format!("{}{}", hex(lines[at]), hex(lines[at + 1]));
    assert!(lines.iter().any(|line| line.contains("Claim code   ")), "{console}");
    assert!(vm.run("cat /boot/firmware/dockbeacon-claim.txt", SOON).unwrap().contains("Claim code"));

    let answer = client().get(format!("https://localhost:{}/livez", vm.page)).send().await.unwrap();
    let certificate = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap();
    let served: Vec<String> = Sha256::digest(certificate).iter().map(|b| format!("{b:02X}")).collect();
    assert_eq!(shown, served.join(":"));
    let plain = client().get(format!("http://localhost:{}/", vm.page)).send().await.unwrap();
    assert_eq!(plain.status(), 403);
    let text = plain.text().await.unwrap();
    assert!(text.contains(&format!("https://localhost:{}/", vm.page)), "{text}");
}

/// The card grew, and is what its file asked for.
pub fn the_device_is_what_its_file_asks_for(vm: &mut Vm) {
    let mut is =
        |command: &str, wanted: &str| assert_eq!(vm.run(command, SOON).unwrap(), wanted, "{command}");
    is(
        "hostname; cat /etc/timezone 2>/dev/null || readlink /etc/localtime | sed 's,.*zoneinfo/,,'",
        "shelf\nEurope/Berlin",
    );
    is("id -nG alice | tr ' ' '\\n' | grep -x -e docker -e dockbeacon; echo none", "none");
    is("[ $(df -k --output=size / | tail -n 1) -gt 3000000 ] && echo grown", "grown");
    is("ls /etc/ssh/ssh_host_*_key | wc -l | grep -c [1-9]", "1");
}

/// The owner's key opens the owner's account.
fn the_owner_comes_in(vm: &Vm, key: &std::path::Path) {
    let ssh = std::process::Command::new("ssh");
    assert_eq!(asks_as_alice(ssh, "127.0.0.1", vm.ssh, key, "sudo -n id -un"), "root");
}

/// What a command says that the owner gives over SSH.
pub fn asks_as_alice(
    mut ssh: std::process::Command,
    host: &str,
    port: u16,
    key: &std::path::Path,
    command: &str,
) -> String {
    let output = ssh
        .args(["-i", &key.to_string_lossy(), "-p", &port.to_string()])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"])
        .args(["-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", &format!("alice@{host}"), command])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// P3: a service of the boot partition runs, from the image that lay beside it.
pub fn p3_a_service_of_the_boot_partition_runs(vm: &mut Vm) {
    wait_healthy(vm, "relay-relay-1", UPDATE);
    assert_eq!(version(vm, 8080), "1.0.0");
}

/// P7: while it waits for its owner its lamps light in turn, as the kernel says; a press of the real button grants the claim
/// that is open in a browser.
async fn p7_a_press_makes_the_one_at_the_page_the_owner(vm: &mut Vm) {
    wait_state(vm, "unclaimed");
    let (_, _, lit) = lit_while(vm, "sleep 10", SOON);
    assert_eq!(lit, LAMPS);
    let profile = tempfile::tempdir().unwrap();
    let (_driver, page) = browser(profile.path()).await;
    open(&page, &format!("https://localhost:{}/", vm.page)).await;
    until_within(&page, SOON, "location.pathname === '/claim' && document.querySelector('#press-password')")
        .await;
    // With no claim open a press grants nothing.
    press(vm, Duration::from_millis(200));
    fill(&page, "#press-password", PASSWORD).await;
    click(&page, "form:has(#press-password) button").await;
    until(&page, "document.querySelector('form:has(#press-password) button[aria-disabled=true]')").await;
    let granted = "location.pathname === '/' && document.querySelector('.hero h1')";
    let end = Instant::now() + SOON;
    while page.execute(&format!("return Boolean({granted})"), vec![]).await.ok() != Some(json!(true)) {
        assert!(Instant::now() < end, "the press was not seen");
        press(vm, Duration::from_millis(200));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    until_within(
        &page,
        SOON,
        "document.querySelector('.hero').innerText.includes('The one service is well')",
    )
    .await;
    page.close().await.unwrap();
    wait_for(vm, "[ ! -e /boot/firmware/dockbeacon-claim.txt ]", SOON);
    wait_state(vm, "all-well");
}

/// P2: the daemon of the image updates a service from a registry, with the lamp for it lit, and takes back what is not well.
async fn p2_an_update_goes_through_and_a_bad_one_goes_back(vm: &mut Vm, registry: &Registry) {
    reach_registry(vm);
    registry.push("lantern", "1", &ImageSpec::demo_arm64("1.0.0").unwrap()).await.unwrap();
    vm.run("docker run -qd --name lantern --restart unless-stopped -p 127.0.0.1:8081:8080 127.0.0.1:5000/lantern:1", UPDATE)
        .unwrap();
    wait_healthy(vm, "lantern", SOON);
    assert_eq!(version(vm, 8081), "1.0.0");

    registry.push("lantern", "1", &ImageSpec::demo_arm64("2.0.0").unwrap()).await.unwrap();
    let (status, said, lit) = lit_while(vm, "dockbeacon update lantern", UPDATE);
    assert_eq!((status, version(vm, 8081).as_str()), (0, "2.0.0"), "{said}");
    assert!(lit.contains(&LAMPS[1]) && !lit.contains(&LAMPS[2]), "{lit:?}");

    let bad = ImageSpec::demo_arm64("3.0.0").unwrap().env("UNHEALTHY", "1");
    registry.push("lantern", "1", &bad).await.unwrap();
    let (status, said) = vm.try_run("dockbeacon update lantern", UPDATE).unwrap();
    assert_eq!((status, version(vm, 8081).as_str()), (5, "2.0.0"), "{said}");
    assert_eq!(names(vm), "lantern\nrelay-relay-1");

    // What the console said, the API says to its owner.
    let base = format!("https://localhost:{}", vm.page);
    let login = client().post(format!("{base}/api/v1/login")).json(&json!({ "password": PASSWORD }));
    let login = login.send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let updates =
        client().get(format!("{base}/api/v1/updates")).header("cookie", cookie).send().await.unwrap();
    let updates: Value = updates.json().await.unwrap();
    assert!(updates.to_string().contains("3.0.0"), "{updates}");
}

/// The host's registry as one of the device's own, which engine and daemon speak plain HTTP with.
fn reach_registry(vm: &mut Vm) {
    let proxy = format!(
        "systemd-run -q --unit relay-registry --socket-property=ListenStream=127.0.0.1:5000 \
         /usr/lib/systemd/systemd-socket-proxyd {REGISTRY}"
    );
    vm.run(&proxy, SOON).unwrap();
}

/// All containers.
fn names(vm: &mut Vm) -> String {
    vm.run("docker ps -a --format '{{.Names}}' | sort", SOON).unwrap()
}

/// Runs a script of the repository, with this to say why it failed.
fn script(name: &str, args: &[&str]) -> (bool, String) {
    let top = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let output = std::process::Command::new(top.join("scripts").join(name)).args(args).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// P10: the package goes onto a machine that runs, over SSH; one that does not come up gives way to the one before; removed and
/// installed again, everything is as it was.
fn p10_deploy_installs_upgrades_and_goes_back(vm: &mut Vm, key: &std::path::Path) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(place("daemon"), card::image().unwrap().read("/usr/bin/dockbeacon").unwrap()).unwrap();
    std::fs::set_permissions(place("daemon"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (made, said) = script("build-deb", &["--daemon", &place("daemon"), "--output", &place(""), "arm64"]);
    assert!(made, "{said}");
    let mut files = std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.path());
    let deb = files.find(|p| p.extension().is_some_and(|e| e == "deb")).unwrap();
    let hosts = place("known_hosts");
    let (port, key) = (vm.ssh.to_string(), key.to_string_lossy().into_owned());
    let deploy = |deb: &std::path::Path| {
        let deb = deb.to_string_lossy();
        let (known, unchecked) = (format!("UserKnownHostsFile={hosts}"), "StrictHostKeyChecking=accept-new");
        let ssh = ["--port", &port, "--identity", &key, "-o", &known, "-o", unchecked];
        script("deploy", &[&["--deb", &deb], &ssh[..], &["alice@127.0.0.1"]].concat())
    };
    let (done, said) = deploy(&deb);
    assert!(done, "{said}");
    assert_eq!(
        vm.run("dpkg -S /usr/bin/dockbeacon; systemctl is-active dockbeacon", SOON).unwrap(),
        "dockbeacon: /usr/bin/dockbeacon\nactive"
    );

    // The next version does not start.
    let (root, broken) = (place("root"), folder.path().join("broken.deb"));
    let dpkg_deb = |args: &[&str]| {
        let done = std::process::Command::new("dpkg-deb").args(args).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    dpkg_deb(&["-R", &deb.to_string_lossy(), &root]);
    std::fs::write(format!("{root}/usr/bin/dockbeacon"), "#!/bin/sh\nexit 1\n").unwrap();
    dpkg_deb(&["--root-owner-group", "--build", &root, &broken.to_string_lossy()]);
    let (done, said) = deploy(&broken);
    assert!(!done && said.contains("the earlier version is back"), "{said}");
    wait_for(vm, "systemctl is-active -q dockbeacon && dockbeacon status", SOON);

    vm.run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y remove dockbeacon", UPDATE).unwrap();
    assert_eq!(vm.run("systemctl is-active dockbeacon; ls /usr/bin/dockbeacon 2>&1 | grep -c 'No such'; ls /var/lib/dockbeacon/ | grep -c claimed", SOON).unwrap(), "inactive\n1\n1");
    let (done, said) = deploy(&deb);
    assert!(done, "{said}");
    wait_state(vm, "all-well");
}

/// P6: a daemon that hangs is found out by the service manager and started again.
fn p6_a_hang_ends_in_a_restart(vm: &mut Vm) {
    let before = vm.run("systemctl show -P MainPID dockbeacon", SOON).unwrap();
    vm.run(&format!("kill -STOP {before}"), SOON).unwrap();
    let other = format!(
        "p=$(systemctl show -P MainPID dockbeacon); [ \"$p\" != {before} ] && [ \"$p\" != 0 ] && systemctl is-active -q dockbeacon"
    );
    wait_for(vm, &other, Duration::from_secs(200));
    assert!(vm.run("systemctl show -P NRestarts dockbeacon", SOON).unwrap() != "0");
}

/// P12: as after `poweroff`: services stopped, file systems closed.
pub fn p12_held_for_five_seconds_it_shuts_down(vm: &mut Vm) {
    press(vm, Duration::from_secs(5));
    vm.wait_off(Duration::from_secs(300)).unwrap();
    let console = vm.console.text();
    assert!(console.contains("System is powering down") || console.contains("Power down"), "{console}");
}

/// P12: held for more than ten seconds and pressed once more, the button forgets the owner, and nothing else.
fn p12_the_button_forgets_the_owner(vm: &mut Vm) {
    wait_state(vm, "all-well");
    press(vm, Duration::from_secs(13));
    std::thread::sleep(Duration::from_millis(1_500));
    press(vm, Duration::from_millis(200));
    wait_state(vm, "unclaimed");
    assert_eq!(names(vm), "lantern\nrelay-relay-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appliance_is_set_up_claimed_and_used() {
    live(Life::Day).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "three boots, twenty-five minutes under emulation; scripts/test --all runs it"]
async fn an_appliance_is_deployed_to_unplugged_hung_reset_and_switched_off() {
    live(Life::Whole).await;
}

/// How far it goes.
#[derive(PartialEq, Eq)]
enum Life {
    /// Its first boot.
    Day,
    /// Everything.
    Whole,
}

async fn live(life: Life) {
    let (_turn, folder, card) = boot::card();
    let key = prepare(&card, folder.path(), "engine-patience: 5m");
    let registry = Registry::start().await.unwrap();
    let port = registry.address.rsplit(':').next().unwrap().parse().unwrap();
    let setup = Setup::new(Machine::Virt).with_qtest().with_registry(port);

    let mut vm = setup.start(&card).unwrap();
    // The pull-up.
    vm.set_line(BUTTON, true).unwrap();
    vm.wait_console("login:", BOOT).unwrap();
    println!("login prompt after {:?}", vm.uptime());
    settled(&mut vm);
    as_declared(&mut vm);
    the_console_says_where_and_how(&mut vm).await;
    the_device_is_what_its_file_asks_for(&mut vm);
    the_owner_comes_in(&vm, &key);
    p3_a_service_of_the_boot_partition_runs(&mut vm);
    p7_a_press_makes_the_one_at_the_page_the_owner(&mut vm).await;
    p2_an_update_goes_through_and_a_bad_one_goes_back(&mut vm, &registry).await;
    if life == Life::Day {
        // Nothing uses the boot partition any more, and a power cut does not find it open.
        wait_for(&mut vm, "! grep -q ' vfat ' /proc/mounts", SOON);
        vm.cut();
        return card.check().unwrap();
    }
    p10_deploy_installs_upgrades_and_goes_back(&mut vm, &key);
    p6_a_hang_ends_in_a_restart(&mut vm);

    // The plug is pulled while the new version is being verified.
    let second = 1_000_000_000_u64;
    let slow = ImageSpec::demo_arm64("4.0.0").unwrap().env("START_DELAY_MS", "30000").with(
        "Healthcheck",
        json!({"Test": ["CMD", "/demo", "--probe", "http://127.0.0.1:8080/health"], "Interval": second,
               "Timeout": 2 * second, "StartPeriod": 300 * second, "Retries": 2}),
    );
    registry.push("lantern", "1", &slow).await.unwrap();
    vm.run("dockbeacon update lantern >/dev/null 2>&1 &", SOON).unwrap();
    let aside =
        "until docker ps -a --format '{{.Names}}' | grep -q '^lantern[.]dockbeacon-.*[.]old$'; do :; done";
    vm.run(aside, UPDATE).unwrap();
    vm.cut();
    card.check().unwrap();

    // Now with the watchdog that the card is shipped with.
    let mut vm = setup.clone().with_watchdog().start(&card).unwrap();
    vm.set_line(BUTTON, true).unwrap();
    settled(&mut vm);
    let watchdog = "cd /sys/class/watchdog/watchdog0 && cat identity state timeout; \
        systemctl show -P RuntimeWatchdogUSec; systemctl show -P RebootWatchdogUSec";
    assert_eq!(vm.run(watchdog, SOON).unwrap(), "i6300ESB timer\nactive\n14\n14s\n15s");
    wait_for(
        &mut vm,
        "[ \"$(docker ps -a --format '{{.Names}}' | sort | xargs)\" = 'lantern relay-relay-1' ]",
        UPDATE,
    );
    wait_healthy(&mut vm, "lantern", UPDATE);
    let now = version(&mut vm, 8081);
    assert!(["2.0.0", "4.0.0"].contains(&now.as_str()), "{now}");
    p12_the_button_forgets_the_owner(&mut vm);
    // Nobody pets the watchdog any more, and it resets the machine, which ends this QEMU.
    vm.run("sync; (sleep 1; echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze) >/dev/null 2>&1 &", SOON)
        .unwrap();
    vm.wait_off(Duration::from_secs(240)).unwrap();
    card.check().unwrap();

    // A file on the boot partition asks for another face; data stays.
    let face = card.text("/etc/ssh/ssh_host_ed25519_key.pub").unwrap();
    card.boot_write("dockbeacon-reset", b"").unwrap();
    let mut vm = setup.start(&card).unwrap();
    vm.set_line(BUTTON, true).unwrap();
    settled(&mut vm);
    let log =
        vm.run("journalctl -b -u dockbeacon-firstboot -o cat --no-pager; ls /boot/firmware", SOON).unwrap();
    assert!(log.contains("factory reset: done") && !log.contains("dockbeacon-reset"), "{log}");
    assert_ne!(vm.run("cat /etc/ssh/ssh_host_ed25519_key.pub", SOON).unwrap(), face.trim());
    wait_healthy(&mut vm, "lantern", UPDATE);
    wait_state(&mut vm, "unclaimed");
    p12_held_for_five_seconds_it_shuts_down(&mut vm);
    card.check().unwrap();
}
