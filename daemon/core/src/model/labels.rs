//! Labels of containers and images.
//!
//! Owns look-ups and the reading of truth values. Must never know what a label means beyond its name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Key and value, as the engine lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// The value, if the label is there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A truth value: `Ok(None)` when absent, `Err(text)` when it is there but neither true nor false.
    ///
    /// # Errors
    /// The text that could not be read.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, &str> {
        match self.get(key) {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(other) => Err(other),
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// Names of the labels that Docker Compose writes.
pub mod compose {
    /// The project.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service within the project.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// The id of the image that Compose made the container from; `up` recreates when it differs.
    pub const IMAGE: &str = "com.docker.compose.image";
    /// `service:condition:restart`, comma separated.
    pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
    /// `True` on what `compose run` started once.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// The folder of the compose file.
    pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
    /// The compose files, comma separated.
    pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
}
