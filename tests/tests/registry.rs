//! The registry adapter on a real registry, and on small fakes for what that one cannot be made to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod local;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use dockbeacon::registry::{Clock, Registry, RegistryError};
use dockbeacon_core::model::{Digest, ImageRef, Platform};
use dockbeacon_core::now::Now;
use dockbeacon_core::registry::is_current;
use dockbeacon_core::settings::{RegistrySettings, Secret};
use local::{RegistryServer, Serve};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn settings() -> RegistrySettings {
    RegistrySettings {
        docker_config: None,
        user: None,
        password: None,
        insecure: Vec::new(),
        ca_file: None,
        timeout: Duration::from_secs(20),
    }
}

/// A clock turned by hand.
#[derive(Clone, Default)]
struct Hand(Arc<Mutex<Duration>>);

impl Hand {
    fn turn(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        let civil = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let start = Now { monotonic: Duration::ZERO, civil, trusted: true };
        Arc::new(move || start.plus(*hand.0.lock().unwrap()))
    }
}

fn registry(settings: &RegistrySettings) -> Registry {
    Registry::new(settings, Hand::default().clock()).unwrap()
}

fn refs(texts: &[String]) -> BTreeSet<ImageRef> {
    texts.iter().map(|t| ImageRef::parse(t).unwrap()).collect()
}

async fn head(registry: &Registry, image: &str) -> Result<String, RegistryError> {
    let mut all = registry.heads(&refs(&[image.to_owned()])).await;
    all.pop_first().unwrap().1.map(|h| h.digest.as_str().to_owned())
}

fn sha(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

/// Pushes to a registry by its own API.
struct Push {
    base: String,
    client: reqwest::Client,
    basic: Option<(&'static str, &'static str)>,
}

impl Push {
    fn to(server: &RegistryServer, serve: &Serve) -> Self {
        // Only the test's own client needs it; the adapter brings its provider along.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder().no_proxy();
        let mut scheme = "http";
        if let Some((cert, _)) = &serve.tls {
            scheme = "https";
            client = client.tls_certs_only([reqwest::Certificate::from_pem(cert.as_bytes()).unwrap()]);
        }
        let base = format!("{scheme}://{}/v2", server.address);
        Self { base, client: client.build().unwrap(), basic: serve.basic }
    }

    fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self.basic {
            Some((user, password)) => {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                request.header("Authorization", format!("Basic {text}"))
            }
            None => request,
        }
    }

    async fn blob(&self, repo: &str, bytes: &[u8]) -> Value {
        let digest = sha(bytes);
        let opened = self
            .signed(self.client.post(format!("{}/{repo}/blobs/uploads/", self.base)))
            .send()
            .await
            .unwrap();
        let place = opened.headers()["location"].to_str().unwrap().to_owned();
        let put = self.signed(self.client.put(format!("{place}&digest={digest}"))).body(bytes.to_vec());
        assert_eq!(put.send().await.unwrap().status(), 201);
        json!({"mediaType": "application/octet-stream", "digest": digest, "size": bytes.len()})
    }

    async fn manifest(&self, repo: &str, reference: &str, kind: &str, value: &Value) -> String {
        let mut value = value.clone();
        value["mediaType"] = json!(kind);
        let bytes = value.to_string().into_bytes();
        let digest = sha(&bytes);
        let url = format!(
            "{}/{repo}/manifests/{}",
            self.base,
            if reference.is_empty() { &digest } else { reference }
        );
        let put = self.signed(self.client.put(url)).header("Content-Type", kind).body(bytes);
        let answer = put.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        digest
    }

    /// An image for `architecture`, marked with a version; its manifest's digest.
    async fn image(&self, repo: &str, reference: &str, architecture: &str, version: &str) -> String {
        let config = json!({"os": "linux", "architecture": architecture, "created": "2026-01-02T03:04:05Z",
            "config": {"Labels": {"org.opencontainers.image.version": version}}, "rootfs": {"type": "layers", "diff_ids": []}});
        let mut config = self.blob(repo, config.to_string().as_bytes()).await;
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let mut layer = self.blob(repo, b"a layer of thirty bytes exactly").await;
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        let value = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        self.manifest(repo, reference, "application/vnd.oci.image.manifest.v1+json", &value).await
    }

    /// An index of two platforms and an attestation; its digest and that of the arm64 image.
    async fn index(&self, repo: &str, tag: &str) -> (String, String) {
        let mut entries = Vec::new();
        let mut arm = String::new();
        for (architecture, version) in [("amd64", "1-amd"), ("arm64", "1-arm"), ("unknown", "none")] {
            let digest = self.image(repo, "", architecture, version).await;
            let os = if architecture == "unknown" { "unknown" } else { "linux" };
            if architecture == "arm64" {
                arm.clone_from(&digest);
            }
            let size = self.client.head(format!("{}/{repo}/manifests/{digest}", self.base));
            let size =
                size.header("Accept", "application/vnd.oci.image.manifest.v1+json").send().await.unwrap();
            let size: u64 = size.headers()["content-length"].to_str().unwrap().parse().unwrap();
            entries.push(json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
                "size": size, "platform": {"os": os, "architecture": architecture}}));
        }
        let value = json!({"schemaVersion": 2, "manifests": entries});
        (self.manifest(repo, tag, "application/vnd.oci.image.index.v1+json", &value).await, arm)
    }
}

fn platform(architecture: &str) -> Platform {
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: String::new() }
}

#[tokio::test]
async fn w2_digests_by_head_requests_only() {
    let serve = Serve::default();
    let server = RegistryServer::start(&serve);
    let push = Push::to(&server, &serve);
    let image = push.image("plain", "1", "amd64", "1.2.3").await;
    let (index, _) = push.index("multi", "1").await;
    let before = server.requests().len();

    let registry = registry(&settings());
    let (plain, multi) = (format!("{}/plain:1", server.address), format!("{}/multi:1", server.address));
    let missing = format!("{}/plain:none", server.address);
    let answers = registry.heads(&refs(&[plain.clone(), multi.clone(), missing.clone()])).await;
    let of = |text: &str| answers[&ImageRef::parse(text).unwrap()].clone();
    assert_eq!(of(&plain).unwrap().digest.as_str(), image);
    let head = of(&multi).unwrap();
    assert_eq!(
        (head.digest.as_str(), head.media_type.as_str()),
        (index.as_str(), "application/vnd.oci.image.index.v1+json")
    );
    assert!(matches!(of(&missing), Err(RegistryError::NotFound { .. })), "{:?}", of(&missing));
    assert!(is_current(&[format!("{}/plain@{image}", server.address)], &of(&plain).unwrap().digest));

    let mut asked: Vec<String> = server.requests()[before..].to_vec();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /v2/plain/manifests/none 404",
            "HEAD /v2/multi/manifests/1 200",
            "HEAD /v2/plain/manifests/1 200",
            "HEAD /v2/plain/manifests/none 404",
        ]
    );
}

#[tokio::test]
async fn a_candidate_is_described_for_the_engines_platform() {
    let serve = Serve::default();
    let server = RegistryServer::start(&serve);
    let push = Push::to(&server, &serve);
    let (index, _) = push.index("multi", "1").await;
    let image = ImageRef::parse(&format!("{}/multi:1", server.address)).unwrap();
    let registry = registry(&settings());
    let digest = Digest::new(index).unwrap();
    let remote = registry.describe(&image, &digest, &platform("arm64")).await.unwrap();
    assert_eq!((remote.version.as_deref(), &remote.platform_ok), (Some("1-arm"), &Ok(())));
    assert_eq!(remote.created.map(|c| c.timestamp()), Some(1_767_323_045));
    assert!(remote.download_size > 30 && remote.image_config_digest.is_some());
    let remote = registry.describe(&image, &digest, &platform("s390x")).await.unwrap();
    assert_eq!(remote.platform_ok, Err(vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()]));
    let single = push.image("single", "1", "arm64", "").await;
    let image = ImageRef::parse(&format!("{}/single:1", server.address)).unwrap();
    let remote = registry.describe(&image, &Digest::new(single).unwrap(), &platform("amd64")).await.unwrap();
    assert_eq!((remote.platform_ok, remote.version), (Err(vec!["linux/arm64".to_owned()]), None));
}

#[tokio::test]
async fn basic_credentials_from_every_place() {
    let serve = Serve { basic: Some(("me", "geheim")), tls: None };
    let server = RegistryServer::start(&serve);
    let digest = Push::to(&server, &serve).image("private", "1", "amd64", "1").await;
    let image = format!("{}/private:1", server.address);
    let folder = tempfile::tempdir().unwrap();
    let auth = base64::engine::general_purpose::STANDARD.encode("me:geheim");
    let config =
        |value: &Value| std::fs::write(folder.path().join("config.json"), value.to_string()).unwrap();
    let with_config =
        RegistrySettings { docker_config: Some(folder.path().display().to_string()), ..settings() };
    let with_user = |password: &str| RegistrySettings {
        user: Some("me".to_owned()),
        password: Some(Secret::new(password.to_owned())),
        ..settings()
    };

    config(&json!({"auths": {server.address.clone(): {"auth": auth}}}));
    let known = registry(&with_config);
    assert_eq!(head(&known, &image).await.as_deref(), Ok(digest.as_str()));
    let before = server.requests().len();
    assert!(head(&known, &image).await.is_ok());
    assert_eq!(server.requests().len(), before + 1, "the second time nobody has to ask");
    assert!(known.engine_auth(&server.address).await.is_some());
    assert_eq!(known.engine_auth("elsewhere.example").await, None);

    assert_eq!(head(&registry(&with_user("geheim")), &image).await.as_deref(), Ok(digest.as_str()));

    for (settings, words) in
        [(settings(), "no credentials"), (with_user("falsch"), "refuses our credentials")]
    {
        let error = head(&registry(&settings), &image).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains(words) && error.to_string().contains("docker login"), "{error}");
    }
}

/// A helper is found by PATH, so the look runs in a child of its own with a PATH of its own.
#[test]
fn credential_helpers_are_asked() {
    let serve = Serve { basic: Some(("me", "geheim")), tls: None };
    let server = RegistryServer::start(&serve);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Push::to(&server, &serve).image("private", "1", "amd64", "1"));
    let folder = tempfile::tempdir().unwrap();
    let helper = folder.path().join("docker-credential-dbt");
    let script = format!(
        "#!/bin/sh\nread -r server\n[ \"$1 $server\" = \"get {}\" ] || exit 1\necho '{{\"Username\":\"me\",\"Secret\":\"geheim\"}}'\n",
        server.address
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = json!({"credHelpers": {server.address.clone(): "dbt"}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let out = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "with_a_helper", "--ignored", "--nocapture"])
        .env("PATH", path)
        .env("DOCKBEACON_TEST_CONFIG", folder.path())
        .env("DOCKBEACON_TEST_IMAGE", format!("{}/private:1", server.address))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert!(String::from_utf8_lossy(&out.stdout).contains("1 passed"));
}

#[tokio::test]
#[ignore = "the other half of credential_helpers_are_asked"]
async fn with_a_helper() {
    let Ok(folder) = std::env::var("DOCKBEACON_TEST_CONFIG") else { return };
    let registry = registry(&RegistrySettings { docker_config: Some(folder), ..settings() });
    assert!(head(&registry, &std::env::var("DOCKBEACON_TEST_IMAGE").unwrap()).await.is_ok());
}

/// Forwards connections and counts them.
async fn counting_proxy(target: String) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let target = target.clone();
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn twenty_images_of_a_tls_registry_are_asked_for_over_one_connection() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let serve = Serve { basic: None, tls: Some((made.cert.pem(), made.signing_key.serialize_pem())) };
    let server = RegistryServer::start(&serve);
    let push = Push::to(&server, &serve);
    let (address, connections) = counting_proxy(server.address.clone()).await;
    let mut images = Vec::new();
    for n in 0..20 {
        push.image(&format!("image{n}"), "1", "amd64", "1").await;
        images.push(format!("{address}/image{n}:1"));
    }
    let before = server.requests().len();

    let ca_file = server.folder.path().join("cert.pem").display().to_string();
    let trusting = registry(&RegistrySettings { ca_file: Some(ca_file), ..settings() });
    let answers = trusting.heads(&refs(&images)).await;
    assert_eq!(answers.len(), 20);
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let asked = &server.requests()[before..];
    assert!(asked.len() == 20 && asked.iter().all(|r| r.starts_with("HEAD ")), "{asked:?}");

    let error = head(&registry(&settings()), &images[0]).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Tls { .. }) && error.to_string().contains("registry.ca_file"),
        "{error}"
    );
    let insecure = RegistrySettings { insecure: vec![address], ..settings() };
    assert!(head(&registry(&insecure), &images[0]).await.is_ok());
    let bad = RegistrySettings { ca_file: Some("/nonexistent.pem".to_owned()), ..settings() };
    let error = Registry::new(&bad, Hand::default().clock()).unwrap_err().to_string();
    assert!(error.contains("/nonexistent.pem"), "{error}");
}

/// What the fake saw, and how it behaves.
struct Fake {
    address: String,
    log: Mutex<Vec<String>>,
    answer: fn(&Fake, &Request) -> Option<Response>,
}

const BODY: &[u8] = br#"{"schemaVersion":2}"#;

async fn fake(answer: fn(&Fake, &Request) -> Option<Response>) -> Arc<Fake> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let state = Arc::new(Fake { address, log: Mutex::default(), answer });
    let serve = |State(fake): State<Arc<Fake>>, request: Request| async move {
        fake.log.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        (fake.answer)(&fake, &request).unwrap_or_else(|| {
            let mut headers = HeaderMap::new();
            headers.insert("docker-content-digest", sha(BODY).parse().unwrap());
            (headers, BODY).into_response()
        })
    };
    let router = Router::new().fallback(serve).with_state(Arc::clone(&state));
    tokio::spawn(async move { axum::serve(listener, router).await });
    state
}

impl Fake {
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[tokio::test]
async fn tokens_are_danced_for_once_and_kept_until_they_end() {
    let fake = fake(|fake, request| {
        if request.uri().path() == "/token" {
            return Some(axum::Json(json!({"access_token": "T0", "expires_in": 300})).into_response());
        }
        let token = request.headers().get("authorization").map(|v| v.to_str().unwrap_or_default());
        let challenge = format!(
            "Bearer realm=\"http://{}/token\",service=\"S s\",scope=\"repository:a:pull\"",
            fake.address
        );
        (token != Some("Bearer T0"))
            .then(|| (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response())
    })
    .await;
    let hand = Hand::default();
    let registry = Registry::new(&settings(), hand.clock()).unwrap();
    let image = format!("{}/a/b:1", fake.address);
    let token = "GET /token?service=S+s&scope=repository%3Aa%2Fb%3Apull";
    assert_eq!(head(&registry, &image).await, Ok(sha(BODY)));
    assert_eq!(fake.log(), ["HEAD /v2/a/b/manifests/1", token, "HEAD /v2/a/b/manifests/1"]);
    assert!(head(&registry, &image).await.is_ok());
    assert_eq!(fake.log(), ["HEAD /v2/a/b/manifests/1"], "the token is kept");
    hand.turn(Duration::from_secs(301));
    assert!(head(&registry, &image).await.is_ok());
    assert_eq!(fake.log(), [token, "HEAD /v2/a/b/manifests/1"], "the challenge is answered in advance");
}

#[tokio::test]
async fn repo_user_meant_for_another_registry_does_no_harm() {
    let fake = fake(|fake, request| {
        let authorization =
            request.headers().get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
        if request.uri().path() == "/token" {
            return Some(match authorization.starts_with("Basic") {
                true => StatusCode::UNAUTHORIZED.into_response(),
                false => axum::Json(json!({"token": "T0"})).into_response(),
            });
        }
        let challenge = format!("Bearer realm=\"http://{}/token\"", fake.address);
        (authorization != "Bearer T0")
            .then(|| (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response())
    })
    .await;
    let password = Some(Secret::new("p".to_owned()));
    let registry = registry(&RegistrySettings { user: Some("u".to_owned()), password, ..settings() });
    assert!(head(&registry, &format!("{}/a:1", fake.address)).await.is_ok());
    assert_eq!(registry.engine_auth(&fake.address).await, None, "nor is the engine told to use it");
}

#[tokio::test]
async fn a_rate_limit_is_respected() {
    let fake =
        fake(|_, _| Some((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "90")]).into_response())).await;
    let hand = Hand::default();
    let registry = Registry::new(&settings(), hand.clock()).unwrap();
    let image = format!("{}/a:1", fake.address);
    let limited = |answer: &Result<String, RegistryError>| matches!(answer, Err(RegistryError::RateLimited { until, .. }) if until.timestamp() == 1_700_000_090);
    assert!(limited(&head(&registry, &image).await));
    assert!(limited(&head(&registry, &image).await));
    assert_eq!(fake.log().len(), 1, "left alone");
    hand.turn(Duration::from_secs(91));
    assert!(head(&registry, &image).await.is_err());
    assert_eq!(fake.log().len(), 1, "asked again");
}

#[tokio::test]
async fn w2_get_where_head_is_refused_or_useless() {
    let cases: [fn(&Fake, &Request) -> Option<Response>; 3] = [
        |_, r| (r.method() == "HEAD").then(|| StatusCode::METHOD_NOT_ALLOWED.into_response()),
        |_, r| (r.method() == "HEAD").then(|| StatusCode::NOT_FOUND.into_response()),
        |_, _| Some(BODY.into_response()),
    ];
    for answer in cases {
        let fake = fake(answer).await;
        assert_eq!(head(&registry(&settings()), &format!("{}/a:1", fake.address)).await, Ok(sha(BODY)));
        assert_eq!(fake.log(), ["HEAD /v2/a/manifests/1", "GET /v2/a/manifests/1"]);
    }
}

#[tokio::test]
async fn trouble_is_told_in_words() {
    let broken = fake(|_, _| Some(StatusCode::BAD_GATEWAY.into_response())).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (image, words) in [
        (format!("{}/a:1", broken.address), "status 502"),
        (format!("{free}/a:1"), "refused"),
        ("registry.invalid/a:1".to_owned(), "cannot be resolved"),
    ] {
        let error = head(&registry(&settings()), &image).await.unwrap_err().to_string();
        assert!(error.contains(words), "{image}: {error}");
    }
}

#[tokio::test]
async fn one_dead_connection_is_the_answer_for_all_who_waited_for_it() {
    // Accepts and says nothing: only the time limit ends it, and it must end it once for all.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let images: Vec<String> = (0..20).map(|n| format!("{address}/i{n}:1")).collect();
    let registry = registry(&RegistrySettings { timeout: Duration::from_secs(1), ..settings() });
    let refs = refs(&images);
    let heads = registry.heads(&refs);
    let answers = tokio::time::timeout(Duration::from_secs(5), heads).await.expect("all end together");
    for answer in answers.values() {
        assert!(matches!(answer, Err(RegistryError::Unreachable { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn the_same_tag_is_asked_for_once_whatever_its_spelling() {
    let fake = fake(|_, _| None).await;
    let images = refs(&[format!("{}/a", fake.address), format!("{}/a:latest", fake.address)]);
    let answers = registry(&settings()).heads(&images).await;
    assert!(answers.len() == 2 && answers.values().all(Result::is_ok));
    assert_eq!(fake.log().len(), 1);
}

/// A plain registry: one request still tries TLS when another has found the right way already.
#[test]
fn a_way_found_by_another_request_is_taken() {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let tries = Arc::new(AtomicUsize::new(0));
    let (held, is_held) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (tries, held, released) = (Arc::clone(&tries), held.clone(), Arc::clone(&released));
            std::thread::spawn(move || {
                let mut first = [0u8; 2048];
                let Ok(length) = stream.read(&mut first) else { return };
                if first[0] == b'H' {
                    let digest = format!("sha256:{}", "ab".repeat(32));
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nDocker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(head.as_bytes()).unwrap();
                    return;
                }
                // HTTP/1.1 over TLS is the second way; the first one to try it learns only later that it is the wrong one.
                let http1 = first[..length].windows(8).any(|w| w == b"http/1.1");
                if http1 && tries.fetch_add(1, Ordering::SeqCst) == 0 {
                    held.send(()).unwrap();
                    let _ = released.lock().unwrap().recv();
                }
                let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let registry = registry(&settings());
    let ask = |part: &str| {
        let (registry, image) = (registry.clone(), refs(&[format!("{host}/{part}:1")]));
        async move { registry.heads(&image).await.into_values().next().unwrap() }
    };
    let slow = runtime.spawn(ask("slow"));
    is_held.recv().unwrap();
    runtime.block_on(ask("fast")).unwrap();
    release.send(()).unwrap();
    runtime.block_on(slow).unwrap().unwrap();
}
