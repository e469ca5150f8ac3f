//! The true time, where no time server answers.
//!
//! Owns asking web servers over TLS for the time. Their certificates cannot be checked against a clock that is wrong, so each is
//! checked against the very time that its owner tells: who lies needs a certificate that was valid then. Must never believe an
//! answer that is earlier than the clock's floor.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dockbeacon_core::provision::time::{self, from_http_date};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::card::Card;
use super::floor;
use crate::clock::{self, believable};

/// Who is asked: those that the device talks to anyway.
const ASKED: [&str; 3] =
    ["https://registry-1.docker.io/v2/", "https://ghcr.io/v2/", "https://deb.debian.org/"];
/// Patience for one answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether the time is believed.
pub fn known(card: &Card) -> bool {
    believable(clock::now().civil.timestamp(), clock::observe(card.root()))
}

/// Asks for the time and sets the clock.
pub async fn ask(card: &Card, others: &[String]) -> Result<String> {
    let own: Vec<&str> = others.iter().map(String::as_str).collect();
    let asked: &[&str] = if own.is_empty() { &ASKED } else { &own };
    let mut why = Vec::new();
    for address in asked {
        match answer(address).await {
            Ok(at) => match accept(card, at) {
                Ok(()) => {
                    return Ok(format!(
                        "no time server answers; {address} says it is {}",
                        floor::readable(at)
                    ));
                }
                Err(error) => why.push(format!("{address}: {error:#}")),
            },
            Err(error) => why.push(format!("{address}: {error:#}")),
        }
    }
    bail!("{}", why.join("; "))
}

fn accept(card: &Card, at: i64) -> Result<()> {
    let floor = time::floor(card.text(time::BUILD_TIME).as_deref(), None);
    ensure!(time::behind(at, floor).is_none(), "it tells a time before this image was built");
    floor::set(card, at)?;
    card.write(clock::TOLD, b"", 0o644, None)
}

/// The time that a server tells, its certificate checked against that time.
async fn answer(address: &str) -> Result<i64> {
    let seen = Arc::new(Later {
        seen: Mutex::new(None),
        provider: Arc::new(rustls::crypto::ring::default_provider()),
    });
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    // A resumed session would show no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .https_only(true)
        .timeout(PATIENCE)
        .build()
        .context("preparing to ask")?;
    let response = client.head(address).send().await.map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        anyhow::anyhow!("{text}")
    })?;
    let date = response.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    let at = date.and_then(from_http_date).context("it tells no time")?;
    seen.check(at)?;
    Ok(at)
}

/// Keeps the certificates of the handshake to be checked once the time is told.
#[derive(Debug)]
struct Later {
    seen: Mutex<Option<Seen>>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Seen {
    end: CertificateDer<'static>,
    between: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
}

impl Later {
    fn check(&self, at: i64) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref().context("it showed no certificate")?;
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at)?));
        verifier
            .verify_server_cert(&seen.end, &seen.between, &seen.name, &[], at)
            .map(drop)
            .context("its certificate does not fit the time that it tells")
    }
}

impl ServerCertVerifier for Later {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let seen = Seen {
            end: end.clone().into_owned(),
            between: between.iter().map(|one| one.clone().into_owned()).collect(),
            name: name.to_owned(),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
