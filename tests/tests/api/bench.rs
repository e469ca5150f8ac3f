//! The workbench: a state with everything behind it, and short ways to ask.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::DateTime;
use dockbeacon::handles::{Actor, Command, Handles, Refusal, Summary};
use dockbeacon::http::{Clock, HttpState, app, memory::MemoryRecords, new_claim_code};
use dockbeacon::view::{ContainerView, EngineView, Mood, Status, UpdateView, VersionView, View};
use dockbeacon_core::auth::Plain;
use dockbeacon_core::event::Event;
use dockbeacon_core::now::Now;
use dockbeacon_core::settings::{HttpSettings, Secret};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

pub const PASSWORD: &str = "a quiet harbour light";
pub const HOST: &str = "localhost:3625";

/// Everything that a test may want to turn.
pub struct Bench {
    pub state: HttpState,
    pub app: Router,
    pub records: Arc<MemoryRecords>,
    pub view: watch::Sender<Arc<View>>,
    pub events: broadcast::Sender<Event>,
    pub shutdown: CancellationToken,
    /// Commands as the loops would get them; taken by the tests that play the loops.
    pub commands: Option<mpsc::Receiver<Command>>,
    seconds: Arc<AtomicU64>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// `name=value` of the session cookie just set.
    pub fn session(&self) -> String {
        let all = self.cookies();
        let found =
            all.iter().find(|cookie| cookie.starts_with("dockbeacon_session=")).expect("a session cookie");
        found.split(';').next().unwrap().to_owned()
    }
}

pub fn settings() -> HttpSettings {
    HttpSettings {
        enabled: true,
        listen: "127.0.0.1:3625".parse().unwrap(),
        allowed_hosts: vec!["dock.example.org".to_owned()],
        token: None,
        update_api: false,
        plain: Plain::Explain,
        tls_certificate: None,
        tls_key: None,
    }
}

pub fn with_token(token: &str) -> HttpSettings {
    HttpSettings { token: Some(Secret::new(token.to_owned())), update_api: true, ..settings() }
}

impl Bench {
    pub fn new(settings: HttpSettings) -> Self {
        let container = |name: &str, candidate: Option<VersionView>| ContainerView {
            name: name.to_owned(),
            image: format!("{name}:1"),
            candidate,
            ..ContainerView::default()
        };
        let engine = EngineView { up: true, version: "26.1.5".to_owned(), ..EngineView::default() };
        let view = View {
            status: Status {
                engine,
                host_name: "cupboard".to_owned(),
                state: Mood::Well,
                ..Status::default()
            },
            containers: vec![container("web", Some(VersionView::default())), container("db", None)],
            updates: vec![UpdateView { tx: "t1".to_owned(), ..UpdateView::default() }],
            ..View::default()
        };
        let (view, view_of) = watch::channel(Arc::new(view));
        let (events, _) = broadcast::channel(8);
        let (queue, commands) = mpsc::channel(8);
        let records = Arc::new(MemoryRecords::default());
        let seconds = Arc::new(AtomicU64::new(0));
        let ticks = Arc::clone(&seconds);
        let now: Clock = Arc::new(move || {
            let start = Now { monotonic: Duration::ZERO, civil: DateTime::UNIX_EPOCH, trusted: true };
            start.plus(Duration::from_secs(1_000_000 + ticks.load(Ordering::SeqCst)))
        });
        let shutdown = CancellationToken::new();
        let handles = Handles { view: view_of, events: events.clone(), commands: queue };
        let state = HttpState::new(handles, records.clone(), settings, now, shutdown.clone());
        let app = app(state.clone());
        Self { state, app, records, view, events, shutdown, commands: Some(commands), seconds }
    }

    /// Loops that answer every command at once, naming it.
    pub fn with_loops(settings: HttpSettings) -> Self {
        let mut bench = Self::new(settings);
        bench.play(|name, _| Ok(said(name)));
        bench
    }

    /// Plays the loops; gives what they were asked, in order.
    pub fn play(
        &mut self,
        answer: impl Fn(&str, &Actor) -> Result<Summary, Refusal> + Send + 'static,
    ) -> Arc<Mutex<Vec<String>>> {
        let mut commands = self.commands.take().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                list.lock().unwrap().push(format!("{command:?}"));
                let (name, actor, reply) = match command {
                    Command::Check(actor, _, reply) => ("check", actor, reply),
                    Command::Update(actor, _, reply) => ("update", actor, reply),
                    Command::Approve(actor, _, _, reply) => ("approve", actor, reply),
                    Command::Rollback(actor, _, reply) => ("rollback", actor, reply),
                    Command::Pause(actor, _, reply) => ("pause", actor, reply),
                    Command::Resume(actor, reply) => ("resume", actor, reply),
                    Command::Press(actor, _, reply) => ("press", actor, reply),
                    Command::Identify(actor, reply) => ("identify", actor, reply),
                    Command::ByHand(_, _) | Command::Happened(_) => continue,
                };
                let _ = reply.send(answer(name, &actor));
            }
        });
        asked
    }

    pub fn wait(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sends a request from loopback.
    pub async fn send(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        self.send_from("127.0.0.1:40000", request, body).await
    }

    pub async fn send_from(
        &self,
        peer: &str,
        mut request: axum::http::request::Builder,
        body: impl Into<Body>,
    ) -> Answer {
        if request.headers_ref().is_some_and(|headers| !headers.contains_key(header::HOST)) {
            request = request.header(header::HOST, HOST);
        }
        let peer: SocketAddr = peer.parse().unwrap();
        let request = request.extension(ConnectInfo(peer)).body(body.into()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), Body::empty()).await
    }

    pub async fn get_as(&self, cookie: &str, path: &str) -> Answer {
        self.send(Request::get(path).header(header::COOKIE, cookie), Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body.to_string()).await
    }

    pub async fn post_as(&self, cookie: &str, path: &str, body: Value) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, cookie);
        self.send(request, body.to_string()).await
    }

    pub async fn form_as(&self, cookie: &str, action: &str, body: &str) -> Answer {
        let request = Request::post(format!("/actions/{action}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, cookie);
        self.send(request, body.to_owned()).await
    }

    pub async fn bearer(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(request, body.to_owned()).await
    }

    /// Claims the device; gives the session cookie.
    pub async fn claim(&self) -> String {
        let code = new_claim_code(self.records.as_ref()).unwrap().expect("unclaimed");
        let answer =
            self.post("/api/v1/claim", serde_json::json!({ "code": code, "password": PASSWORD })).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.session()
    }

    /// Makes an API token.
    pub async fn token(&self, cookie: &str, name: &str, role: &str) -> String {
        let answer =
            self.post_as(cookie, "/api/v1/tokens", serde_json::json!({ "name": name, "role": role })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    pub fn audit(&self) -> Vec<String> {
        use dockbeacon::ports::Records as _;
        let rows = self.records.audit_log(1000).unwrap();
        rows.into_iter().rev().map(|row| format!("{} from {}: {}", row.who, row.from, row.what)).collect()
    }
}

pub fn said(message: &str) -> Summary {
    Summary { message: format!("{message} done"), ..Summary::default() }
}
