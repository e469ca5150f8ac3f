//! What can go wrong between Dockbeacon and a registry.
//!
//! Owns the messages, each with what, where and what to do. Must never carry a secret.

use chrono::{DateTime, Utc};

/// A registry could not be asked, or its answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection, no answer in time, or a broken one.
    #[error("{registry} does not answer: {why}; {remedy}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What was seen.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The certificate is not trusted.
    #[error("{registry} cannot be trusted: {why}; {remedy}")]
    Tls {
        /// The registry.
        registry: String,
        /// What is wrong with the certificate.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// Not known there, or not allowed to read.
    #[error(
        "{registry} does not let us read {repository}: {why}; `docker login {registry}` as the user whose config.json dockbeacon reads, or check the name"
    )]
    Unauthorized {
        /// The registry.
        registry: String,
        /// What was asked for.
        repository: String,
        /// `no credentials for it`, `it refuses the credentials of config.json`.
        why: String,
    },
    /// No such repository or tag.
    #[error("{registry} has no {image}: check the name, or whether the tag was removed")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was asked for, `library/redis:7`.
        image: String,
    },
    /// The registry wants to be left alone for a while. It is until then, whoever asks.
    #[error("{registry} limits how often it may be asked; it is asked again after {}. `docker login {registry}` often raises the limit", until.format("%Y-%m-%d %H:%M:%S UTC"))]
    RateLimited {
        /// The registry.
        registry: String,
        /// Civil time.
        until: DateTime<Utc>,
    },
    /// The registry is in trouble itself.
    #[error("{registry} has trouble of its own (status {status}); the next check tries again")]
    Server {
        /// The registry.
        registry: String,
        /// HTTP status.
        status: u16,
    },
    /// An answer that makes no sense.
    #[error("{registry} gave an answer that makes no sense: {why}; is it a container registry?")]
    Unexpected {
        /// The registry.
        registry: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The adapter cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The file with additional authorities.
    #[error(
        "registry.ca_file {path}: {why}; give the path of a PEM file with certificates that this user may read"
    )]
    CaFile {
        /// The path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be made: {0}; this is a bug, please report it")]
    Client(String),
}
