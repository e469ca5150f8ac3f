//! A card in a machine: QEMU with the image's own kernel, a console that is read, a root shell that only the test has, and a plug
//! that can be pulled.
//!
//! Owns starting, watching and ending QEMU. Must never leave one running, nor write to the image.

#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::card::Card;
use crate::lan::{self, Lan};
use crate::sandbox::{free_port, locked};

/// Where the device finds the one port that it was given.
pub const REGISTRY: &str = "10.0.2.100:5000";

/// Which machine the card is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// QEMU's own arm64 machine: quick, with a hardware watchdog and a button's line that can be driven from outside.
    Virt,
    /// The board of a Raspberry Pi 3B.
    Raspi3b,
}

/// How a machine is started.
#[derive(Debug, Clone)]
pub struct Setup {
    machine: Machine,
    append: String,
    more: Vec<String>,
    dtb: Option<std::path::PathBuf>,
    network: bool,
    registry: Option<u16>,
    lan: Option<String>,
    qtest: bool,
    watchdog: bool,
}

impl Setup {
    /// This machine as it is.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            append: String::new(),
            more: Vec::new(),
            dtb: None,
            network: true,
            registry: None,
            lan: None,
            qtest: false,
            watchdog: false,
        }
    }

    /// Adds words to the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        self.append = format!("{} {words}", self.append);
        self
    }

    /// Adds arguments of QEMU, such as `-rtc base=2020-01-01`.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.more.extend(args.iter().map(|a| (*a).to_owned()));
        self
    }

    /// Takes another device tree than the card's own.
    #[must_use]
    pub fn dtb(mut self, file: &Path) -> Self {
        self.dtb = Some(file.to_owned());
        self
    }

    /// Pulls the network cable: QEMU's network has no way to the outside but the forwarded ports anyway.
    #[must_use]
    pub fn without_network(mut self) -> Self {
        self.network = false;
        self
    }

    /// Lets the device reach this port of the machine, and nothing else of it, at [`REGISTRY`].
    #[must_use]
    pub fn with_registry(mut self, port: u16) -> Self {
        self.registry = Some(port);
        self
    }

    /// Plugs the cable into this network, which is found by its namespace, instead of QEMU's own: nothing is forwarded.
    #[must_use]
    pub fn in_lan(mut self, lan: &Lan) -> Self {
        self.lan = Some(lan.namespace());
        self
    }

    /// Opens the socket by which lines of the machine are driven from outside ([`Vm::qtest`]).
    #[must_use]
    pub fn with_qtest(mut self) -> Self {
        self.qtest = true;
        self
    }

    /// Has PID 1 arm the hardware watchdog with the image's own 14 s, which emulation on a busy machine may miss; without this it
    /// stays off. Not for the board: QEMU resets it as soon as its watchdog is armed.
    #[must_use]
    pub fn with_watchdog(mut self) -> Self {
        self.watchdog = true;
        self
    }

    /// Switches the machine on. The card is written to.
    ///
    /// # Errors
    /// The card has no kernel, or QEMU does not start.
    pub fn start(&self, card: &Card) -> Result<Vm> {
        let dir = tempfile::Builder::new().prefix("dockbeacon-vm").tempdir()?;
        let place = |name: &str| dir.path().join(name);
        let names = card.boot_names()?;
        let newest = |start: &str| {
            names
                .iter()
                .filter(|n| n.starts_with(start))
                .max()
                .cloned()
                .with_context(|| format!("no {start}* on the card"))
        };
        card.boot_take(&newest("vmlinuz-")?, &place("kernel"))?;
        card.boot_take(&newest("initrd.img-")?, &place("initrd"))?;
        let words = String::from_utf8_lossy(&card.boot_read("cmdline.txt")?)
            .split_whitespace()
            .filter(|w| !w.starts_with("console="))
            .collect::<Vec<_>>()
            .join(" ");
        let (page, ssh) = (free_port()?, free_port()?);

        let program = "qemu-system-aarch64";
        let mut qemu = match &self.lan {
            Some(namespace) => lan::inside(namespace, program),
            None => Command::new(program),
        };
        qemu.args(["-display", "none", "-no-reboot", "-accel", "tcg,tb-size=256"]);
        qemu.arg("-kernel").arg(place("kernel")).arg("-initrd").arg(place("initrd"));
        // The shell is systemd's own debug shell: it is asked for on the kernel's command line, which only the machine's owner
        // has a hand on, and is no part of the image.
        let file = card.path.display();
        let off = if self.watchdog { "" } else { "systemd.watchdog_sec=off" };
        let console;
        match self.machine {
            Machine::Virt => {
                console = format!(
                    "console=ttyAMA0 {words} systemd.debug-shell=hvc0 systemd.mask=serial-getty@hvc0.service {off} {}",
                    self.append
                );
                qemu.args(["-machine", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"]);
                qemu.args(["-drive", &format!("if=none,id=card,format=raw,file={file}")]);
                qemu.args(["-device", "virtio-blk-pci,drive=card", "-device", "virtio-rng-pci"]);
                qemu.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
                qemu.args(["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=shell"]);
                qemu.args(["-serial", "chardev:console"]);
            }
            Machine::Raspi3b => {
                console = format!(
                    "console=ttyS1,115200 console=tty1 {words} systemd.debug-shell=ttyS1 systemd.mask=serial-getty@ttyS1.service {off} {}",
                    self.append
                );
                let own = place("board.dtb");
                if self.dtb.is_none() {
                    card.boot_take("bcm2837-rpi-3-b.dtb", &own)?;
                }
                qemu.args(["-machine", "raspi3b"]).arg("-dtb").arg(self.dtb.as_ref().unwrap_or(&own));
                qemu.args(["-drive", &format!("if=sd,format=raw,file={file}")]);
                qemu.args(["-serial", "null", "-serial", "chardev:console"]);
            }
        }
        if self.network {
            let mut forward = format!("hostfwd=tcp:127.0.0.1:{page}-:3625,hostfwd=tcp:127.0.0.1:{ssh}-:22");
            if let Some(port) = self.registry {
                forward += &format!(",guestfwd=tcp:{REGISTRY}-cmd:busybox nc 127.0.0.1 {port}");
            }
            let net = if self.lan.is_some() {
                format!("tap,id=net,ifname={},script=no,downscript=no", lan::WIRE)
            } else {
                format!("user,id=net,restrict=on,{forward}")
            };
            qemu.args(["-netdev", &net]);
            qemu.args([
                "-device",
                if self.machine == Machine::Virt {
                    // Nothing starts from the network, so no file of a package that QEMU only recommends is needed for that.
                    "virtio-net-pci,netdev=net,romfile="
                } else {
                    "usb-net,netdev=net"
                },
            ]);
        }
        // The board has one line that works. The shell has it; what services say on the console goes to the screen.
        let lines: &[&str] = if self.machine == Machine::Virt { &["console", "shell"] } else { &["console"] };
        for name in lines {
            qemu.arg("-chardev")
                .arg(format!("socket,id={name},path={},server=on,wait=off", place(name).display()));
        }
        if self.qtest {
            qemu.arg("-qtest").arg(format!("unix:{},server=on,wait=off", place("qtest").display()));
            qemu.args(["-qtest-log", "/dev/null"]);
            qemu.arg("-monitor").arg(format!("unix:{},server=on,wait=off", place("monitor").display()));
        } else {
            qemu.args(["-monitor", "none"]);
        }
        qemu.arg("-append").arg(console).args(&self.more);
        qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(place("stderr"))?);
        let child = qemu.spawn().context("cannot run qemu-system-aarch64 (package qemu-system-arm)")?;
        let mut vm = Vm {
            child,
            console: Line::default(),
            shell: Line::default(),
            page,
            ssh,
            started: Instant::now(),
            chip: std::sync::OnceLock::new(),
            dir,
        };
        vm.console = vm.connect("console")?;
        vm.shell = if lines.contains(&"shell") { vm.connect("shell")? } else { vm.console.clone() };
        Ok(vm)
    }
}

/// A serial line, with all that has come in.
#[derive(Debug, Clone, Default)]
pub struct Line {
    stream: Option<Arc<UnixStream>>,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Line {
    fn new(stream: UnixStream) -> Result<Self> {
        let read = Arc::new(Mutex::new(Vec::new()));
        let (mut input, into) = (stream.try_clone()?, Arc::clone(&read));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = input.read(&mut bytes) {
                locked(&into).extend_from_slice(&bytes[..n]);
            }
        });
        Ok(Self { stream: Some(Arc::new(stream)), read })
    }

    /// All that has come in.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&locked(&self.read)).into_owned()
    }

    /// Sends a line.
    ///
    /// # Errors
    /// The machine is off.
    pub fn send(&self, line: &str) -> Result<()> {
        let mut stream = self.stream.as_deref().context("the machine is off")?;
        stream.write_all(format!("{line}\n").as_bytes()).context("the machine is off")
    }
}

/// What a terminal would show: without carriage returns and the codes that erase a line.
fn plain(said: &str) -> String {
    said.replace('\r', "").replace("\x1b[K", "").trim().to_owned()
}

/// A running machine; switched off when dropped.
#[derive(Debug)]
pub struct Vm {
    child: Child,
    /// What the owner sees on the console.
    pub console: Line,
    shell: Line,
    /// Where the device's page is found on this machine.
    pub page: u16,
    /// Where its SSH is found.
    pub ssh: u16,
    started: Instant,
    chip: std::sync::OnceLock<String>,
    dir: TempDir,
}

impl Vm {
    fn connect(&mut self, name: &str) -> Result<Line> {
        let path = self.dir.path().join(name);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(stream) = UnixStream::connect(&path) {
                return Line::new(stream);
            }
            self.must_run()?;
            if Instant::now() > deadline {
                bail!("QEMU does not open its {name}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let said = std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default();
            bail!("QEMU ended with {status}: {said}");
        }
        Ok(())
    }

    /// How long the machine has been on.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the console has shown this.
    ///
    /// # Errors
    /// The time is up or the machine went off; with the last of what the console showed.
    pub fn wait_console(&mut self, text: &str, limit: Duration) -> Result<()> {
        let line = self.console.clone();
        self.wait(limit, &format!("{text:?} on the console"), move || line.text().contains(text))
    }

    /// Whether the console has shown this.
    #[must_use]
    pub fn console_shows(&self, text: &str) -> bool {
        self.console.text().contains(text)
    }

    fn wait(&mut self, limit: Duration, what: &str, done: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !done() {
            if let Err(off) = self.must_run() {
                if done() {
                    break;
                }
                bail!("{what}: {off}; the console ended with\n{}", self.tail());
            }
            if Instant::now() > deadline {
                bail!("{what}: not within {limit:?}; the console ends with\n{}", self.tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn tail(&self) -> String {
        let text = self.console.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Waits for the root shell.
    ///
    /// # Errors
    /// It does not come; see [`Vm::wait_console`].
    pub fn wait_shell(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        // A line that comes before the shell is lost: ask until it answers.
        loop {
            let before = self.shell.text().len();
            self.shell.send("export TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_PAGER=; stty -echo; PS1=; PS2=; set +m; echo shell-$((40 + 2))-here")?;
            let line = self.shell.clone();
            let answered = move || line.text()[before..].contains("shell-42-here");
            if self.wait(Duration::from_secs(2), "the shell", answered).is_ok() {
                return Ok(());
            }
            self.must_run()?;
            if Instant::now() > deadline {
                bail!("no root shell within {limit:?}; the console ends with\n{}", self.tail());
            }
        }
    }

    /// Waits until every unit has started or failed and gives what systemd then says of itself: `running`, or what is wrong.
    ///
    /// # Errors
    /// There is no shell, or it takes longer than this.
    pub fn wait_started(&mut self, limit: Duration) -> Result<String> {
        self.wait_shell(limit)?;
        // On the board the kernel speaks on the shell's line.
        let (_, said) = self.try_run("systemctl is-system-running --wait", limit)?;
        Ok(said.lines().next_back().unwrap_or_default().to_owned())
    }

    /// Runs a command as root on the device and gives what it printed.
    ///
    /// # Errors
    /// Its status is not 0, or it takes longer than this.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<String> {
        let (status, text) = self.try_run(command, limit)?;
        if status != 0 {
            bail!("on the device: {command}: status {status}\n{text}");
        }
        Ok(text)
    }

    /// The same with its status.
    ///
    /// # Errors
    /// It takes longer than this.
    pub fn try_run(&mut self, command: &str, limit: Duration) -> Result<(i32, String)> {
        let before = self.shell.text().len();
        // The words of the end are put together on the device, so that an echo of the command is not taken for it.
        self.shell.send(&format!("echo begin-$((6*7)); {{ {command}\n}} 2>&1; echo \"end-$((6*7))-$?\""))?;
        let line = self.shell.clone();
        let answer = move || {
            let text = line.text();
            let text = text.get(before..)?;
            let (_, rest) = text.split_once("begin-42")?;
            let (said, end) = rest.rsplit_once("end-42-")?;
            let (status, _) = end.split_once(['\r', '\n'])?;
            Some((status.trim().parse().ok()?, plain(said)))
        };
        let answer = Arc::new(answer);
        let asked = Arc::clone(&answer);
        let from = self.uptime();
        self.wait(limit, command, move || asked().is_some())?;
        let took = (self.uptime() - from).as_secs_f32();
        #[allow(
            clippy::print_stdout,
            reason = "tells with the failed test, or --nocapture, where the time went"
        )]
        {
            println!("{:7.1} s, took {took:5.1} s: {command}", from.as_secs_f32());
        }
        answer().context("the answer went away")
    }

    /// Sends one line to QEMU's test socket and gives its answer, such as `set_irq_in`.
    ///
    /// # Errors
    /// The machine was started without [`Setup::with_qtest`], or refuses.
    pub fn qtest(&self, command: &str) -> Result<String> {
        let mut stream = UnixStream::connect(self.dir.path().join("qtest")).context("no test socket")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        if !answer.starts_with("OK") {
            bail!("QEMU's test socket on {command}: {answer}");
        }
        Ok(answer)
    }

    /// Sets the level of a line of the GPIO chip PL061, as a wire to the header would. Needs [`Setup::with_qtest`].
    ///
    /// # Errors
    /// As [`Vm::qtest`].
    pub fn set_line(&self, line: u8, high: bool) -> Result<()> {
        let chip = self.pl061()?;
        self.qtest(&format!("set_irq_in {chip} unnamed-gpio-in {line} {}", i32::from(high))).map(drop)
    }

    /// Where this machine has its GPIO chip: QEMU numbers what a machine consists of.
    fn pl061(&self) -> Result<&str> {
        if let Some(found) = self.chip.get() {
            return Ok(found);
        }
        let mut stream = UnixStream::connect(self.dir.path().join("monitor")).context("no monitor")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"info qom-tree\n")?;
        let mut said = Vec::new();
        let mut bytes = [0; 4096];
        // The prompt comes once as a greeting, and once after the answer.
        while said.windows(7).filter(|part| part == b"(qemu) ").count() < 2 {
            match stream.read(&mut bytes)? {
                0 => bail!("QEMU's monitor closed"),
                n => said.extend_from_slice(&bytes[..n]),
            }
        }
        let tree = String::from_utf8_lossy(&said);
        let line =
            tree.lines().find(|l| l.trim_end().ends_with("(pl061)")).context("the machine has no PL061")?;
        let name = line.trim().trim_start_matches('/').split(' ').next().unwrap_or_default();
        Ok(self.chip.get_or_init(|| format!("/machine/unattached/{name}")))
    }

    /// Pulls the plug: what the guest has not written is lost. A real card's own cache is not simulated.
    pub fn cut(mut self) {
        self.end();
    }

    /// Waits until the machine has switched itself off.
    ///
    /// # Errors
    /// It did not.
    pub fn wait_off(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("not off within {limit:?}; the console ends with\n{}", self.tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "shown when the test failed")]
            {
                eprintln!("---- the console ended with\n{}\n----", self.tail());
            }
        }
    }
}
