//! Over real connections: TCP, the control socket, and the end of both.

use std::time::Duration;

use dockbeacon::http::{control_app, serve_tcp, serve_unix};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::bench::{Bench, PASSWORD, said, settings};
use dockbeacon::handles::Command;

async fn serve(bench: &Bench) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(serve_tcp(listener, bench.app.clone(), None, bench.shutdown.clone()));
    (format!("http://{address}"), task)
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn a_real_client_logs_in_looks_and_follows() {
    let bench = Bench::with_loops(settings());
    bench.claim().await;
    let (base, task) = serve(&bench).await;
    let client = client();
    let login =
        client.post(format!("{base}/api/v1/login")).json(&serde_json::json!({ "password": PASSWORD }));
    let login = login.send().await.unwrap();
    assert_eq!(login.status(), 200);
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let status = client.get(format!("{base}/api/v1/status")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(status.json::<serde_json::Value>().await.unwrap()["host_name"], "cupboard");
    let rebound =
        client.get(format!("{base}/api/v1/status")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 421);
    let mut events =
        client.get(format!("{base}/api/v1/events")).header("cookie", &cookie).send().await.unwrap();
    assert!(events.chunk().await.unwrap().is_some(), "the greeting comes at once");
    bench.shutdown.cancel();
    let end = tokio::time::timeout(Duration::from_secs(4), async {
        while events.chunk().await.unwrap().is_some() {}
    });
    end.await.expect("the stream ends with the daemon");
    tokio::time::timeout(Duration::from_secs(4), task).await.expect("and so does the server").unwrap();
    assert!(client.get(format!("{base}/livez")).send().await.is_err());
}

#[tokio::test]
async fn an_open_request_is_still_answered_at_the_end() {
    let mut bench = Bench::new(settings());
    let cookie = bench.claim().await;
    let mut commands = bench.commands.take().unwrap();
    commands.recv().await.unwrap();
    let (base, task) = serve(&bench).await;
    let request = client().post(format!("{base}/api/v1/update?wait=true")).header("cookie", cookie);
    let open = tokio::spawn(request.json(&serde_json::json!({})).send());
    let Some(Command::Update(_, _, reply)) = commands.recv().await else { panic!("an update") };
    bench.shutdown.cancel();
    reply.send(Ok(said("all"))).unwrap();
    assert_eq!(open.await.unwrap().unwrap().status(), 200);
    task.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut() {
    let mut bench = Bench::new(settings());
    let cookie = bench.claim().await;
    let mut commands = bench.commands.take().unwrap();
    commands.recv().await.unwrap();
    let (base, task) = serve(&bench).await;
    let address = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/update?wait=true HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let held = commands.recv().await.unwrap();
    bench.shutdown.cancel();
    task.await.unwrap();
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest).await;
    assert_eq!(rest, "");
    drop(held);
}

#[tokio::test]
async fn the_control_socket_needs_no_login_and_waits() {
    let mut bench = Bench::new(settings());
    let asked = bench.play(|name, _| Ok(said(name)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let task = tokio::spawn(serve_unix(listener, control_app(bench.state.clone()), bench.shutdown.clone()));
    let ask = async |method: &str, uri: &str, body: &'static str| {
        let stream = UnixStream::connect(&path).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request =
            hyper::Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let answer =
            sender.send_request(request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap());
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    };
    assert_eq!(ask("GET", "/api/v1/status", "").await.0, 200);
    let (status, text) = ask("POST", "/api/v1/update?wait=true", r#"{"containers":["web"]}"#).await;
    assert!(status == 200 && text.contains("update done"), "{text}");
    assert_eq!(
        ask("GET", "/api/v1/session", "").await.1,
        r#"{"claimed":false,"role":"admin","kind":"socket"}"#
    );
    assert_eq!(ask("GET", "/", "").await.0, 404);
    assert_eq!(ask("POST", "/v1/update", "").await.0, 404);
    let last = asked.lock().unwrap().last().unwrap().clone();
    let uid = nix::unistd::getuid();
    assert!(last.contains(&format!(r#"way: "command line", who: "user {uid}""#)), "{last}");
    assert_eq!(bench.audit(), vec![format!("command line from user {uid}: update of web: update done")]);
    bench.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(4), task).await.unwrap().unwrap();
}
