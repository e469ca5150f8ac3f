//! A network of a device's own: a wire, an address by DHCP, names, and a time server, in a network namespace.
//!
//! Owns the namespace and what runs in it. Must never reach the machine's own network, which it has no way to.

#![allow(clippy::disallowed_methods, reason = "it tells the real time")]

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

/// This side of the wire.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The wire, as QEMU is told.
pub const WIRE: &str = "wire0";
/// Where multicast DNS is spoken.
const MDNS: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// The network; gone when dropped.
#[derive(Debug)]
pub struct Lan {
    keeper: Child,
    asked: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl Lan {
    /// A wire with DHCP and names behind it, where every name of `pool.ntp.org` is this side's time server. Needs root, iproute2,
    /// and dnsmasq.
    ///
    /// # Errors
    /// One of them is missing, or there is no `/dev/net/tun`.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dockbeacon-lan").tempdir()?;
        // Ends with the test, also with one that is killed: then nobody holds its input open.
        let script = format!(
            "set -e; ip link set lo up; ip tuntap add {WIRE} mode tap; ip address add {HOST}/24 dev {WIRE}; \
             ip link set {WIRE} up; ip route add 224.0.0.0/4 dev {WIRE}; \
             dnsmasq --conf-file=/dev/null --user=root --pid-file={pid} --interface={WIRE} --bind-interfaces \
               --dhcp-range=10.77.0.50,10.77.0.99,1h --dhcp-authoritative --no-ping --dhcp-leasefile={leases} \
               --no-resolv --no-hosts --address=/pool.ntp.org/{HOST} --log-facility={log}; \
             echo ready; cat >/dev/null; kill $(cat {pid})",
            pid = folder.path().join("pid").display(),
            leases = folder.path().join("leases").display(),
            log = folder.path().join("log").display(),
        );
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare (package util-linux)")?;
        let mut first = String::new();
        BufReader::new(keeper.stdout.take().context("no output")?).read_line(&mut first)?;
        if first.trim() != "ready" {
            // What was wrong it has said itself.
            let _ = keeper.wait();
            bail!("no network of its own: it needs root, iproute2, dnsmasq-base and /dev/net/tun");
        }
        let lan = Self { keeper, asked: Arc::default(), _folder: folder };
        lan.tell_time()?;
        Ok(lan)
    }

    /// Where the kernel shows it.
    #[must_use]
    pub fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.id())
    }

    /// A command that runs in this network.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        inside(&self.namespace(), program)
    }

    /// Runs such a command to its end.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program).args(args).output().with_context(|| format!("cannot run {program}"))
    }

    /// A socket in this network.
    fn socket(&self, port: u16) -> Result<UdpSocket> {
        self.socket_at(HOST, port)
    }

    fn socket_at(&self, address: Ipv4Addr, port: u16) -> Result<UdpSocket> {
        let namespace = std::fs::File::open(self.namespace())?;
        // A thread is in one network only; this one ends, and its socket stays where it was made.
        let made = std::thread::spawn(move || -> Result<UdpSocket> {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).context("entering the network")?;
            Ok(UdpSocket::bind((address, port))?)
        });
        made.join().map_err(|_| anyhow::anyhow!("the thread of a socket"))?
    }

    /// How often the time server was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Answers as a server of the first stratum (RFC 5905, figure 8), with this machine's time.
    fn tell_time(&self) -> Result<()> {
        let (socket, asked) = (self.socket(123)?, Arc::clone(&self.asked));
        std::thread::spawn(move || {
            let mut request = [0; 128];
            while let Ok((length, from)) = socket.recv_from(&mut request) {
                if length < 48 {
                    continue;
                }
                let now = stamp();
                let mut answer = [0; 48];
                answer[..4].copy_from_slice(&[0x24, 1, request[2], 0xec]);
                answer[12..16].copy_from_slice(b"LOCL");
                answer[16..24].copy_from_slice(&now);
                answer[24..32].copy_from_slice(&request[40..48]);
                answer[32..40].copy_from_slice(&now);
                answer[40..48].copy_from_slice(&stamp());
                asked.fetch_add(1, Ordering::Relaxed);
                if socket.send_to(&answer, from).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// The address that a name has by multicast DNS (RFC 6762, section 6.7: one question, one answer).
    ///
    /// # Errors
    /// Nobody answers within a few seconds.
    pub fn resolve(&self, name: &str) -> Result<Ipv4Addr> {
        let socket = self.socket(0)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut question = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(labels(name)?);
        question.extend_from_slice(&[0, 1, 0, 1]);
        let mut answer = [0; 1500];
        for _ in 0..20 {
            socket.send_to(&question, MDNS)?;
            if let Ok((length, from)) = socket.recv_from(&mut answer) {
                // One question, repeated, and the address of whoever answers.
                let told = first_address(&answer[..length], question.len());
                return told.with_context(|| format!("{from} answers without an address"));
            }
        }
        bail!("nobody answers to {name}")
    }

    /// Somebody else who has this name already: answers for it at [`HOST`], also to those who ask whether they may have it
    /// (RFC 6762, section 9).
    ///
    /// # Errors
    /// The network has another answerer, or the name is too long.
    pub fn have_name(&self, name: &str) -> Result<()> {
        let asked = labels(name)?;
        // A response, authoritative, with one answer: an address, of a name that is unique, for two minutes.
        let mut answer = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        answer.extend_from_slice(&asked);
        answer.extend_from_slice(&[0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
        answer.extend_from_slice(&HOST.octets());
        let socket = self.socket_at(Ipv4Addr::UNSPECIFIED, MDNS.1)?;
        socket.join_multicast_v4(&MDNS.0, &HOST)?;
        socket.set_multicast_ttl_v4(255)?;
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, _)) = socket.recv_from(&mut packet) {
                let (head, rest) = packet[..length].split_at(12.min(length));
                let question = head.get(2).is_some_and(|flags| flags & 0x80 == 0);
                let names_it = rest.windows(asked.len()).any(|part| part.eq_ignore_ascii_case(&asked));
                if question && names_it && socket.send_to(&answer, MDNS).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }
}

/// A name as DNS writes it.
fn labels(name: &str) -> Result<Vec<u8>> {
    let mut written = Vec::new();
    for label in name.split('.') {
        written.push(u8::try_from(label.len())?);
        written.extend_from_slice(label.as_bytes());
    }
    written.push(0);
    Ok(written)
}

/// A command that runs in the network of this namespace.
#[must_use]
pub fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).arg(program);
    command
}

/// The address in the first answer, which begins here with the name as a pointer: type 1, class 1, life, length 4.
fn first_address(packet: &[u8], start: usize) -> Option<Ipv4Addr> {
    let record = packet.get(start..start + 16)?;
    let typed = record[0] & 0xc0 == 0xc0 && record[2..4] == [0, 1] && record[10..12] == [0, 4];
    typed.then(|| Ipv4Addr::new(record[12], record[13], record[14], record[15]))
}

/// This moment as NTP writes it: seconds, and parts of one in 2^-32.
fn stamp() -> [u8; 8] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let parts = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (((now.as_secs() + NTP_EPOCH) << 32) | parts).to_be_bytes()
}

impl Drop for Lan {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It is the end of the network either way.
        let _ = self.keeper.wait();
    }
}
