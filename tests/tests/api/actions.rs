//! Actions: what the loops are asked, how long askers wait, and the forms.

use std::sync::Arc;

use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use serde_json::json;

use crate::bench::{Answer, Bench, PASSWORD, said, settings, with_token};
use dockbeacon::handles::{Command, Refusal, UpdateRequest};
use dockbeacon::view::{Mood, View};

#[tokio::test]
async fn the_loops_are_asked_what_the_request_says() {
    let mut bench = Bench::new(settings());
    let asked = bench.play(|name, _| Ok(said(name)));
    let cookie = bench.claim().await;
    let table = [
        ("check", json!({}), "Check(Actor", "[]"),
        ("check", json!({ "containers": ["web"] }), "Check(Actor", r#"["web"]"#),
        (
            "approve",
            json!({ "containers": ["web"], "fingerprint": "f" }),
            "Approve(Actor",
            r#"["web"], Some("f")"#,
        ),
        (
            "update",
            json!({ "containers": ["web", "db"] }),
            "Update(Actor",
            r#"names: ["web", "db"], images: [], only_approved: false, wait: false"#,
        ),
        ("rollback", json!({ "container": "web" }), "Rollback(Actor", r#""web""#),
        ("pause", json!({ "seconds": 60 }), "Pause(Actor", ", 60,"),
        ("resume", json!({}), "Resume(Actor", ""),
        ("panel/press", json!({ "gesture": "double-press" }), "Press(Actor", "DoublePress"),
        ("panel/press", json!({ "gesture": "hold3" }), "Press(Actor", "Hold3"),
        ("panel/identify", json!({}), "Identify(Actor", ""),
    ];
    for (path, body, start, part) in table {
        let answer = bench.post_as(&cookie, &format!("/api/v1/{path}"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{path} {answer:?}");
        let last = asked.lock().unwrap().last().unwrap().clone();
        assert!(last.starts_with(start) && last.contains(part), "{path}: {last}");
        assert!(last.contains(r#"way: "page", who: "127.0.0.1""#), "{last}");
    }
    let all = asked.lock().unwrap().clone();
    assert!(all.iter().any(|command| command.contains("Happened(Claimed)")), "{all:?}");
}

#[tokio::test]
async fn forms_go_back_with_a_message_that_is_shown_once() {
    let mut bench = Bench::new(settings());
    let asked = bench.play(|name, _| Ok(said(name)));
    let cookie = bench.claim().await;
    let table = [
        ("check", "", "/", "Check("),
        (
            "approve",
            "container=web&container=db&fingerprint=f&return=/updates",
            "/updates",
            r#"["web", "db"], Some("f")"#,
        ),
        ("update", "container=web&return=//evil.example", "/", r#"names: ["web"]"#),
        ("update", "return=https://evil.example", "/", "names: []"),
        ("rollback", "container=web&return=%2Fcontainers%2Fweb", "/containers/web", r#""web""#),
        ("pause", "hours=2", "/", ", 7200,"),
        ("pause", "", "/", ", 86400,"),
        ("press", "gesture=press", "/", "Press,"),
        ("identify", "return=/device", "/device", "Identify("),
    ];
    for (action, body, back, part) in table {
        let answer = bench.form_as(&cookie, action, body).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, back),
            "{action} {body}"
        );
        let last = asked.lock().unwrap().last().unwrap().clone();
        assert!(last.contains(part), "{action}: {last}");
        assert_eq!(flash(&answer), format!("{action} done"));
    }
    let answer = bench.form_as(&cookie, "resume", "").await;
    let flash_cookie = answer.cookies()[0].split(';').next().unwrap().to_owned();
    let shown = bench.get_as(&format!("{cookie}; {flash_cookie}"), "/").await;
    assert!(shown.text.contains("resume done"));
    assert!(shown.cookies()[0].starts_with("dockbeacon_flash=;"), "{:?}", shown.cookies());
    for (action, body) in [("pause", "hours=0"), ("rollback", ""), ("approve", ""), ("press", "gesture=kick")]
    {
        let before = asked.lock().unwrap().len();
        let answer = bench.form_as(&cookie, action, body).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{action}");
        assert!(!flash(&answer).is_empty());
        assert_eq!(asked.lock().unwrap().len(), before, "{action} was asked");
    }
    let json = Request::post("/actions/check")
        .header(header::COOKIE, &cookie)
        .header(header::ACCEPT, "application/json");
    let answer = bench.send(json, "").await;
    assert_eq!((answer.status, answer.json()["message"].as_str()), (StatusCode::OK, Some("check done")));
    let json = Request::post("/actions/kick")
        .header(header::COOKIE, &cookie)
        .header(header::ACCEPT, "application/json");
    assert_eq!(bench.send(json, "").await.code(), "not-found");
    assert_eq!(bench.form_as("", "check", "").await.header("location"), "/login");
}

#[tokio::test]
async fn the_page_can_be_claimed_and_entered_without_javascript() {
    let bench = Bench::with_loops(settings());
    let code = dockbeacon::http::new_claim_code(bench.records.as_ref()).unwrap().unwrap();
    let wrong = bench.form_as("", "claim", &format!("code=0&password={PASSWORD}")).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text.contains("Claim") && wrong.text.contains("the claim code is wrong"));
    let claimed = bench.form_as("", "claim", &format!("code={code}&password={PASSWORD}")).await;
    assert_eq!((claimed.status, claimed.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = claimed.session();
    for (path, status) in [
        ("/", 200),
        ("/dashboard", 200),
        ("/containers", 200),
        ("/containers/web", 200),
        ("/containers/none", 404),
        ("/updates", 200),
        ("/updates/t1", 200),
        ("/updates/none", 404),
        ("/device", 200),
        ("/settings", 200),
        ("/nothing", 404),
    ] {
        assert_eq!(bench.get_as(&cookie, path).await.status.as_u16(), status, "{path}");
    }
    assert_eq!(bench.get_as(&cookie, "/login").await.header("location"), "/");
    assert_eq!(bench.get("/claim").await.header("location"), "/");
    assert_eq!(bench.get("/").await.header("location"), "/login");
    assert_eq!(bench.get("/login").await.status, StatusCode::OK);
    let out = bench.form_as(&cookie, "logout", "").await;
    assert_eq!(out.header("location"), "/login");
    assert!(out.cookies().iter().any(|cookie| cookie.starts_with("dockbeacon_session=;")));
    assert_eq!(bench.get_as(&cookie, "/").await.header("location"), "/login");
    let wrong = bench.form_as("", "login", "password=wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text.contains("the password is wrong"));
}

#[tokio::test]
async fn long_work_is_answered_as_started_and_its_end_is_written_down() {
    let mut bench = Bench::new(settings());
    let cookie = bench.claim().await;
    let mut commands = bench.commands.take().unwrap();
    assert!(matches!(commands.recv().await, Some(Command::Happened(_))));
    let started = bench.post_as(&cookie, "/api/v1/update", json!({ "containers": ["web"] })).await;
    assert_eq!(started.status, StatusCode::ACCEPTED);
    assert_eq!(started.json()["message"], "Update of web: started; follow it under Updates");
    assert!(bench.audit().last().unwrap().ends_with("update of web: started"));
    let Some(Command::Update(_, _, reply)) = commands.recv().await else { panic!("an update") };
    reply.send(Ok(said("all"))).unwrap();
    until(|| bench.audit().last().unwrap().ends_with("update of web: all done")).await;
    let waiting = bench.post_as(&cookie, "/api/v1/update?wait=true", json!({}));
    let answering = async {
        let Some(Command::Update(_, _, reply)) = commands.recv().await else { panic!("an update") };
        // Longer than those who do not wait are kept.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        reply.send(Ok(said("all"))).unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, answering);
    assert_eq!((answer.status, answer.json()["message"].as_str()), (StatusCode::OK, Some("all done")));
    let lost = bench.post_as(&cookie, "/api/v1/update?wait=true", json!({}));
    let dropping = async { drop(commands.recv().await) };
    let (answer, ()) = tokio::join!(lost, dropping);
    assert_eq!(answer.code(), "unavailable", "the loops went away without an answer");
}

#[tokio::test]
async fn the_compat_path_waits_for_images_and_is_told_when_busy() {
    let mut bench = Bench::new(with_token("t"));
    let mut commands = bench.commands.take().unwrap();
    let bench = Arc::new(bench);
    let (under_way, is_under_way) = tokio::sync::oneshot::channel();
    let loops = tokio::spawn(async move {
        let mut under_way = Some(under_way);
        let mut seen: Vec<UpdateRequest> = Vec::new();
        let mut held = None;
        while seen.len() < 3 {
            let Some(Command::Update(actor, request, reply)) = commands.recv().await else {
                panic!("an update")
            };
            assert_eq!((actor.way.as_str(), actor.who.as_str()), ("api", "token of http.token"));
            match (seen.len(), request.wait) {
                (0, false) => {
                    held = Some(reply);
                    under_way.take().unwrap().send(()).unwrap();
                }
                (_, false) => {
                    drop(reply.send(Err(Refusal::Busy("an update of web is under way".to_owned()))))
                }
                (_, true) => {
                    held.take().unwrap().send(Ok(said("first"))).unwrap();
                    reply.send(Ok(said("second"))).unwrap();
                }
            }
            seen.push(request);
        }
        seen
    });
    let first = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.bearer("t", "POST", "/v1/update", "").await }
    });
    is_under_way.await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        let busy = bench.bearer("t", "GET", "/v1/update", "").await;
        assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!((busy.header("retry-after"), busy.code().as_str()), ("30", "busy"));
        let waited = bench.bearer("t", "POST", "/v1/update?image=web,db&image=x:1", "").await;
        assert_eq!(waited.text, r#"{"status":"success"}"#);
        assert_eq!(first.await.unwrap().text, r#"{"status":"success"}"#);
    })
    .await
    .unwrap();
    let seen = loops.await.unwrap();
    assert_eq!(
        seen[2],
        UpdateRequest {
            names: vec![],
            images: vec!["web".into(), "db".into(), "x:1".into()],
            wait: true,
            ..UpdateRequest::default()
        }
    );
}

#[tokio::test]
async fn probes_get_one_word() {
    let bench = Bench::with_loops(settings());
    let table = [
        (Mood::Starting, "", 503, 503, "starting"),
        (Mood::Well, "26.1", 200, 200, "well"),
        (Mood::Waiting, "26.1", 200, 200, "waiting"),
        (Mood::Working, "26.1", 200, 200, "working"),
        (Mood::Fault, "26.1", 200, 503, "fault"),
        // The engine has never answered: a fault without an inventory.
        (Mood::Fault, "", 503, 503, "fault"),
    ];
    for (mood, engine, ready, health, word) in table {
        let mut view = View::default();
        view.status.state = mood;
        view.status.engine.version = engine.to_owned();
        bench.view.send_replace(Arc::new(view));
        assert_eq!(bench.get("/livez").await.status.as_u16(), 200);
        assert_eq!(bench.get("/readyz").await.status.as_u16(), ready, "{word}");
        let answer = bench.get("/healthz").await;
        assert_eq!((answer.status.as_u16(), answer.json()), (health, json!({ "status": word })));
    }
}

/// Waits for a condition, five seconds at most.
pub async fn until(condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("the condition came true in time");
}

fn flash(answer: &Answer) -> String {
    let all = answer.cookies();
    let found =
        all.iter().find_map(|cookie| cookie.strip_prefix("dockbeacon_flash=")).expect("a flash cookie");
    let text = found.split(';').next().unwrap();
    String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}
