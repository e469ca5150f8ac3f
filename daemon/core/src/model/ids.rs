//! Identifiers as the engine and the registries write them.
//!
//! Owns their checks and short forms. Must never be built around the check: an unchecked string is a `String`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong with an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {why}")]
pub struct IdError {
    /// The text that was refused.
    pub text: String,
    /// What it should have been.
    pub kind: &'static str,
    /// Why it is not.
    pub why: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses and checks.
            ///
            /// # Errors
            /// When the text is not of this kind's form.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(why) => Err(IdError { text, kind: $kind, why }),
                }
            }

            /// The whole text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id!(
    /// The name of a host: `local`, or the name that the owner gave a remote one.
    HostId,
    "host name",
    |t| if t.is_empty() { Err("it is empty") } else { Ok(()) }
);

text_id!(
    /// A container's name without the leading slash, by the engine's rule `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    ContainerName,
    "container name",
    |t| {
        let mut chars = t.chars();
        match chars.next() {
            None => Err("it is empty"),
            Some(c) if !c.is_ascii_alphanumeric() => Err("it starts with neither a letter nor a digit"),
            Some(_) if chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) => Ok(()),
            Some(_) => Err("it has a character other than letters, digits, `_`, `.` and `-`"),
        }
    }
);

text_id!(
    /// A container's id as the engine gives it: 64 hexadecimal digits (not enforced, models use shorter ones).
    ContainerId,
    "container id",
    |t| if t.is_empty() { Err("it is empty") } else { Ok(()) }
);

text_id!(
    /// An image's id as its engine defines it, `sha256:…`: the configuration's digest with the graph-driver store, the
    /// manifest's or index's with containerd's. Never comparable with a registry's digest.
    ImageId,
    "image id",
    |t| if t.is_empty() { Err("it is empty") } else { Ok(()) }
);

text_id!(
    /// A registry's digest, `algorithm:hex`.
    Digest,
    "digest",
    |t| match t.split_once(':') {
        Some((algorithm, hex))
            if !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            Ok(())
        }
        _ => Err("it is not `algorithm:hexadecimal`"),
    }
);

text_id!(
    /// The mark of one transaction: eight lower-case hexadecimal digits or more. It is part of container names.
    TxId,
    "transaction id",
    |t| if t.len() >= 4 && t.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err("it is not lower-case hexadecimal")
    }
);

fn short(text: &str) -> &str {
    let hex = text.split_once(':').map_or(text, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

impl ContainerId {
    /// The first twelve digits, as `docker ps` shows them.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.0)
    }
}

impl ImageId {
    /// The first twelve digits, as `docker images` shows them.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.0)
    }
}

impl Digest {
    /// The first twelve digits.
    #[must_use]
    pub fn short(&self) -> &str {
        short(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_engine() {
        for good in ["web", "a", "A1_.-x", "web.dockbeacon-1a2b3c4d.new"] {
            assert!(ContainerName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a/b", "a b", "ä"] {
            assert!(ContainerName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_are_checked_and_shortened() {
        let digest = Digest::new(format!("sha256:{}", "ab".repeat(32)));
        assert_eq!(digest.map(|d| d.short().to_owned()), Ok("abababababab".to_owned()));
        assert!(Digest::new("sha256:xyz").is_err());
    }
}
