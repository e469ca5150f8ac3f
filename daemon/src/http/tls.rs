//! The certificate under which the page is served.
//!
//! Owns the folder `tls` in the state folder, the certificate that the daemon signs itself there, and the reading of one
//! that the owner brings. Must never show a key, and never leave the page without TLS because the owner's files are bad.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use dockbeacon_core::settings::HttpSettings;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

/// A certificate, ready to serve.
#[derive(Clone)]
pub struct Identity {
    /// SHA-256 of the certificate as `AB:CD:…`, which is what browsers show.
    pub fingerprint: String,
    /// Why the owner's own certificate is not the one in use.
    pub notice: Option<String>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Identity {
    /// The owner's certificate where one is set and good, else our own, which is made at the first time. `host` is this
    /// machine's name without a domain.
    ///
    /// # Errors
    /// When our own can neither be read nor made.
    pub fn open(state_dir: &Path, settings: &HttpSettings, host: &str) -> Result<Self> {
        let mut notice = None;
        if let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) {
            match read(Path::new(certificate), Path::new(key)) {
                Ok(identity) => return Ok(identity),
                Err(error) => {
                    notice = Some(format!(
                        "http.tls-certificate and http.tls-key are not used, a self-signed certificate is: {error:#}"
                    ));
                }
            }
        }
        let mut own = open_own(state_dir, host)?;
        own.notice = notice;
        Ok(own)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

/// Our own certificate, made where it is not there or cannot be read.
fn open_own(state_dir: &Path, host: &str) -> Result<Identity> {
    let folder = state_dir.join("tls");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let unread = match read(&certificate, &key) {
        Ok(identity) => return Ok(identity),
        Err(error) => error,
    };
    if certificate.exists() {
        tracing::warn!(error = %format!("{unread:#}"), "the certificate cannot be read; a new one is made, with another fingerprint");
    }
    make(&folder, &certificate, &key, host)
        .with_context(|| format!("making a certificate in {}", folder.display()))?;
    read(&certificate, &key)
}

fn make(folder: &Path, certificate: &Path, key: &Path, host: &str) -> Result<()> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !host.is_empty() && host != "localhost" {
        names.extend([host.to_owned(), format!("{host}.local")]);
    }
    let mut params = CertificateParams::new(names).context("the names in it")?;
    params.distinguished_name.push(DnType::CommonName, if host.is_empty() { "dockbeacon" } else { host });
    // A device without a battery clock may think that it is years ago, and nobody is there to renew it. What a person
    // compares is the fingerprint.
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pair = KeyPair::generate().context("its key")?;
    let signed = params.self_signed(&pair).context("signing it")?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The key first: without its certificate it is replaced at the next start, and a certificate is never without its key.
    write(key, &pair.serialize_pem())?;
    write(certificate, &signed.pem())?;
    // A rename is only there after a power cut when its folder has been written.
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Writes beside it, syncs and renames, so that after a power cut there is all of it or none.
fn write(path: &Path, text: &str) -> Result<()> {
    let beside: PathBuf = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(())
}

fn read(certificate: &Path, key: &Path) -> Result<Identity> {
    let pem = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let chain = CertificateDer::pem_slice_iter(&pem(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow!("{}: {error}", certificate.display()))?;
    ensure!(!chain.is_empty(), "{}: there is no certificate in PEM form in it", certificate.display());
    let secret = PrivateKeyDer::from_pem_slice(&pem(key)?)
        .map_err(|error| anyhow!("{}: no usable private key in PEM form: {error}", key.display()))?;
    let fingerprint = fingerprint(&chain[0]);
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {} do not fit together", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { fingerprint, notice: None, acceptor: TlsAcceptor::from(Arc::new(config)) })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes: Vec<String> =
        Sha256::digest(certificate.as_ref()).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn settings(own: Option<(&Path, &Path)>) -> HttpSettings {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        HttpSettings {
            enabled: true,
            listen: ([127, 0, 0, 1], 3625).into(),
            allowed_hosts: Vec::new(),
            token: None,
            update_api: false,
            plain: dockbeacon_core::auth::Plain::Explain,
            tls_certificate: own.map(|(certificate, _)| text(certificate)),
            tls_key: own.map(|(_, key)| text(key)),
        }
    }

    #[test]
    fn the_same_certificate_comes_back_and_a_broken_one_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let first = Identity::open(place.path(), &settings(None), "beacon").unwrap();
        let again = Identity::open(place.path(), &settings(None), "other").unwrap();
        assert_eq!(first.fingerprint, again.fingerprint);
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        let key = place.path().join("tls/key.pem");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        // As after a power cut between the two files.
        std::fs::remove_file(place.path().join("tls/certificate.pem")).unwrap();
        let third = Identity::open(place.path(), &settings(None), "beacon").unwrap();
        assert_ne!(first.fingerprint, third.fingerprint);
    }

    #[test]
    fn the_owners_certificate_wins_and_a_bad_one_is_told() {
        let (own, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = Identity::open(own.path(), &settings(None), "theirs").unwrap();
        let (certificate, key) = (own.path().join("tls/certificate.pem"), own.path().join("tls/key.pem"));
        let used = Identity::open(place.path(), &settings(Some((&certificate, &key))), "beacon").unwrap();
        assert_eq!((used.fingerprint, used.notice), (theirs.fingerprint.clone(), None));
        for bad in ["", "no pem at all"] {
            std::fs::write(&certificate, bad).unwrap();
            let used = Identity::open(place.path(), &settings(Some((&certificate, &key))), "beacon").unwrap();
            assert_ne!(used.fingerprint, theirs.fingerprint);
            assert!(used.notice.unwrap().contains("certificate.pem"), "{bad}");
        }
    }
}
