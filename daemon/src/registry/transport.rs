//! Connections to registries.
//!
//! Owns the HTTP clients and which way of speaking each registry understands. Must never know what is asked or who asks.
//!
//! Each host has a ladder of ways, the best first: HTTP/2 over TLS without asking whether it is spoken (so that all first
//! requests share one connection: TCP, TLS and the requests are three round trips), then HTTP/1.1 over TLS, then, on
//! loopback and for `registry.insecure`, plain HTTP. The first way that brings an answer is remembered.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dockbeacon_core::registry::is_loopback;
use dockbeacon_core::settings::RegistrySettings;
use reqwest::{Client, RequestBuilder, Response};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::watch;
use url::Url;

use super::{RegistryError, SetupError};

/// Patience for a connection, within that for the whole answer.
const CONNECT: Duration = Duration::from_secs(10);
/// An idle connection costs both sides; checks are minutes or hours apart.
const IDLE: Duration = Duration::from_secs(15);

/// Patience for another request's word on a failure that has happened already.
const VERDICT: Duration = Duration::from_secs(2);

/// One way of speaking.
#[derive(Debug, Clone)]
struct Way {
    scheme: &'static str,
    client: Client,
}

/// A kind of host; each has a ladder of its own.
#[derive(Debug, Clone, Copy)]
enum Ladder {
    Normal,
    Loopback,
    Insecure,
}

/// The ways for each kind of host, made when the first of its kind is asked.
#[derive(Debug)]
pub(super) struct Transport {
    own: Vec<CertificateDer<'static>>,
    timeout: Duration,
    insecure_hosts: Vec<String>,
    roots: OnceLock<Arc<RootCertStore>>,
    ladders: [OnceLock<Result<Vec<Way>, SetupError>>; 3],
}

/// What is remembered of one host.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The place on the ladder that brought an answer.
    way: AtomicUsize,
    /// Whether one did. Until then errors may mean that something else is spoken; from then on they mean trouble.
    settled: AtomicBool,
    /// How the last failed connection failed, counted: requests that waited for that same connection are only told that
    /// they are cancelled, and read here why.
    verdict: watch::Sender<(u64, Verdict)>,
}

/// Why a connection failed.
#[derive(Debug, Clone, Default)]
enum Verdict {
    /// Something else is spoken there.
    #[default]
    SpeaksOtherwise,
    /// No other way would help.
    Failed(RegistryError),
}

impl Transport {
    /// Reads the owner's own authorities; the rest waits until somebody is asked.
    pub fn new(settings: &RegistrySettings) -> Result<Self, SetupError> {
        let own = settings.ca_file.as_deref().map(own_authorities).transpose()?.unwrap_or_default();
        Ok(Self {
            own,
            timeout: settings.timeout,
            insecure_hosts: settings.insecure.clone(),
            roots: OnceLock::new(),
            ladders: [const { OnceLock::new() }; 3],
        })
    }

    /// Whether [`Self::prepare`] has anything to do.
    pub fn is_prepared(&self) -> bool {
        self.roots.get().is_some()
    }

    /// Reads what the machine trusts, so that the first request need not wait for it. It takes a while: call it beside
    /// something else.
    pub fn prepare(&self) {
        self.roots();
    }

    fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(self.roots.get_or_init(|| Arc::new(trusted(&self.own))))
    }

    fn ways(&self, host: &str) -> Result<&[Way], RegistryError> {
        let kind = if self.insecure_hosts.iter().any(|h| h == host) {
            Ladder::Insecure
        } else if is_loopback(host) {
            Ladder::Loopback
        } else {
            Ladder::Normal
        };
        self.of_kind(kind, host)
    }

    fn of_kind(&self, kind: Ladder, host: &str) -> Result<&[Way], RegistryError> {
        match self.ladders[kind as usize].get_or_init(|| self.ladder(kind)) {
            Ok(ways) => Ok(ways),
            Err(error) => Err(unexpected(host, error.to_string())),
        }
    }

    fn ladder(&self, kind: Ladder) -> Result<Vec<Way>, SetupError> {
        let checked = !matches!(kind, Ladder::Insecure);
        let mut ways =
            vec![self.way("https", checked, true, kind)?, self.way("https", checked, false, kind)?];
        if !matches!(kind, Ladder::Normal) {
            ways.push(self.way("http", true, false, kind)?);
        }
        Ok(ways)
    }

    fn way(&self, scheme: &'static str, checked: bool, h2: bool, kind: Ladder) -> Result<Way, SetupError> {
        let mut builder = Client::builder()
            .user_agent(concat!("dockbeacon/", env!("CARGO_PKG_VERSION")))
            .timeout(self.timeout)
            .connect_timeout(CONNECT.min(self.timeout))
            .pool_idle_timeout(IDLE)
            .tls_backend_preconfigured(self.tls(checked, if h2 { "h2" } else { "http/1.1" })?);
        builder = if h2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
        if matches!(kind, Ladder::Loopback) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| SetupError::Client(e.to_string()))?;
        Ok(Way { scheme, client })
    }

    fn tls(&self, checked: bool, alpn: &str) -> Result<ClientConfig, SetupError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| SetupError::Client(e.to_string()))?;
        let mut config = if checked {
            builder.with_root_certificates(self.roots()).with_no_client_auth()
        } else {
            let trusting = Arc::new(Trusting(provider));
            builder.dangerous().with_custom_certificate_verifier(trusting).with_no_client_auth()
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Ok(config)
    }

    /// Whether secrets may go to this URL on behalf of `host`: over TLS, or where the owner (or loopback) allows less.
    pub fn may_carry_secrets(&self, host: &str, url: &str) -> bool {
        url.starts_with("https://") || is_loopback(host) || self.insecure_hosts.iter().any(|h| h == host)
    }

    /// Sends to `host`; `path` begins with `/v2/`. The request is made anew for each way tried.
    pub async fn send(
        &self,
        host: &str,
        known: &Known,
        make: impl Fn(&Client, String) -> RequestBuilder,
        path: &str,
    ) -> Result<Response, RegistryError> {
        let ways: Vec<&Way> = self.ways(host)?.iter().collect();
        climb(&ways, host, known, |way| make(&way.client, format!("{}://{host}{path}", way.scheme))).await
    }

    /// Sends to a token service at `url`, over what its scheme says.
    pub async fn send_to(
        &self,
        url: &Url,
        known: &Known,
        make: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let host = authority(url);
        // Plain HTTP is no way of the normal ladder; where a registry names such a service, HTTP/1.1 it is.
        let mut ways: Vec<&Way> = self.ways(&host)?.iter().filter(|w| w.scheme == url.scheme()).collect();
        if ways.is_empty() {
            ways.extend(self.of_kind(Ladder::Normal, &host)?.last());
        }
        climb(&ways, &host, known, |way| make(&way.client)).await
    }
}

/// `host[:port]` of a URL, as registries are written.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Tries the ways from the remembered one on.
async fn climb(
    ways: &[&Way],
    host: &str,
    known: &Known,
    make: impl Fn(&Way) -> RequestBuilder,
) -> Result<Response, RegistryError> {
    let mut at = known.way.load(Ordering::Relaxed).min(ways.len().saturating_sub(1));
    loop {
        let Some(way) = ways.get(at) else { return Err(unexpected(host, "no way of speaking to it")) };
        let mut verdicts = known.verdict.subscribe();
        let seen = verdicts.borrow_and_update().0;
        let error = match make(way).send().await {
            Ok(response) => {
                known.way.store(at, Ordering::Relaxed);
                known.settled.store(true, Ordering::Relaxed);
                return Ok(response);
            }
            Err(error) => error,
        };
        let verdict = if waited_in_vain(&error) {
            match tokio::time::timeout(VERDICT, verdicts.wait_for(|(count, _)| *count > seen)).await {
                Ok(Ok(verdict)) => verdict.1.clone(),
                Ok(Err(_)) | Err(_) => Verdict::Failed(failure(host, &error)),
            }
        } else {
            let verdict = if speaks_otherwise(&error) {
                Verdict::SpeaksOtherwise
            } else {
                Verdict::Failed(failure(host, &error))
            };
            known.verdict.send_modify(|(count, last)| {
                *count += 1;
                *last = verdict.clone();
            });
            verdict
        };
        match verdict {
            Verdict::Failed(why) => return Err(why),
            // Another request found the way while this one was still trying an earlier one.
            Verdict::SpeaksOtherwise
                if known.settled.load(Ordering::Relaxed) && known.way.load(Ordering::Relaxed) > at =>
            {
                at = known.way.load(Ordering::Relaxed).min(ways.len().saturating_sub(1));
            }
            Verdict::SpeaksOtherwise if !known.settled.load(Ordering::Relaxed) && at + 1 < ways.len() => {
                at += 1
            }
            Verdict::SpeaksOtherwise => {
                // It may have been set up anew: the next request starts from the best way.
                known.way.store(0, Ordering::Relaxed);
                known.settled.store(false, Ordering::Relaxed);
                return Err(failure(host, &error));
            }
        }
    }
}

/// Whether this request shared another one's connection attempt, which failed.
fn waited_in_vain(error: &reqwest::Error) -> bool {
    // The HTTP library keeps the type to itself.
    !error.is_timeout()
        && causes(error).last().is_some_and(|cause| cause.to_string() == "request was canceled")
}

/// What the machine trusts, plus the owner's own.
fn trusted(own: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a certificate of the system's store cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    roots.add_parsable_certificates(own.iter().cloned());
    if roots.is_empty() {
        tracing::warn!(
            "no certificate authority is known here, so no registry can be trusted: install ca-certificates"
        );
    }
    roots
}

/// The certificates of the owner's file, each of them good.
fn own_authorities(path: &str) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let bad = |why: String| SetupError::CaFile { path: path.to_owned(), why };
    let file = CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))?;
    let (mut found, mut trial) = (Vec::new(), RootCertStore::empty());
    for certificate in file {
        let certificate = certificate.map_err(|e| bad(e.to_string()))?;
        trial.add(certificate.clone()).map_err(|e| bad(e.to_string()))?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err(bad("there is no certificate in it".to_owned()));
    }
    Ok(found)
}

/// Every cause of an error, the outermost first. An I/O error hides what it wraps from `source`.
fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> Vec<&'a (dyn std::error::Error + 'static)> {
    let mut list = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        list.push(cause);
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        };
    }
    list
}

fn find<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).into_iter().find_map(|cause| cause.downcast_ref::<E>())
}

/// Whether the other side is there but speaks something else than what was tried: only then the next way is worth it.
fn speaks_otherwise(error: &reqwest::Error) -> bool {
    if error.is_timeout() {
        return false;
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return !matches!(tls, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
    }
    match find::<std::io::Error>(error).map(std::io::Error::kind) {
        Some(kind) => {
            matches!(
                kind,
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::BrokenPipe
                    | ErrorKind::InvalidData
            )
        }
        // The HTTP library's own complaint about what it read.
        None => find::<hyper::Error>(error).is_some_and(|e| !e.is_timeout()),
    }
}

fn failure(host: &str, error: &reqwest::Error) -> RegistryError {
    let registry = host.to_owned();
    if let Some(rustls::Error::InvalidCertificate(why)) = find::<rustls::Error>(error) {
        return RegistryError::Tls {
            registry,
            why: format!("its certificate is refused ({why})"),
            remedy: "check the clock; for an authority of your own set registry.ca_file; to skip the check name the host in registry.insecure".to_owned(),
        };
    }
    // The innermost cause says it best.
    let deepest = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let io = find::<std::io::Error>(error).map(std::io::Error::kind);
    let (why, remedy) = if error.is_timeout() {
        ("no answer in time".to_owned(), "check the network, or raise registry.timeout")
    } else if causes(error).iter().any(|c| c.to_string().contains("dns error")) {
        (format!("its name cannot be resolved ({deepest})"), "check the name and the network's DNS")
    } else if io == Some(ErrorKind::ConnectionRefused) {
        ("the connection is refused".to_owned(), "check the address and whether the registry runs")
    } else {
        (deepest, "check the address and the network")
    };
    RegistryError::Unreachable { registry, why, remedy: remedy.to_owned() }
}

pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> RegistryError {
    failure(host, error)
}

pub(super) fn unexpected(host: &str, why: impl Into<String>) -> RegistryError {
    RegistryError::Unexpected { registry: host.to_owned(), why: why.into() }
}

/// Takes any certificate: for hosts that the owner listed in `registry.insecure`, and nobody else.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
