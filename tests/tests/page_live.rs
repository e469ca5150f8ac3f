//! The page's scripts in a real browser (Debian's chromium and chromedriver), under the content security policy: live
//! data, forms, the question dialog, the filter, colours, the lost connection.
#![allow(clippy::disallowed_methods, reason = "tests read the time")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod browser;

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use browser::{browser, click, until};
use dockbeacon::page::{self, Place};
use dockbeacon_tests::views;
use fantoccini::Locator;
use futures_util::stream;
use serde_json::json;
use tokio::sync::{Semaphore, broadcast};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A device that shows what it is told to.
#[derive(Clone)]
struct Device {
    state: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<Vec<String>>>,
    events: broadcast::Sender<()>,
    answers: Arc<Semaphore>,
}

impl Device {
    fn show(&self, state: &'static str) {
        *self.state.lock().unwrap() = state;
        // Nobody may listen yet; the page then sees the state when it connects.
        let _ = self.events.send(());
    }
}

fn draw(device: &Device, place: &Place) -> Response {
    let state = *device.state.lock().unwrap();
    if state == "gone" {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (view, ctx) = views::state(state);
    let html = page::render(place, &view, &ctx).expect("the place is there").into_string();
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

/// A place in a state, without the policy that keeps it out of frames.
fn framed(state: &str, place: &Place) -> Response {
    let (view, ctx) = views::state(state);
    let place = match place {
        Place::Container(_) => {
            Place::Container(view.containers.first().map_or_else(String::new, |c| c.name.clone()))
        }
        Place::Update(_) => Place::Update(view.updates.first().map_or_else(String::new, |u| u.tx.clone())),
        Place::Overview
        | Place::Containers
        | Place::Updates
        | Place::Device
        | Place::Settings
        | Place::Claim
        | Place::Login
        | Place::Plain(_)
        | Place::NotFound => place.clone(),
    };
    match page::render(&place, &view, &ctx).or_else(|| page::render(&Place::NotFound, &view, &ctx)) {
        Some(markup) => Html(markup.into_string()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn named(place: &str) -> Place {
    match place {
        "containers" => Place::Containers,
        "container" => Place::Container(String::new()),
        "updates" => Place::Updates,
        "update" => Place::Update(String::new()),
        "device" => Place::Device,
        "settings" => Place::Settings,
        _ => Place::NotFound,
    }
}

async fn start() -> (Device, String) {
    let device = Device {
        state: Arc::new(Mutex::new("well")),
        asked: Arc::default(),
        events: broadcast::channel(16).0,
        answers: Arc::new(Semaphore::new(0)),
    };
    let events = async |State(device): State<Device>| {
        let stream = stream::unfold(device.events.subscribe(), async |mut events| {
            events.recv().await.ok().map(|()| {
                (Ok::<_, Infallible>(Event::default().event("inventory-changed").data("{}")), events)
            })
        });
        Sse::new(stream)
    };
    let act = async |State(device): State<Device>, Path(action): Path<String>, body: String| {
        device.asked.lock().unwrap().push(format!("{action} {body}"));
        device.answers.acquire().await.expect("open").forget();
        if action == "check" {
            let error = json!({"error": {"message": "The registry is away.", "remedy": "Try later."}});
            return (StatusCode::BAD_GATEWAY, axum::Json(error)).into_response();
        }
        axum::Json(json!({"message": format!("did {action}"), "code": 0})).into_response()
    };
    let app = Router::new()
        .route("/", get(async |State(d): State<Device>| draw(&d, &Place::Overview)))
        .route("/containers", get(async |State(d): State<Device>| draw(&d, &Place::Containers)))
        .route("/updates", get(async |State(d): State<Device>| draw(&d, &Place::Updates)))
        .route("/api/v1/events", get(events))
        .route("/actions/{action}", post(act))
        .route("/frame", get(async || Html("<!doctype html><body><iframe width=360 height=640></iframe>")))
        .route("/p/{state}", get(async |Path(state): Path<String>| framed(&state, &Place::Overview)))
        .route(
            "/p/{state}/{place}",
            get(async |Path((state, place)): Path<(String, String)>| framed(&state, &named(&place))),
        )
        .fallback(async |uri: Uri| match page::asset(uri.path()) {
            Some(a) => ([(header::CONTENT_TYPE, a.content_type)], a.bytes.into_owned()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        })
        .with_state(device.clone());
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (device, format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lives() {
    let profile = tempfile::tempdir().expect("a folder");
    let (device, address) = start().await;
    let (_driver, page) = browser(profile.path()).await;
    let asked = || device.asked.lock().unwrap().clone();
    let h1 = "document.querySelector('h1').textContent";

    // Lamps blink from their data, under a policy without inline style.
    page.goto(&address).await.unwrap();
    until(&page, "document.querySelector('.lit.health').getAnimations().length === 1").await;
    until(&page, "getComputedStyle(document.body).fontVariantNumeric === 'tabular-nums'").await;

    // An event redraws what differs: sentence, title, icon, badge, lamps.
    device.show("waiting");
    until(&page, &format!("{h1}.includes('One update waits')")).await;
    until(
        &page,
        "document.title.startsWith('◆') && document.querySelector('[rel=icon]').href.includes('waiting')",
    )
    .await;
    until(&page, "document.querySelector('.badge') && document.querySelector('.lit.update').getAnimations().length === 1").await;

    // A button is busy while its answer is out, also over a redraw, and then tells how it ended.
    click(&page, "form[action='/actions/approve'] button").await;
    let busy = "document.querySelector(\"form[action='/actions/approve'] button\")?.getAttribute('aria-disabled') === 'true'";
    until(&page, busy).await;
    device.show("waiting");
    device.show("waiting");
    until(&page, &format!("{busy} && document.querySelector('.act .label') !== null")).await;
    device.answers.add_permits(1);
    until(&page, "document.querySelector('.toast')?.textContent.includes('did approve')").await;
    until(&page, &format!("!({busy})")).await;
    assert_eq!(asked(), ["approve container=nextcloud-db&fingerprint=c0ffee12&return=%2F"]);

    // A refusal stays until it was read, with what to do.
    device.answers.add_permits(1);
    click(&page, "form[action='/actions/check'] button").await;
    until(
        &page,
        "document.querySelector('.toast.fault')?.textContent.includes('The registry is away. Try later.')",
    )
    .await;

    // What stops a service asks once, by name; a no is a no.
    page.goto(&format!("{address}/updates")).await.unwrap();
    let back = "form[action='/actions/rollback'] button";
    click(&page, back).await;
    until(
        &page,
        "document.querySelector('dialog[open] h2')?.textContent === 'Put mosquitto back to 2.0.21?'",
    )
    .await;
    click(&page, "dialog [data-no]").await;
    until(&page, "!document.querySelector('dialog[open]')").await;
    assert_eq!(asked().len(), 2);
    click(&page, back).await;
    until(&page, "document.querySelector('dialog[open]')").await;
    device.answers.add_permits(1);
    click(&page, "dialog [data-yes]").await;
    until(&page, "document.querySelector('.toast')?.textContent.includes('did rollback')").await;
    assert_eq!(asked()[2], "rollback container=mosquitto&return=%2Fupdates");

    // Open details outlive live data.
    click(&page, "details.still summary").await;
    device.show("running");
    until(&page, "document.querySelector('.steps .now')").await;
    until(&page, "document.querySelector('details.still').open").await;

    // The filter narrows as typed; text, focus and result outlive live data.
    page.goto(&format!("{address}/containers")).await.unwrap();
    let shown = "[...document.querySelectorAll('[data-text]')].filter((row) => row.checkVisibility()).length";
    page.find(Locator::Css("#filter")).await.unwrap().send_keys("graf").await.unwrap();
    until(&page, &format!("{shown} === 1")).await;
    device.show("rolled-back");
    until(&page, "document.querySelector('[data-key=c-grafana]').textContent.includes('was tried: ')").await;
    until(&page, &format!("{shown} === 1 && document.activeElement.id === 'filter' && document.activeElement.value === 'graf'")).await;

    // Colours turn and are told to the server.
    until(&page, "!document.documentElement.dataset.theme").await;
    click(&page, "[data-theme-switch]").await;
    until(
        &page,
        "document.documentElement.dataset.theme === 'light' && document.cookie === 'dockbeacon_theme=light'",
    )
    .await;

    // A lost device is said in one line, what is seen is greyed, and it is back by itself.
    device.show("gone");
    until(&page, "document.body.classList.contains('stale') && document.querySelector('.lost').textContent.includes('Connection lost')").await;
    *device.state.lock().unwrap() = "well";
    until(&page, "!document.body.classList.contains('stale') && document.querySelector('.lost').hidden")
        .await;

    page.close().await.unwrap();
}

/// Contrast of two custom properties in the theme that is set, as the browser paints them.
const CONTRAST: &str = r#"
    const light = (name) => {
        const probe = document.body.appendChild(document.createElement("i"));
        probe.style.color = `var(--${name})`;
        const pen = new OffscreenCanvas(1, 1).getContext("2d");
        pen.fillStyle = getComputedStyle(probe).color;
        probe.remove();
        pen.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((c) => {
            const v = c / 255;
            return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    document.documentElement.dataset.theme = arguments[0];
    return arguments[1].map(([over, under, least]) => {
        const [a, b] = [light(over), light(under)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        return ratio >= least ? "" : `${over} on ${under}: ${ratio.toFixed(2)}, at least ${least} is needed. `;
    }).join("");
"#;

/// What does not fit into the frame, and what is too small for a thumb.
const UNFIT: &str = r#"
    const done = arguments[arguments.length - 1];
    const frame = document.querySelector("iframe");
    frame.onload = () => {
        const page = frame.contentDocument;
        const wide = page.documentElement.scrollWidth > 360
            ? [...page.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > 360.5).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)) : [];
        const small = [...page.querySelectorAll("button, .button, nav a, summary, input:not([type=hidden])")]
            .filter((e) => e.checkVisibility() && (e.getBoundingClientRect().height < 43.5 || e.getBoundingClientRect().width < 43.5))
            .map((e) => e.outerHTML.slice(0, 120));
        done([...wide.map((e) => "too wide: " + e), ...small.map((e) => "too small: " + e)].join("; "));
    };
    frame.src = arguments[0];
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_read_and_touched() {
    let profile = tempfile::tempdir().expect("a folder");
    let (_device, address) = start().await;
    let (_driver, page) = browser(profile.path()).await;

    page.goto(&format!("{address}/p/waiting")).await.unwrap();
    let grounds = ["paper", "raised", "sunk", "waiting-wash", "working-wash", "fault-wash"];
    let mut pairs: Vec<_> =
        grounds.iter().flat_map(|g| ["ink", "quiet", "accent"].map(|text| json!([text, g, 4.5]))).collect();
    pairs.extend([
        json!(["on-accent", "accent", 4.5]),
        json!(["fault", "paper", 4.5]),
        json!(["paper", "ink", 4.5]),
    ]);
    for sign in ["well", "well-soft", "waiting", "working", "fault", "edge"] {
        pairs.extend([json!([sign, "paper", 3.0]), json!([sign, "raised", 3.0])]);
    }
    pairs.extend(["waiting", "working", "fault"].map(|sign| json!([sign, format!("{sign}-wash"), 3.0])));
    for theme in ["light", "dark"] {
        let faint = page.execute(CONTRAST, vec![json!(theme), json!(pairs)]).await.unwrap();
        assert_eq!(faint, json!(""), "{theme}");
    }

    page.goto(&format!("{address}/frame")).await.unwrap();
    let mut unfit = Vec::new();
    for state in views::STATES {
        for place in ["", "/containers", "/container", "/updates", "/update", "/device", "/settings"] {
            let what = format!("/p/{state}{place}");
            let found = page.execute_async(UNFIT, vec![json!(what)]).await.unwrap();
            if found != json!("") {
                unfit.push(format!("{what}: {found}"));
            }
        }
    }
    assert!(unfit.is_empty(), "{}", unfit.join("\n"));
    page.close().await.unwrap();
}
