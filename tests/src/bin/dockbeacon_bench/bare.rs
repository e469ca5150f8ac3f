//! The least that a check can be: the two listings, and a HEAD for each image over one connection.
//!
//! Owns the comparison's other side. Must never do more than a check cannot do without.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use dockbeacon_tests::raw::Raw;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// One check, against the engine on `socket` and the registry at `address`.
pub fn run(socket: &str, ca: &str, address: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(check(socket, ca, address))
}

async fn check(socket: &str, ca: &str, address: &str) -> Result<()> {
    let engine = Raw::new(socket.as_ref(), "1.41");
    let (containers, images) =
        tokio::try_join!(engine.get("/containers/json?all=true"), engine.get("/images/json"))?;
    let mut wanted = BTreeSet::new();
    for container in containers.as_array().into_iter().flatten() {
        let image = container["Image"].as_str().unwrap_or_default();
        if let Some((repository, tag)) =
            image.strip_prefix(address).and_then(|r| r.strip_prefix('/')).and_then(|r| r.rsplit_once(':'))
        {
            wanted.insert((repository.to_owned(), tag.to_owned()));
        }
    }
    let known = images.to_string();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).map_err(|e| anyhow::anyhow!("{ca}: {e}"))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let host = address.split(':').next().unwrap_or_default().to_owned();
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let tls = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(host)?, tcp).await?;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
    tokio::spawn(connection);
    let mut asked = tokio::task::JoinSet::new();
    for (repository, tag) in wanted {
        let request = Request::head(format!("https://{address}/v2/{repository}/manifests/{tag}"))
            .header("accept", ACCEPT)
            .header("user-agent", "bare")
            .body(Empty::<Bytes>::new())?;
        let mut sender = sender.clone();
        asked.spawn(async move { sender.send_request(request).await });
    }
    let mut current = 0;
    while let Some(answer) = asked.join_next().await {
        let answer = answer??;
        if !answer.status().is_success() {
            bail!("the registry says {}", answer.status());
        }
        let digest = answer.headers().get("docker-content-digest").context("no digest")?.to_str()?;
        current += usize::from(known.contains(digest));
    }
    println!("{current} current");
    Ok(())
}
