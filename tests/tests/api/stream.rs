//! The event stream: from the store, then live, without gap or duplicate.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use chrono::DateTime;
use dockbeacon_core::event::{Event, What};
use futures_util::StreamExt as _;
use std::net::SocketAddr;
use tower::ServiceExt as _;

use crate::bench::{Bench, HOST, settings};

fn event(id: u64) -> Event {
    Event { id, at: DateTime::UNIX_EPOCH, what: What::PanelChanged { state: format!("s{id}") } }
}

/// As the loops do: the store first, then everybody.
fn publish(bench: &Bench, id: u64) {
    bench.records.add_event(event(id));
    let _ = bench.events.send(event(id));
}

struct Listener {
    body: BodyDataStream,
    text: String,
}

impl Listener {
    async fn open(bench: &Bench, cookie: &str, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header(header::HOST, HOST).header(header::COOKIE, cookie);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let peer: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let request = request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap();
        let response = bench.app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let mut listener = Self { body: response.into_body().into_data_stream(), text: String::new() };
        listener.until("retry: 2000").await;
        listener
    }

    async fn until(&mut self, part: &str) {
        let read = async {
            while !self.text.contains(part) {
                let chunk =
                    self.body.next().await.unwrap_or_else(|| panic!("ended before {part}: {}", self.text));
                self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(5), read)
            .await
            .unwrap_or_else(|_| panic!("no {part} in time"));
    }

    async fn ids_until(&mut self, last: u64) -> Vec<u64> {
        self.until(&format!("id: {last}\n")).await;
        self.text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect()
    }
}

#[tokio::test]
async fn an_event_has_its_id_name_and_json() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let mut listener = Listener::open(&bench, &cookie, "/api/v1/events", None).await;
    publish(&bench, 7);
    listener.until("\n\n").await;
    listener.until("s7").await;
    assert!(listener.text.contains("event: panel-changed\n"), "{}", listener.text);
    assert!(
        listener
            .text
            .contains(r#"data: {"id":7,"at":"1970-01-01T00:00:00Z","event":"panel-changed","state":"s7"}"#)
    );
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_left() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    for id in 1..=600 {
        publish(&bench, id);
    }
    let mut by_header = Listener::open(&bench, &cookie, "/api/v1/events?after=5", Some("590")).await;
    let mut by_query = Listener::open(&bench, &cookie, "/api/v1/events?after=1", None).await;
    let mut reset = Listener::open(&bench, &cookie, "/api/v1/events", Some("9999")).await;
    let mut live = Listener::open(&bench, &cookie, "/api/v1/events", None).await;
    publish(&bench, 601);
    publish(&bench, 602);
    assert_eq!(by_header.ids_until(602).await, (591..=602).collect::<Vec<_>>());
    assert_eq!(by_query.ids_until(602).await, (2..=602).collect::<Vec<_>>());
    assert_eq!(reset.ids_until(602).await, (1..=602).collect::<Vec<_>>());
    assert_eq!(live.ids_until(602).await, vec![601, 602]);
}

#[tokio::test]
async fn passing_events_come_without_an_id_and_leave_the_place_in_the_stream_alone() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let pass = |state: &str| {
        let what = What::PanelChanged { state: state.to_owned() };
        let _ = bench.events.send(Event { id: 0, at: DateTime::UNIX_EPOCH, what });
    };
    for id in 1..=5 {
        bench.records.add_event(event(id));
    }
    let mut live = Listener::open(&bench, &cookie, "/api/v1/events", None).await;
    let mut resumed = Listener::open(&bench, &cookie, "/api/v1/events", Some("4")).await;
    pass("first");
    publish(&bench, 6);
    pass("second");
    publish(&bench, 7);
    for listener in [&mut live, &mut resumed] {
        listener.until("first").await;
        listener.until("second").await;
    }
    assert_eq!(live.ids_until(7).await, vec![6, 7], "what was before must not be told again");
    assert_eq!(resumed.ids_until(7).await, vec![5, 6, 7]);
}

#[tokio::test]
async fn a_slow_listener_misses_nothing() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let mut listener = Listener::open(&bench, &cookie, "/api/v1/events?after=0", None).await;
    publish(&bench, 1);
    assert_eq!(listener.ids_until(1).await, vec![1]);
    // The broadcast holds eight; the rest must come from the store.
    for id in 2..=500 {
        publish(&bench, id);
    }
    assert_eq!(listener.ids_until(500).await, (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn gaps_are_filled_from_the_store_and_what_it_lost_is_still_sent() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let mut listener = Listener::open(&bench, &cookie, "/api/v1/events", None).await;
    publish(&bench, 500);
    assert_eq!(listener.ids_until(500).await, vec![500]);
    bench.records.add_event(event(501));
    bench.records.add_event(event(502));
    publish(&bench, 503);
    let _ = bench.events.send(event(510));
    let _ = bench.events.send(event(510));
    publish(&bench, 511);
    assert_eq!(listener.ids_until(511).await, vec![500, 501, 502, 503, 510, 511]);
}

#[tokio::test]
async fn many_listeners_under_a_storm_see_the_same() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    publish(&bench, 1);
    let mut listeners = Vec::new();
    for _ in 0..8 {
        listeners.push(Listener::open(&bench, &cookie, "/api/v1/events?after=0", None).await);
    }
    let readers: Vec<_> = listeners
        .into_iter()
        .map(|mut listener| tokio::spawn(async move { listener.ids_until(400).await }))
        .collect();
    for id in 2..=400 {
        publish(&bench, id);
        if id % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (1..=400).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn streams_are_limited_and_end_with_the_daemon() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Listener::open(&bench, &cookie, "/api/v1/events", None).await);
    }
    let one_more = bench.get_as(&cookie, "/api/v1/events").await;
    assert_eq!((one_more.status, one_more.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "30"));
    drop(open.pop());
    open.push(Listener::open(&bench, &cookie, "/api/v1/events", None).await);
    bench.shutdown.cancel();
    for mut listener in open {
        let end = tokio::time::timeout(Duration::from_secs(5), listener.body.next()).await.unwrap();
        assert!(end.is_none());
    }
    let request = Request::get("/api/v1/events").header(header::COOKIE, &cookie).header("Last-Event-ID", "x");
    assert_eq!(bench.send(request, Body::empty()).await.code(), "malformed");
}
