//! The API is what its document says.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::bench::{Bench, settings};
use dockbeacon::handles::Refusal;

#[test]
fn the_document_in_the_tree_is_the_generated_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/openapi.json");
    expect_test::expect_file![file].assert_eq(&dockbeacon::http::openapi());
}

#[tokio::test]
async fn every_documented_path_is_served() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let token = bench.token(&cookie, "all", "admin").await;
    let document: Value = serde_json::from_str(&dockbeacon::http::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if path == "/api/v1/events" {
                continue;
            }
            let known = path.replace("{name}", "web").replace("{tx}", "t1").replace("{id}", "none");
            let answer = bench.bearer(&token, &method.to_uppercase(), &known, "").await;
            let status = answer.status;
            assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(status != StatusCode::NOT_FOUND || path.contains("{id}"), "{method} {path}: {answer:?}");
            assert!(status.as_u16() < 500, "{method} {path}: {answer:?}");
            let documented = &item[method]["responses"];
            assert!(
                documented.get(status.as_str()).is_some() || documented.get("default").is_some(),
                "{method} {path} answers {status} undocumented"
            );
        }
    }
}

#[tokio::test]
async fn lists_and_single_things_can_be_looked_at() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let table = [
        ("status", "/host_name", json!("cupboard")),
        ("containers", "/0/name", json!("web")),
        ("containers/db", "/name", json!("db")),
        ("candidates", "/0/name", json!("web")),
        ("candidates", "/1", Value::Null),
        ("plan", "/fingerprint", json!("")),
        ("updates", "/0/tx", json!("t1")),
        ("updates?limit=0", "/0", Value::Null),
        ("updates/t1", "/tx", json!("t1")),
        ("panel", "/lamps", json!([])),
        ("settings", "", json!([])),
        ("session", "/kind", json!("session")),
        ("session", "/role", json!("admin")),
    ];
    for (path, pointer, wanted) in table {
        let answer = bench.get_as(&cookie, &format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.json().pointer(pointer).cloned().unwrap_or_default(), wanted, "{path} {pointer}");
    }
    for path in ["containers/none", "updates/none", "none"] {
        let answer = bench.get_as(&cookie, &format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not-found"), "{path}");
        assert!(!answer.json()["error"]["remedy"].as_str().unwrap().is_empty());
    }
    bench.records.add_update(dockbeacon::view::UpdateView { tx: "t0".to_owned(), ..Default::default() });
    assert_eq!(bench.get_as(&cookie, "/api/v1/updates").await.json()[1]["tx"], "t0");
    assert_eq!(bench.get_as(&cookie, "/api/v1/updates/t0").await.status, StatusCode::OK);
    let anonymous = bench.get("/api/v1/session").await;
    assert_eq!(anonymous.json(), json!({ "claimed": true, "role": null, "kind": "none" }));
}

#[tokio::test]
async fn bad_input_is_told_in_json() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let table = [
        ("check", "{", StatusCode::BAD_REQUEST, "malformed"),
        ("check", "[]x", StatusCode::BAD_REQUEST, "malformed"),
        ("check", "7", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("check", r#"{"container":["web"]}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("check?wait=maybe", "{}", StatusCode::BAD_REQUEST, "malformed"),
        ("check?hurry=true", "{}", StatusCode::BAD_REQUEST, "malformed"),
        ("approve", r#"{"containers":[]}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("approve", "{}", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("pause", r#"{"seconds":0}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("pause", r#"{"seconds":-1}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("pause", r#"{"seconds":99999999999}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("panel/press", r#"{"gesture":"kick"}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("tokens", r#"{"name":" ","role":"read"}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("tokens", r#"{"name":"x","role":"root"}"#, StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("login", "{}", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
    ];
    for (path, body, status, code) in table {
        let request = Request::post(format!("/api/v1/{path}")).header(header::COOKIE, &cookie);
        let answer = bench.send(request.header(header::CONTENT_TYPE, "application/json"), body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {body} {answer:?}");
    }
    let method =
        bench.send(Request::put("/api/v1/check").header(header::COOKIE, &cookie), Body::empty()).await;
    assert_eq!(
        (method.status, method.code().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
    );
    let utf8 = bench.get_as(&cookie, "/api/v1/containers/%ff").await;
    assert_eq!((utf8.status, utf8.code().as_str()), (StatusCode::BAD_REQUEST, "malformed"));
    for path in ["/api/v1/updates?limit=x", "/api/v1/events?after=x"] {
        assert_eq!(bench.get_as(&cookie, path).await.code(), "malformed", "{path}");
    }
}

#[tokio::test]
async fn refusals_of_the_loops_have_their_status() {
    let table = [
        (Refusal::Busy("a run is under way".to_owned()), 409, "busy"),
        (Refusal::NotFound("there is no container x".to_owned()), 404, "not-found"),
        (Refusal::Conflict("the plan has changed".to_owned()), 409, "conflict"),
        (Refusal::EngineAway("there is no socket".to_owned()), 503, "engine-away"),
        (Refusal::Stopping, 503, "unavailable"),
    ];
    for (refusal, status, code) in table {
        let mut bench = Bench::new(settings());
        let told = refusal.clone();
        bench.play(move |_, _| Err(told.clone()));
        let cookie = bench.claim().await;
        let answer = bench.post_as(&cookie, "/api/v1/update", json!({ "containers": ["x"] })).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{refusal:?}");
        let form = bench.form_as(&cookie, "update", "container=x&return=/containers").await;
        assert_eq!((form.status, form.header("location")), (StatusCode::SEE_OTHER, "/containers"));
        assert!(bench.audit().last().unwrap().contains("update of x: refused, "));
    }
    let mut bench = Bench::new(settings());
    let cookie = bench.claim().await;
    bench.commands = None;
    assert_eq!(
        bench.post_as(&cookie, "/api/v1/check", json!({})).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}
