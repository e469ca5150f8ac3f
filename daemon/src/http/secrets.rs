//! Making, hashing and comparing secrets.
//!
//! Owns every comparison of a secret, in constant time, and the one place that hashes passwords. Must never log or
//! return a secret that it did not just make.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dockbeacon_core::auth::{code_from, normalise_code};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::HttpError;
use crate::owner::Owner;
use crate::ports::Records;

/// SHA-256 in hexadecimal: enough for secrets that are random themselves.
#[must_use]
pub fn hash(secret: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(secret.as_bytes()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether two hashes are the same, without telling by time how much of them is.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// So many random bytes from the kernel.
///
/// # Errors
/// When the kernel has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], HttpError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| HttpError::Unavailable(format!("the kernel gives no random numbers: {error}")))?;
    Ok(bytes)
}

/// A new secret of 256 bits after a prefix that tells what it is.
///
/// # Errors
/// As [`random`].
pub fn secret(prefix: &str) -> Result<String, HttpError> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

/// On a device without owner: makes a new claim code, keeps its hash and returns the code to be printed. An earlier one
/// is void from then on. `None` once claimed.
///
/// # Errors
/// When the store or the kernel's random numbers fail.
pub fn new_claim_code(records: &dyn Records) -> Result<Option<String>, HttpError> {
    if records.password()?.is_some() {
        return Ok(None);
    }
    let code = code_from(random()?);
    records.set_claim_code(Some(&hash(&normalise_code(&code))))?;
    Ok(Some(code))
}

/// At the start: the claim code of a device without owner. The one that first boot has shown already is kept, so that what
/// stands on the console stays true; the files of `owner` are made to agree.
///
/// # Errors
/// As [`new_claim_code`].
pub fn claim_code_at_start(records: &dyn Records, owner: &Owner) -> Result<Option<String>, HttpError> {
    let code = match (records.password()?, owner.offered()) {
        (Some(_), _) => None,
        (None, Some(shown)) => {
            records.set_claim_code(Some(&hash(&normalise_code(&shown))))?;
            Some(shown)
        }
        (None, None) => new_claim_code(records)?,
    };
    tell_owner(owner, code.as_deref());
    Ok(code)
}

/// Makes the files that first boot's units read agree with the store. Where they cannot be written, claiming works all the
/// same, and the console is late.
pub fn tell_owner(owner: &Owner, code: Option<&str>) {
    let told = match code {
        Some(code) => owner.offer(code),
        None => owner.claimed(),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "console and boot partition cannot be told of the claim code");
    }
}

fn argon() -> Argon2<'static> {
    // 19 MiB, two passes, one lane: OWASP's figures, bearable on a Pi Zero 2 as long as only one runs at a time.
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The password as an argon2id PHC string. Takes up to a second on a small Pi; callers hold the hashing permit.
///
/// # Errors
/// When memory or random numbers run out.
pub async fn hash_password(password: String) -> Result<String, HttpError> {
    let salt = random::<16>()?;
    let work = move || argon().hash_password_with_salt(password.as_bytes(), &salt).map(|phc| phc.to_string());
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(phc)) => Ok(phc),
        Ok(Err(error)) => Err(HttpError::Unavailable(format!("the password could not be hashed: {error}"))),
        Err(error) => Err(HttpError::Unavailable(format!("hashing the password was broken off: {error}"))),
    }
}

/// Whether the password fits the PHC string. As slow as [`hash_password`].
///
/// # Errors
/// When the stored string is damaged.
pub async fn fits(password: String, phc: String) -> Result<bool, HttpError> {
    let work = move || {
        let parsed =
            PasswordHash::new(&phc).map_err(|error| format!("the stored password is damaged: {error}"))?;
        Ok::<_, String>(argon().verify_password(password.as_bytes(), &parsed).is_ok())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer.map_err(HttpError::Store),
        Err(error) => Err(HttpError::Unavailable(format!("checking the password was broken off: {error}"))),
    }
}
