//! The true time from web servers, where no time server answers.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::card::Card;

/// A web server that tells this date, with a certificate of those years; its address, and the file of its authority.
async fn server(
    date: &'static str,
    from: i32,
    to: i32,
    folder: &std::path::Path,
) -> (String, std::path::PathBuf) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_cert = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    let cert = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = format!(
                    "HTTP/1.1 401 Unauthorized\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let file = folder.join("authority.pem");
    std::fs::write(&file, authority_cert.pem()).unwrap();
    (format!("https://localhost:{port}/"), file)
}

/// A card with a network and no time server.
fn connected() -> Card {
    let card = Card::new();
    card.write("proc/net/route", "Iface\tDestination\tGateway\neth0\t00000000\t0102A8C0\n");
    card.write("etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service", "");
    card
}

/// Boots late; systemd is there, and no time server has answered.
async fn boots(card: &Card, address: &str, authority: &std::path::Path) -> (Option<i32>, String) {
    let _ = std::fs::remove_dir_all(card.path("run"));
    card.write("run/systemd/system/here", "");
    let mut command = card.command("late");
    command
        .args(["--patience", "1", "--time-from", address])
        .env("SSL_CERT_FILE", authority)
        .env_remove("HTTPS_PROXY");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn a_web_server_is_believed_when_its_certificate_fits_the_time_that_it_tells() {
    let folder = tempfile::tempdir().unwrap();
    // No clock here says 2044, and neither would that of a Pi without a battery.
    let (address, authority) = server("Sun, 21 Feb 2044 11:25:14 GMT", 2043, 2045, folder.path()).await;
    let card = connected();
    let (code, said) = boots(&card, &address, &authority).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("waits for the true time"), "{said}");
    assert!(said.contains("says it is 2044-02-21 11:25:14 UTC"), "{said}");
    assert!(card.has("run/dockbeacon-firstboot/time-is-true"));
}

#[tokio::test]
async fn one_that_lies_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("Sun, 21 Feb 2044 11:25:14 GMT", 2025, 2027, "its certificate does not fit the time that it tells"),
        ("Sat, 21 Jan 2023 11:25:14 GMT", 2020, 2030, "it tells a time before this image was built"),
        ("noon", 2020, 2030, "it tells no time"),
    ];
    for (date, from, to, why) in cases {
        let (address, authority) = server(date, from, to, folder.path()).await;
        let card = connected();
        let (code, said) = boots(&card, &address, &authority).await;
        // It is tried again by the unit.
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!card.has("run/dockbeacon-firstboot/time-is-true"));
        let (outcome, message) = card.step("late", "network");
        assert!(outcome == "failed" && message.contains("until then nothing is pulled"), "{message}");
    }
    // An authority that nobody knows.
    let (address, _) = server("Sun, 21 Feb 2044 11:25:14 GMT", 2043, 2045, folder.path()).await;
    let other = tempfile::tempdir().unwrap();
    let (_, stranger) = server("noon", 2020, 2030, other.path()).await;
    let (code, said) = boots(&connected(), &address, &stranger).await;
    assert_eq!(code, Some(1), "{said}");
}
