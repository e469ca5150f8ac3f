//! A registry of the test's own and images without a download.
//!
//! Owns only what the adapter tests need. Must never touch a container, image or port that is not its own.
#![allow(clippy::disallowed_methods, reason = "tests read the time")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's docker-registry on a free loopback port, with its own folder and log.
pub struct RegistryServer {
    child: Child,
    pub folder: tempfile::TempDir,
    pub address: String,
}

/// What a registry serves with.
#[derive(Default)]
pub struct Serve {
    /// User and password.
    pub basic: Option<(&'static str, &'static str)>,
    /// Certificate and key, PEM.
    pub tls: Option<(String, String)>,
}

impl RegistryServer {
    pub fn start(serve: &Serve) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let port = dockbeacon_tests::sandbox::free_port().unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut config = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: false\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}/data\nhttp:\n  addr: {address}\n",
            at.display()
        );
        if let Some((cert, key)) = &serve.tls {
            std::fs::write(at.join("cert.pem"), cert).unwrap();
            std::fs::write(at.join("key.pem"), key).unwrap();
            let tls = format!("  tls:\n    certificate: {0}/cert.pem\n    key: {0}/key.pem\n", at.display());
            config.push_str(&tls);
        }
        if let Some((user, password)) = serve.basic {
            let made =
                Command::new("htpasswd").args(["-Bbn", user, password]).output().expect("apache2-utils");
            std::fs::write(at.join("users"), made.stdout).unwrap();
            config.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}/users\n",
                at.display()
            ));
        }
        std::fs::write(at.join("config.yml"), config).unwrap();
        let log = std::fs::File::create(at.join("log")).unwrap();
        let child = Command::new("/usr/bin/docker-registry")
            .arg("serve")
            .arg(at.join("config.yml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("docker-registry");
        let server = Self { child, folder, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(&server.address).is_err() {
            assert!(Instant::now() < deadline, "registry did not start: {}", server.raw_log());
            std::thread::yield_now();
        }
        server
    }

    pub fn raw_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `METHOD path status` of every request so far, in order.
    pub fn requests(&self) -> Vec<String> {
        let log = self.raw_log();
        log.lines()
            .filter_map(|line| {
                let (_, rest) = line.split_once("] \"")?;
                let (request, rest) = rest.split_once("\" ")?;
                let mut words = request.split(' ');
                Some(format!("{} {} {}", words.next()?, words.next()?, rest.split(' ').next()?))
            })
            .collect()
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The engine of the test bed that these tests talk to.
pub fn host() -> &'static str {
    &dockbeacon_tests::engine::engines().expect("the test engines")[0].host
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

/// Runs the docker command, which must succeed, and gives its output.
pub fn docker(args: &[&str]) -> String {
    let out = Command::new("docker").env("DOCKER_HOST", host()).args(args).output().expect("docker");
    assert!(out.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Makes a tiny image of that name out of busybox and a mark, and returns its id.
pub fn import(name: &str, mark: &str, changes: &[&str]) -> String {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name(Path::new("/bin/busybox"), "bin/busybox").unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(mark.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, "mark", mark.as_bytes()).unwrap();
    let bytes = tar.into_inner().unwrap();
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", host());
    command.arg("import");
    for change in changes {
        command.args(["--change", change]);
    }
    let mut child =
        command.args(["-", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker");
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Removes containers, then images, when the test ends, however it ends.
#[derive(Default)]
pub struct Litter {
    pub containers: Vec<String>,
    pub images: Vec<String>,
}

impl Drop for Litter {
    fn drop(&mut self) {
        for (kind, list) in [("rm", &self.containers), ("rmi", &self.images)] {
            for name in list {
                let _ = Command::new("docker").env("DOCKER_HOST", host()).args([kind, "-f", name]).output();
            }
        }
    }
}
