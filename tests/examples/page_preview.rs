//! Serves every state of the page on loopback, for looking at it: `page_preview [PORT]`, default 3690.
//!
//! Owns `/p/STATE/PLACE?theme=dark` and `/sheet?states=a,b&place=/&w=360&h=640&theme=dark`, frames side by side. Must
//! never be shipped, and does nothing that a form asks for.

use std::fmt::Write as _;

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use dockbeacon::page::{self, Place};
use dockbeacon_tests::views;

#[derive(serde::Deserialize)]
struct Look {
    theme: Option<String>,
}

#[derive(serde::Deserialize)]
struct Sheet {
    states: String,
    #[serde(default)]
    place: String,
    w: u32,
    h: u32,
    theme: Option<String>,
}

fn place(path: &str) -> Place {
    match path.split('/').filter(|p| !p.is_empty()).collect::<Vec<_>>().as_slice() {
        [] => Place::Overview,
        ["containers"] => Place::Containers,
        ["containers", name] => Place::Container((*name).to_owned()),
        ["updates"] => Place::Updates,
        ["updates", tx] => Place::Update((*tx).to_owned()),
        ["device"] => Place::Device,
        ["settings"] => Place::Settings,
        ["claim"] => Place::Claim,
        ["login"] => Place::Login,
        _ => Place::NotFound,
    }
}

fn draw(state: &str, path: &str, look: Look) -> Response {
    let (view, mut ctx) = views::state(state);
    ctx.theme = look.theme;
    let wanted = place(path);
    match page::render(&wanted, &view, &ctx).or_else(|| page::render(&Place::NotFound, &view, &ctx)) {
        Some(markup) => Html(markup.into_string()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn asset(uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("", |p| p.as_str());
    match page::asset(path) {
        Some(a) => ([(header::CONTENT_TYPE, a.content_type)], a.bytes.into_owned()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn sheet(s: &Sheet) -> Html<String> {
    let theme = s.theme.as_deref().unwrap_or("light");
    let mut out = String::from("<!doctype html><body style='margin:0;display:flex;gap:8px;background:#777'>");
    for state in s.states.split(',') {
        let _ = write!(
            out,
            "<iframe scrolling=no width={} height={} style='border:0;flex:none' src='/p/{state}/{}?theme={theme}'></iframe>",
            s.w,
            s.h,
            s.place.trim_start_matches('/')
        );
    }
    Html(out)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(3690), |p| p.parse()).context("the port is not a number")?;
    let app = Router::new()
        .route("/sheet", get(async |Query(s): Query<Sheet>| sheet(&s)))
        .route("/p/{state}/", get(async |Path(s): Path<String>, Query(l): Query<Look>| draw(&s, "", l)))
        .route(
            "/p/{state}/{*path}",
            get(async |Path((s, p)): Path<(String, String)>, Query(l): Query<Look>| draw(&s, &p, l)),
        )
        .fallback(async |uri: Uri| asset(&uri));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.context("the port is taken")?;
    axum::serve(listener, app).await.context("serving failed")
}
