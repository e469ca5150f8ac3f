//! One port for TLS and plain HTTP, and what may travel in clear.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use dockbeacon::http::serve_tcp;
use dockbeacon::http::tls::Identity;
use dockbeacon_core::auth::Plain;
use dockbeacon_core::settings::HttpSettings;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::bench::{Bench, PASSWORD, settings, with_token};

const ELSEWHERE: &str = "192.0.2.9:5555";

fn client(place: &std::path::Path) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(place.join("tls/certificate.pem")).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .tls_info(true)
        .build()
        .unwrap()
}

#[tokio::test]
async fn one_port_speaks_both() {
    let place = tempfile::tempdir().unwrap();
    let bench = Bench::with_loops(settings());
    bench.claim().await;
    let identity = Identity::open(place.path(), &settings(), "cupboard").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task =
        tokio::spawn(serve_tcp(listener, bench.app.clone(), Some(identity.clone()), bench.shutdown.clone()));
    let client = client(place.path());
    let mut cookies = Vec::new();
    for scheme in ["https", "http"] {
        let base = format!("{scheme}://localhost:{port}");
        let login = client.post(format!("{base}/api/v1/login")).json(&json!({ "password": PASSWORD }));
        let login = login.send().await.unwrap();
        assert_eq!(login.status(), 200, "{scheme}");
        let cookie = login.headers()["set-cookie"].to_str().unwrap().to_owned();
        let status = client.get(format!("{base}/api/v1/status"));
        let status = status.header("cookie", cookie.split(';').next().unwrap()).send().await.unwrap();
        assert_eq!(status.json::<Value>().await.unwrap()["host_name"], "cupboard");
        cookies.push(cookie);
    }
    assert!(cookies[0].contains("; Secure") && !cookies[1].contains("; Secure"), "{cookies:?}");

    // What the console shows is what the browser sees.
    let answer = client.get(format!("https://127.0.0.1:{port}/livez")).send().await.unwrap();
    let shown = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap();
    let seen: Vec<String> = Sha256::digest(shown).iter().map(|b| format!("{b:02X}")).collect();
    assert_eq!(identity.fingerprint, seen.join(":"));

    // Whoever hangs up in the middle of a handshake, or sends nothing at all, holds nothing up.
    let half = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    half.try_write(&[0x16, 3, 1]).unwrap();
    let silent = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    assert!(
        client.get(format!("https://localhost:{port}/livez")).send().await.unwrap().status().is_success()
    );
    bench.shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(4), task).await.expect("the server ends").unwrap();
    drop((half, silent));
}

#[tokio::test]
async fn plain_http_from_elsewhere_explains_and_leads_to_https() {
    let bench = Bench::with_loops(settings());
    let cookie = bench.claim().await;
    let ask = |method: Method, path: &'static str, host: &'static str| {
        let request = Request::builder().method(method).uri(path).header(header::HOST, host);
        bench.send_from(ELSEWHERE, request.header(header::COOKIE, cookie.clone()), Body::empty())
    };
    let of_the_device = "href=\"/containers\"";
    let near = bench.send(Request::get("/").header(header::COOKIE, cookie.clone()), Body::empty()).await;
    assert!(near.text.contains(of_the_device), "{}", near.text);
    for path in ["/", "/updates?page=2", "/login", "/claim"] {
        let answer = ask(Method::GET, path, "cupboard.local:3625").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            answer.text.contains(&format!("href=\"https://cupboard.local:3625{path}\"")),
            "{}",
            answer.text
        );
        assert!(!answer.text.contains(of_the_device), "nothing of the device: {}", answer.text);
    }
    for path in ["/api/v1/status", "/api/v1/containers", "/v1/update"] {
        let answer = ask(Method::GET, path, "cupboard.local:3625").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "plain-http"), "{path}");
        assert!(answer.text.contains("https://cupboard.local:3625"), "{}", answer.text);
    }
    // A name that is not ours leads nowhere.
    assert_eq!(ask(Method::GET, "/", "evil.example").await.status, StatusCode::MISDIRECTED_REQUEST);
    for path in ["/livez", "/assets/page.css"] {
        assert_eq!(ask(Method::GET, path, "cupboard.local:3625").await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn plain_allow_serves_all_but_claiming_and_logging_in() {
    let allow = |settings: HttpSettings| HttpSettings { plain: Plain::Allow, ..settings };
    let bench = Bench::with_loops(allow(with_token("watch")));
    let cookie = bench.claim().await;
    let get = |path: &'static str| {
        bench.send_from(ELSEWHERE, Request::get(path).header(header::COOKIE, cookie.clone()), Body::empty())
    };
    assert_eq!(get("/").await.status, StatusCode::OK);
    assert_eq!(get("/api/v1/status").await.status, StatusCode::OK);
    assert_eq!(get("/login").await.status, StatusCode::FORBIDDEN);
    let update = Request::post("/v1/update").header(header::AUTHORIZATION, "Bearer watch");
    assert_eq!(bench.send_from(ELSEWHERE, update, Body::empty()).await.status, StatusCode::OK);
    let login = Request::post("/api/v1/login").header(header::CONTENT_TYPE, "application/json");
    let login = bench.send_from(ELSEWHERE, login, json!({ "password": PASSWORD }).to_string()).await;
    assert_eq!(login.code(), "plain-http");
}
