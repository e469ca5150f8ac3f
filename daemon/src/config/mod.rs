//! Reading the settings from the file, the environment and the command line.
//!
//! Owns file access and what is said when a file cannot be read. What the values mean is the core's; the environment is an
//! argument, so that tests need not change their own process.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use dockbeacon_core::settings::Argument;
use dockbeacon_core::settings::{
    self, Explained, Input, Merged, Notice, SettingErrors, Settings, SettingsFile, table,
};
use dockbeacon_core::text::TextError;

/// The file that is read when none is named; it need not exist.
pub const DEFAULT_PATH: &str = "/etc/dockbeacon/config.yaml";

/// What the SD card image sets differently from a machine with other work; weaker than the owner's file, and read only where
/// none is named.
pub const IMAGE_PATH: &str = "/usr/lib/dockbeacon/config.yaml";

/// No file that holds settings or one secret is larger.
const LARGEST: u64 = 1024 * 1024;

/// The settings in force, and everything there is to say about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What the program runs by.
    pub settings: Settings,
    /// Every setting with value, origin and meaning.
    pub explained: Vec<Explained>,
    /// What the owner should know; none of it stops anything.
    pub notices: Vec<Notice>,
    /// Every value with its origin, to compare with after a reload.
    pub merged: Merged,
}

/// Why there are no settings. The command line's exit code for all of these is 3.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named is not there.
    #[error(
        "{path}: there is no such file; correct --config or DOCKBEACON_CONFIG, or create it with `dockbeacon config --default`"
    )]
    Missing {
        /// As it was named.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("{path}: cannot be read ({why}); make it a text file that this user may read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file is not YAML of the form that settings have.
    #[error("{path}:{line}:{column}: {what}; {remedy}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Keys or values are wrong: all of them.
    #[error(transparent)]
    Settings(#[from] SettingErrors),
}

/// Loads the settings. `path` is a file that somebody named and that must exist; `None` means the default one.
///
/// # Errors
/// Why there are none, with place and remedy.
pub fn load(
    path: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    load_with(path, env, Vec::new())
}

/// Loads the settings with options of the command line, which beat everything else.
///
/// # Errors
/// Why there are none, with place and remedy.
pub fn load_with(
    path: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    arguments: Vec<Argument>,
) -> Result<Loaded, ConfigError> {
    let found = match path {
        Some(path) => {
            let path = path.to_owned();
            vec![entries(&path)?.ok_or(ConfigError::Missing { path })?]
        }
        None => [IMAGE_PATH, DEFAULT_PATH]
            .into_iter()
            .filter_map(|path| entries(Path::new(path)).transpose())
            .collect::<Result<_, _>>()?,
    };
    let input = Input { files: found, env: env.into_iter().collect(), arguments, read_file: &read_small };
    let settings::Resolved { settings, merged, notices } = settings::resolve(&input)?;
    Ok(Loaded { settings, explained: settings::explain(&merged), notices, merged })
}

/// The settings whose values differ, for a reload; those with `restart` take effect only after one.
#[must_use]
pub fn changed(old: &Loaded, new: &Loaded) -> Vec<&'static table::Key> {
    settings::changed(&old.merged, &new.merged)
}

/// The file's settings; `None` where there is no file.
fn entries(path: &Path) -> Result<Option<SettingsFile>, ConfigError> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(ConfigError::Unreadable { path: path.to_owned(), why: error.to_string() });
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let entries = settings::flat::read(text).map_err(|TextError { place, what, remedy }| {
        ConfigError::Syntax { path: path.to_owned(), line: place.line, column: place.column, what, remedy }
    })?;
    Ok(Some(SettingsFile { name: path.display().to_string(), entries }))
}

fn read(path: &Path) -> std::io::Result<String> {
    let meta = std::fs::metadata(path)?;
    if meta.len() > LARGEST {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "larger than a megabyte"));
    }
    std::fs::read_to_string(path)
}

/// The text of a small regular file; anything else is no secret's file.
fn read_small(path: &str) -> Option<String> {
    let path = Path::new(path);
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    read(path).ok()
}

#[cfg(test)]
mod tests;
