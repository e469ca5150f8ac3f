//! What strangers try, one test a rule.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;

use crate::bench::{Bench, HOST, PASSWORD, settings, with_token};
use dockbeacon::http::new_claim_code;

#[tokio::test]
async fn an_unclaimed_device_does_nothing_but_being_claimed() {
    let bench = Bench::with_loops(settings());
    for path in ["/", "/dashboard", "/containers", "/containers/web", "/settings", "/login", "/nothing"] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/claim"), "{path}");
    }
    for path in ["status", "containers", "session", "audit", "tokens", "events", "nothing"] {
        let answer = bench.get(&format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "unclaimed"), "{path}");
    }
    for path in ["check", "update", "login", "panel/press", "tokens"] {
        let answer = bench.post(&format!("/api/v1/{path}"), json!({})).await;
        assert_eq!(answer.code(), "unclaimed", "{path}");
    }
    for path in ["/claim", "/livez", "/readyz", "/healthz", "/favicon.svg", "/api/openapi.json"] {
        assert_eq!(bench.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert!(bench.form_as("", "update", "").await.header("location") == "/claim");
}

#[tokio::test]
async fn a_claim_needs_the_code_a_strong_password_and_happens_once() {
    let bench = Bench::with_loops(settings());
    let code = new_claim_code(bench.records.as_ref()).unwrap().unwrap();
    let claim = |code: &str, password: &str| json!({ "code": code, "password": password });
    assert_eq!(bench.post("/api/v1/claim", claim(&code, "short")).await.code(), "invalid");
    let wrong = bench.post("/api/v1/claim", claim("0000-0000-0000", PASSWORD)).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::FORBIDDEN, "wrong-code"));
    let typed = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    let (one, two) = tokio::join!(
        bench.post("/api/v1/claim", claim(&typed, PASSWORD)),
        bench.post("/api/v1/claim", claim(&code, "another long password"))
    );
    let won = [&one, &two].iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(won, 1, "{one:?} {two:?}");
    let cookie = one.session();
    let attributes = one.cookies()[0];
    for wanted in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(attributes.contains(wanted), "{attributes}");
    }
    assert_eq!(bench.get_as(&cookie, "/api/v1/status").await.status, StatusCode::OK);
    assert_eq!(bench.post("/api/v1/claim", claim(&code, PASSWORD)).await.code(), "claimed");
    assert!(new_claim_code(bench.records.as_ref()).unwrap().is_none());
    let audit = bench.audit();
    assert!(audit.contains(&"nobody from 127.0.0.1: claim: refused, wrong code".to_owned()), "{audit:?}");
    assert!(audit.contains(&"nobody from 127.0.0.1: claim: done".to_owned()), "{audit:?}");
}

#[tokio::test]
async fn passwords_do_not_travel_in_plain_from_other_machines() {
    let bench = Bench::with_loops(settings());
    let far = |path: &'static str, body: String| {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        bench.send_from("192.0.2.9:5555", request, body)
    };
    let code = new_claim_code(bench.records.as_ref()).unwrap().unwrap();
    let answer = far("/api/v1/claim", json!({ "code": code, "password": PASSWORD }).to_string()).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "plain-http"));
    assert!(answer.text.contains("https"));
    bench.claim().await;
    let answer = far("/api/v1/login", json!({ "password": PASSWORD }).to_string()).await;
    assert_eq!(answer.code(), "plain-http");
    let form =
        Request::post("/actions/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = bench.send_from("192.0.2.9:5555", form, format!("password={PASSWORD}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.cookies().iter().all(|cookie| !cookie.contains("session=")));
    let mapped = Request::post("/api/v1/login").header(header::CONTENT_TYPE, "application/json");
    let answer =
        bench.send_from("[::ffff:127.0.0.1]:5", mapped, json!({ "password": PASSWORD }).to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rebound_name_is_misdirected() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let ask = |host: &'static str, path: &'static str| {
        bench.send(
            Request::get(path).header(header::HOST, host).header(header::COOKIE, cookie.clone()),
            Body::empty(),
        )
    };
    for host in ["evil.example", "evil.example:3625", "192.0.2.1:3625", "localhost.evil.example", ""] {
        for path in ["/", "/api/v1/status", "/login", "/assets/favicon.svg", "/api/openapi.json"] {
            assert_eq!(ask(host, path).await.status, StatusCode::MISDIRECTED_REQUEST, "{host} {path}");
        }
    }
    assert_eq!(ask("evil.example", "/api/v1/status").await.code(), "unknown-host");
    for host in ["localhost", "127.0.0.1:3625", "cupboard.local:3625", "CUPBOARD", "dock.example.org"] {
        assert_eq!(ask(host, "/api/v1/status").await.status, StatusCode::OK, "{host}");
    }
    assert_eq!(ask("10.1.2.3", "/livez").await.status, StatusCode::OK);
    let two = Request::get("/api/v1/status").header(header::HOST, HOST).header(header::HOST, "evil.example");
    let answer = bench.send(two.header(header::COOKIE, &cookie), Body::empty()).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    let line = Request::get("http://evil.example/api/v1/status").header(header::COOKIE, &cookie);
    assert_eq!(bench.send(line, Body::empty()).await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn another_sites_page_cannot_change_anything() {
    let mut bench = Bench::new(settings());
    let asked = bench.play(|name, _| Ok(crate::bench::said(name)));
    let cookie = bench.claim().await;
    let bad = [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:8080"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in bad {
        for path in
            ["/api/v1/resume", "/actions/resume", "/actions/logout", "/api/v1/login", "/actions/login"]
        {
            let request = Request::post(path).header(name, value).header(header::COOKIE, &cookie);
            let answer = bench.send(request.header(header::CONTENT_TYPE, "application/json"), "{}").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {name}: {value}");
        }
    }
    // What a form of another page can send without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = Request::post("/api/v1/resume").header(header::COOKIE, &cookie);
        let answer = bench.send(request.header(header::CONTENT_TYPE, kind), "{}").await;
        assert_eq!(answer.code(), "not-json", "{kind}");
    }
    let bare =
        bench.send(Request::post("/api/v1/resume").header(header::COOKIE, &cookie), Body::empty()).await;
    assert_eq!(bare.code(), "not-json");
    assert!(!asked.lock().unwrap().iter().any(|command| command.starts_with("Resume")));
    let own = Request::post("/actions/resume").header("origin", "http://localhost:3625");
    let own = own.header("sec-fetch-site", "same-origin").header(header::COOKIE, &cookie);
    assert_eq!(bench.send(own, Body::empty()).await.status, StatusCode::SEE_OTHER);
    let preflight = Request::options("/api/v1/resume").header("origin", "http://evil.example");
    let answer = bench.send(preflight, Body::empty()).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_session_is_never_the_one_that_the_client_brought() {
    let bench = Bench::with_loops(settings());
    let first = bench.claim().await;
    let fixed = "dockbeacon_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let entered = bench.post_as(fixed, "/api/v1/login", json!({ "password": PASSWORD })).await;
    assert_ne!(entered.session(), fixed);
    assert_eq!(bench.get_as(fixed, "/api/v1/status").await.status, StatusCode::UNAUTHORIZED);
    let again = bench.post_as(&first, "/api/v1/login", json!({ "password": PASSWORD })).await;
    assert_ne!(again.session(), first);
    assert_eq!(
        bench.get_as(&first, "/api/v1/status").await.status,
        StatusCode::UNAUTHORIZED,
        "the old one ended"
    );
    let live = again.session();
    bench.post_as(&live, "/api/v1/logout", json!({})).await;
    assert_eq!(bench.get_as(&live, "/api/v1/status").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_end_by_idleness_and_by_age() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let day = 24 * 3600;
    let mut lasted = 0;
    while bench.get_as(&cookie, "/api/v1/status").await.status == StatusCode::OK {
        bench.wait(6 * day);
        lasted += 6;
        assert!(lasted < 60);
    }
    assert_eq!(lasted, 30, "used every six days it lasts thirty");
    let cookie = bench.post("/api/v1/login", json!({ "password": PASSWORD })).await.session();
    assert_eq!(bench.get_as(&cookie, "/api/v1/status").await.status, StatusCode::OK);
    bench.wait(7 * day);
    assert_eq!(bench.get_as(&cookie, "/api/v1/status").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let bench = Bench::with_loops(settings());
    let code = new_claim_code(bench.records.as_ref()).unwrap().unwrap();
    for n in 0..6 {
        let body = json!({ "code": format!("0000-0000-000{n}"), "password": PASSWORD });
        let answer = bench.post("/api/v1/claim", body).await;
        let wanted = if n < 5 { StatusCode::FORBIDDEN } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(answer.status, wanted, "{n}");
    }
    let right = json!({ "code": code, "password": PASSWORD });
    let answer = bench.post("/api/v1/claim", right.clone()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "even the right one has to wait");
    assert_eq!(answer.header("retry-after"), "1");
    bench.wait(1);
    assert_eq!(bench.post("/api/v1/claim", right).await.status, StatusCode::OK);
    for n in 0..8 {
        let answer = bench.post("/api/v1/login", json!({ "password": format!("wrong password {n}") })).await;
        let wanted = if n < 5 { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(answer.status, wanted, "{n}");
    }
    let form = bench.form_as("", "login", &format!("password={PASSWORD}")).await;
    assert_eq!((form.status, form.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    bench.wait(1);
    assert_eq!(
        bench.form_as("", "login", &format!("password={PASSWORD}")).await.status,
        StatusCode::SEE_OTHER
    );
    let refused = bench.audit().iter().filter(|line| line.contains("login: refused")).count();
    assert_eq!(refused, 5);
}

#[tokio::test]
async fn tokens_do_what_their_role_says_and_end_when_revoked() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let mut tokens = Vec::new();
    for role in ["read", "operate", "admin"] {
        tokens.push(bench.token(&cookie, role, role).await);
    }
    assert!(tokens.iter().all(|token| token.starts_with("dbk_") && token.len() == 47));
    let table = [
        ("GET", "/api/v1/status", "", [200, 200, 200]),
        ("GET", "/", "", [200, 200, 200]),
        ("POST", "/api/v1/check", "", [403, 200, 200]),
        ("POST", "/api/v1/resume", "{}", [403, 200, 200]),
        ("POST", "/v1/update", "", [403, 200, 200]),
        ("POST", "/api/v1/panel/press", r#"{"gesture":"press"}"#, [403, 403, 200]),
        ("GET", "/api/v1/audit", "", [403, 403, 200]),
        ("GET", "/api/v1/tokens", "", [403, 403, 200]),
        ("POST", "/api/v1/tokens", r#"{"name":"n","role":"admin"}"#, [403, 403, 201]),
        ("DELETE", "/api/v1/tokens/none", "", [403, 403, 404]),
        ("GET", "/api/v1/nothing", "", [404, 404, 404]),
        ("PUT", "/api/v1/status", "", [403, 403, 405]),
    ];
    for (method, path, body, wanted) in table {
        for (token, wanted) in tokens.iter().zip(wanted) {
            let answer = bench.bearer(token, method, path, body).await;
            assert_eq!(answer.status.as_u16(), wanted, "{method} {path} {answer:?}");
        }
        let nobody = bench.send(Request::builder().method(method).uri(path), Body::empty()).await;
        assert!(matches!(nobody.status.as_u16(), 401 | 303), "{method} {path} {nobody:?}");
        let wrong = format!("{}x", &tokens[2][..46]);
        let wrong = bench.bearer(&wrong, method, path, body).await;
        assert_eq!(wrong.status, nobody.status, "{method} {path}: {wrong:?}");
    }
    let listed = bench.get_as(&cookie, "/api/v1/tokens").await;
    assert!(tokens.iter().all(|token| !listed.text.contains(token)) && !listed.text.contains("hash"));
    let id = listed.json()[1]["id"].as_str().unwrap().to_owned();
    let gone = bench.bearer(&tokens[2], "DELETE", &format!("/api/v1/tokens/{id}"), "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.bearer(&tokens[1], "GET", "/api/v1/status", "").await.status, StatusCode::UNAUTHORIZED);
    // A good cookie does not save a wrong token.
    let both = Request::get("/api/v1/status")
        .header(header::COOKIE, &cookie)
        .header(header::AUTHORIZATION, "Bearer x");
    assert_eq!(bench.send(both, Body::empty()).await.status, StatusCode::UNAUTHORIZED);
    let audit = bench.audit().join("\n");
    assert!(audit.contains("page from 127.0.0.1: token operate with role operate: made"), "{audit}");
    assert!(audit.contains("api token admin from 127.0.0.1: token operate: revoked"), "{audit}");
    assert!(
        audit.contains("api token operate from 127.0.0.1: check of all containers: check done"),
        "{audit}"
    );
}

#[tokio::test]
async fn the_compat_path_takes_its_own_token_only() {
    let off = Bench::with_loops(settings());
    assert_eq!(off.bearer("x", "POST", "/v1/update", "").await.status, StatusCode::NOT_FOUND);
    let bench = Bench::with_loops(with_token("mytoken"));
    let cookie = bench.claim().await;
    for token in ["", "x", "mytoke", "mytoken1", "MYTOKEN"] {
        let answer = bench.bearer(token, "POST", "/v1/update", "").await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::UNAUTHORIZED, ""), "{token}");
    }
    assert_eq!(bench.get("/v1/update").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.get_as(&cookie, "/v1/update").await.status, StatusCode::UNAUTHORIZED, "no cookies here");
    assert_eq!(bench.bearer("mytoken", "GET", "/api/v1/status", "").await.status, StatusCode::UNAUTHORIZED);
    for method in ["GET", "POST"] {
        let answer = bench.bearer("mytoken", method, "/v1/update", "").await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, r#"{"status":"success"}"#));
    }
    let proxied = Request::post("/v1/update").header(header::HOST, "updates.example.org");
    let proxied = proxied.header(header::AUTHORIZATION, "Bearer mytoken");
    assert_eq!(bench.send(proxied, Body::empty()).await.status, StatusCode::OK);
    let empty = Bench::with_loops(with_token(""));
    assert_eq!(empty.bearer("", "POST", "/v1/update", "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_answer_is_fenced_in() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    for path in ["/", "/login", "/api/v1/status", "/api/v1/nothing", "/livez", "/nothing", "/v1/update"] {
        let answer = bench.get_as(&cookie, path).await;
        let csp = answer.header("content-security-policy");
        assert!(
            csp.starts_with("default-src 'none'; script-src 'self'") && !csp.contains("unsafe"),
            "{path}"
        );
        assert!(csp.contains("frame-ancestors 'none'") && csp.contains("base-uri 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    }
    let asset = bench.get("/assets/favicon.svg").await;
    assert_eq!(asset.header("cache-control"), "no-cache");
    let etag = asset.header("etag").to_owned();
    let known = Request::get("/assets/favicon.svg").header(header::IF_NONE_MATCH, &etag);
    assert_eq!(bench.send(known, Body::empty()).await.status, StatusCode::NOT_MODIFIED);
    assert!(bench.get("/assets/favicon.svg?v=1").await.header("cache-control").contains("immutable"));
    assert_eq!(bench.get("/assets/../Cargo.toml").await.status, StatusCode::NOT_FOUND);
    let big = Request::post("/api/v1/check").header(header::COOKIE, &cookie);
    let big = big.header(header::CONTENT_TYPE, "application/json");
    let answer = bench.send(big, "x".repeat(70_000)).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
}
