//! What an owner asked for, whichever file said it.
//!
//! Owns the one type that all formats are read into, already checked. Must never hold a value that was not validated.

use std::ops::Range;

use super::Problem;
use crate::settings::{RawEntry, Secret};

/// Everything that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Customisation {
    /// The host name.
    pub host_name: Option<String>,
    /// People with an account.
    pub users: Vec<User>,
    /// Whether the SSH server runs; `None` where nobody said so and no account needs it.
    pub ssh: Option<bool>,
    /// Whether it takes passwords.
    pub ssh_passwords: Option<bool>,
    /// Wireless networks.
    pub wifi: Vec<Wifi>,
    /// The country whose radio rules hold, two capital letters.
    pub country: Option<String>,
    /// A fixed address of the wired network.
    pub wired: Option<Wired>,
    /// `Europe/Berlin`.
    pub time_zone: Option<String>,
    /// The keyboard at the console.
    pub keyboard: Option<Keyboard>,
    /// Servers to ask for the time.
    pub time_servers: Vec<String>,
    /// How the world is reached.
    pub proxy: Proxy,
    /// Mirrors of Docker Hub.
    pub mirrors: Vec<String>,
    /// Dockbeacon's own settings, with the lines of the file.
    pub settings: Vec<RawEntry>,
    /// What was understood and passed over.
    pub notices: Vec<Problem>,
    /// Where secrets stand.
    pub secrets: Vec<SecretPlace>,
}

/// A secret in a file, to be overwritten after use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    /// The file's name on the boot partition.
    pub file: String,
    /// Its bytes, quotes excluded.
    pub bytes: Range<usize>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password; without one nobody logs in by password.
    pub password: Option<Password>,
    /// Public keys for SSH.
    pub keys: Vec<String>,
    /// Groups besides its own.
    pub groups: Vec<String>,
    /// May become root.
    pub sudo: Sudo,
}

/// Whether an account may become root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sudo {
    /// No.
    #[default]
    No,
    /// With its password.
    WithPassword,
    /// At any time.
    Free,
}

/// A password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// As it is typed.
    Plain(Secret),
    /// As `crypt` made it, `$6$…`.
    Hashed(Secret),
    /// It was overwritten after an earlier use: the account keeps the one that it has.
    Used,
}

/// A wireless network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// The file and line that named it, for when it is not reached.
    pub line: usize,
    /// Its name, as bytes: it need not be text.
    pub ssid: Vec<u8>,
    /// How it is protected.
    pub key: WifiKey,
    /// It does not tell its name.
    pub hidden: bool,
}

/// How a wireless network is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WifiKey {
    /// Not at all.
    Open,
    /// Not by a password, but against listeners (Enhanced Open).
    Owe,
    /// A password or its hash of 64 digits: WPA2, and WPA3 where both sides can.
    Psk(Secret),
    /// A password, WPA3 only.
    Sae(Secret),
    /// It was overwritten after an earlier use: the connection stays as it is.
    Used,
}

/// A fixed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wired {
    /// With the length of its prefix, `192.168.1.50/24`.
    pub address: String,
    /// The way out.
    pub gateway: Option<String>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// A keyboard in X's words, which the console understands too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyboard {
    /// `pc105`.
    pub model: String,
    /// `de`.
    pub layout: String,
    /// `nodeadkeys`.
    pub variant: String,
    /// `ctrl:nocaps`.
    pub options: String,
}

/// Proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For HTTP.
    pub http: Option<Secret>,
    /// For HTTPS.
    pub https: Option<Secret>,
    /// Hosts that are reached without one.
    pub none: Vec<String>,
}

impl Proxy {
    /// Whether there is any.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.http.is_some() || self.https.is_some()
    }
}
