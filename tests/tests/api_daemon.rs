//! The API of the real daemon as programs call it: Watchtower's path, and the event stream over a line that breaks.
#![allow(clippy::disallowed_methods, reason = "tests read the time")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod browser;
mod household;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use browser::{browser, until};
use dockbeacon_tests::engine::{TestEngine, on_each};
use dockbeacon_tests::image::ImageSpec;
use household::{House, READY, UPDATE, claim_in, get, http, login};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A reverse proxy as people put one in front: another name, its own headers, on loopback.
async fn reverse_proxy(upstream: String) -> Result<String> {
    let forward = async |State(upstream): State<String>, request: Request| -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 65536).await.unwrap_or_default();
        let url = format!("{upstream}{}", parts.uri.path_and_query().map_or("/", |p| p.as_str()));
        let sent = http()
            .request(parts.method, url)
            .headers(parts.headers)
            .header("x-forwarded-for", "203.0.113.7")
            .header("x-forwarded-proto", "https")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let status = answer.status();
                (status, Body::from(answer.bytes().await.unwrap_or_default())).into_response()
            }
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(forward).with_state(upstream);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

#[test]
fn w7_watchtowers_path_with_token_images_concurrent_calls_and_behind_a_proxy() {
    on_each(|engine| async move {
        let house = House::new(&engine).await?;
        let slow = house.service("slow", "auto").await?;
        let other = house.service("other", "auto").await?;
        let home = house
            .home(&engine.host)?
            .env("WATCHTOWER_HTTP_API_UPDATE", "true")
            .env("WATCHTOWER_HTTP_API_TOKEN", "pipeline secret");
        let mut daemon = home.start()?;
        daemon.wait_ready(READY).await?;
        let url = format!("{}/v1/update", daemon.base);
        let call = |query: &str| http().post(format!("{url}{query}")).bearer_auth("pipeline secret");

        // It works on a device that nobody has claimed; a wrong token or none does not.
        for request in [http().post(&url), http().post(&url).bearer_auth("wrong"), http().get(&url)] {
            assert_eq!(request.send().await?.status(), 401);
        }

        // Takes its time to become healthy, so that others can call meanwhile.
        let second = 1_000_000_000_u64;
        let check = json!({"Test": ["CMD", "/demo", "--probe", "http://127.0.0.1:8080/health"],
                           "Interval": 4 * second, "Timeout": 2 * second, "StartPeriod": 0, "Retries": 2});
        house.publish(&slow, &ImageSpec::demo("2.0.0")?.with("Healthcheck", check)).await?;
        house.publish(&other, &ImageSpec::demo("2.0.0")?).await?;
        let slow_image = house.registry.name(&slow.repository);
        let first = tokio::spawn(call(&format!("?image={slow_image}")).send());
        daemon.wait_log("update-started", UPDATE).await?;

        let told = call("").send().await?;
        assert_eq!(told.status(), 429);
        assert!(told.headers().contains_key("retry-after"));
        assert_eq!(other.version().await.as_deref(), Some("1.0.0"));
        // With an image it waits for the run that is under way, and runs then.
        let image = format!("{}:latest", house.registry.name(&other.repository));
        let waited = call(&format!("?image={image}")).send().await?;
        assert_eq!(waited.status(), 200);
        assert!(first.is_finished(), "the second call did not wait for the first");
        assert_eq!(waited.json::<Value>().await?, json!({"status": "success"}));
        let first = first.await??;
        assert_eq!(first.status(), 200);
        assert_eq!(first.json::<Value>().await?, json!({"status": "success"}));
        for service in [&slow, &other] {
            assert_eq!(service.version().await.as_deref(), Some("2.0.0"));
        }

        // By GET, through a proxy, under a name that is not the device's.
        let proxy = reverse_proxy(daemon.base.clone()).await?;
        house.publish(&other, &ImageSpec::demo("3.0.0")?).await?;
        let through = |token: &str| {
            http().get(format!("{proxy}/v1/update")).header("host", "updates.example.org").bearer_auth(token)
        };
        assert_eq!(through("wrong").send().await?.status(), 401);
        let answer = through("pipeline secret").send().await?;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await?, json!({"status": "success"}));
        assert_eq!(other.version().await.as_deref(), Some("3.0.0"));
        // An image that nobody uses is no error.
        assert_eq!(call("?image=example.org/nobody").send().await?.status(), 200);
        Ok(())
    })
    .unwrap();
}

/// A line to the daemon that can be cut, and that notes what a browser asks for when it comes back.
struct Line {
    address: SocketAddr,
    upstream: String,
    resumed: Arc<Mutex<Vec<u64>>>,
    open: Option<JoinHandle<()>>,
}

impl Line {
    async fn new(upstream: &str) -> Result<Self> {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mut line =
            Self { address: listener.local_addr()?, upstream, resumed: Arc::default(), open: None };
        line.serve(listener);
        Ok(line)
    }

    fn serve(&mut self, listener: TcpListener) {
        let (upstream, resumed) = (self.upstream.clone(), Arc::clone(&self.resumed));
        self.open = Some(tokio::spawn(async move {
            // Ends with this task, and every connection with it.
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, resumed) = (upstream.clone(), Arc::clone(&resumed));
                open.spawn(async move {
                    // A side that goes away ends both.
                    let _ = carry(stream, &upstream, &resumed).await;
                });
            }
        }));
    }

    async fn cut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }

    async fn mend(&mut self) -> Result<()> {
        let end = Instant::now() + READY;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => anyhow::ensure!(Instant::now() < end, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.serve(listener);
        Ok(())
    }
}

async fn carry(mut browser: TcpStream, upstream: &str, resumed: &Mutex<Vec<u64>>) -> std::io::Result<()> {
    let mut daemon = TcpStream::connect(upstream).await?;
    let (mut from_browser, mut to_browser) = browser.split();
    let (mut from_daemon, mut to_daemon) = daemon.split();
    let asking = async {
        let mut buffer = vec![0; 65536];
        loop {
            let count = from_browser.read(&mut buffer).await?;
            if count == 0 {
                return std::io::Result::Ok(());
            }
            let head = String::from_utf8_lossy(&buffer[..count]).to_lowercase();
            let ids =
                head.lines().filter_map(|l| l.strip_prefix("last-event-id:")?.trim().parse::<u64>().ok());
            resumed.lock().unwrap().extend(ids);
            to_daemon.write_all(&buffer[..count]).await?;
        }
    };
    let answering = tokio::io::copy(&mut from_daemon, &mut to_browser);
    tokio::select! {
        ended = asking => ended,
        ended = answering => ended.map(drop),
    }
}

/// Part of D4: the WebSocket and Watchtower's event names are still to come.
#[test]
fn a_browser_whose_line_breaks_goes_on_without_gap_or_duplicate() {
    on_each(|engine: TestEngine| async move {
        let house = House::new(&engine).await?;
        let _web = house.service("web", "auto").await?;
        let home = house.home(&engine.host)?;
        let mut daemon = home.start()?;
        daemon.wait_ready(READY).await?;
        let mut line = Line::new(&daemon.base).await?;
        let profile = tempfile::tempdir()?;
        let (_driver, page) = browser(profile.path()).await;
        claim_in(&page, &daemon, &format!("http://{}", line.address)).await?;
        let cookie = login(&daemon).await?;
        let listen = "window.ids = []; const s = new EventSource('/api/v1/events'); \
            for (const n of ['check-started', 'check-finished', 'paused', 'resumed']) \
                s.addEventListener(n, (e) => window.ids.push(Number(e.lastEventId))); s.onopen = () => { window.heard = true; };";
        page.execute(listen, vec![]).await?;
        until(&page, "window.heard").await;
        assert!(home.cli(&["check"])?.status.success());
        until(&page, "window.ids.length === 2").await;

        line.cut().await;
        until(&page, "document.body.classList.contains('stale')").await;
        assert!(home.cli(&["pause", "1h"])?.status.success());
        assert!(home.cli(&["check"])?.status.success());
        line.mend().await?;
        until(&page, "window.ids.length >= 5").await;
        // The page itself comes back too, and shows what it missed.
        until(&page, "!document.body.classList.contains('stale') && document.body.innerText.includes('Updates are paused until')").await;
        assert!(home.cli(&["resume"])?.status.success());
        until(&page, "window.ids.length >= 6").await;

        let heard: Vec<u64> = serde_json::from_value(page.execute("return window.ids", vec![]).await?)?;
        let resumed = line.resumed.lock().unwrap().clone();
        assert!(resumed.contains(&heard[1]), "{resumed:?} {heard:?}");
        // All that happened, each once, in order: as a listener from the beginning hears it.
        let mut all = Vec::new();
        let mut story = http().get(format!("{}/api/v1/events?after=0", daemon.base)).header("cookie", &cookie).send().await?;
        let mut text = String::new();
        while !text.contains("event: resumed") {
            let chunk = tokio::time::timeout(READY, story.chunk()).await??.context("the stream ended")?;
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        for part in text.split("\n\n") {
            let field = |name: &str| part.lines().find_map(|l| l.strip_prefix(name));
            if matches!(field("event: "), Some("check-started" | "check-finished" | "paused" | "resumed")) {
                all.push(field("id: ").context("an id")?.parse::<u64>()?);
            }
        }
        assert_eq!(heard, all);
        let status = get(&daemon, &cookie, "/api/v1/status").await?;
        assert_eq!(status["paused_until"], Value::Null);
        page.close().await?;
        Ok(())
    })
    .unwrap();
}
