//! The first two stages: from what was written to one value per key, with its origin.
//!
//! Owns precedence: default < the image's file < the owner's file < compatible variables < own variables <
//! command line. Refuses unknown keys of the files and every value of the wrong type, all at once. Must never decide what a
//! combination of values means, except where Watchtower's variables do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::table::{self, Compat, Form, KEYS, Key};
use super::value::{Kind, RawValue, Refused, Value, truth};
use super::{Secret, watchtower};
use crate::window::Schedule;

/// One key with its value, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry {
    /// `schedule.cron`.
    pub key: String,
    /// What stands there.
    pub value: RawValue,
    /// The line of the key, from 1.
    pub line: usize,
}

/// A setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The option as it was typed, `--interval`.
    pub option: String,
    /// The key that it sets.
    pub key: &'static str,
    /// Its text.
    pub text: String,
}

/// A settings file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    /// What it is called in messages.
    pub name: String,
    /// Its keys.
    pub entries: Vec<RawEntry>,
}

/// Everything that settings are made of.
pub struct Input<'a> {
    /// Settings files, the weaker first: the image's, then the owner's.
    pub files: Vec<SettingsFile>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Options of the command line.
    pub arguments: Vec<Argument>,
    /// The text of a small file, if there is a readable one of that path: secrets may be named instead of written.
    pub read_file: &'a dyn Fn(&str) -> Option<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The settings file.
    File {
        /// What it is called.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
    },
    /// The command line.
    Argument {
        /// The option.
        option: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file} line {line}"),
            Self::Env { name } => write!(f, "environment {name}"),
            Self::Argument { option } => write!(f, "option {option}"),
        }
    }
}

/// A value in force and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The value.
    pub value: Value,
    /// Its origin.
    pub origin: Origin,
}

/// Something that the owner should know and that stops nothing: a setting that is not honoured, or a contradiction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// The place, `environment WATCHTOWER_ROLLING_RESTART`.
    pub place: String,
    /// What to know.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}; {remedy}")]
pub struct SettingError {
    /// File and line, or the variable.
    pub place: String,
    /// What is wrong, beginning with the key where there is one.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong with the settings, one per line.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct SettingErrors(pub Vec<SettingError>);

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// One value per key of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// By key.
    pub slots: BTreeMap<&'static str, Slot>,
    /// What was said but not taken.
    pub notices: Vec<Notice>,
}

struct Merging<'a> {
    merged: Merged,
    errors: Vec<SettingError>,
    read_file: &'a dyn Fn(&str) -> Option<String>,
}

/// Merges all sources by precedence.
///
/// # Errors
/// Every unknown key and every value of the wrong type, also where a stronger source overrides it.
pub fn merge(input: &Input<'_>) -> Result<Merged, SettingErrors> {
    let mut m = Merging { merged: Merged::default(), errors: Vec::new(), read_file: input.read_file };
    for key in KEYS {
        m.take(key, &RawValue::Scalar(key.default.to_owned()), Origin::Default);
        m.merged.slots.entry(key.name).or_insert(Slot { value: Value::Unset, origin: Origin::Default });
    }
    for file in &input.files {
        m.file(file);
    }
    for key in KEYS {
        for compat in key.compat {
            m.compatible(key, *compat, &input.env);
        }
    }
    m.polling(&input.env);
    for key in KEYS {
        let name = key.env();
        if let Some(text) = input.env.get(&name) {
            m.take(key, &RawValue::Scalar(text.clone()), Origin::Env { name });
        }
    }
    for Argument { option, key, text } in &input.arguments {
        let Some(key) = table::key(key) else { continue };
        m.take(key, &RawValue::Scalar(text.clone()), Origin::Argument { option: option.clone() });
    }
    m.strangers(&input.env);
    let Merging { merged, errors, .. } = m;
    if errors.is_empty() { Ok(merged) } else { Err(SettingErrors(errors)) }
}

impl Merging<'_> {
    /// Puts a value in force, or notes what is wrong with it. A value that is not set changes nothing.
    fn take(&mut self, key: &'static Key, raw: &RawValue, origin: Origin) {
        match key.kind.read(raw) {
            Ok(Value::Unset) => {}
            Ok(value) => {
                let value = self.indirect(key, value, &origin);
                self.merged.slots.insert(key.name, Slot { value, origin });
            }
            Err(Refused { what, remedy }) => {
                self.errors.push(SettingError {
                    place: origin.to_string(),
                    what: format!("{}: {what}", key.name),
                    remedy,
                });
            }
        }
    }

    /// A secret that names a file is that file's text. Watchtower takes any path, ours must be absolute.
    fn indirect(&mut self, key: &Key, value: Value, origin: &Origin) -> Value {
        let Value::Secret(secret) = &value else { return value };
        let absolute = secret.reveal().starts_with('/');
        let watchtower = matches!(origin, Origin::Env { name } if name.starts_with(watchtower::PREFIX));
        if !absolute && !watchtower {
            return value;
        }
        match (self.read_file)(secret.reveal()) {
            Some(text) => Value::Secret(Secret::new(text.trim().to_owned())),
            None => {
                if absolute {
                    self.notice(
                        origin.to_string(),
                        format!("{} looks like a path, but no file can be read there, so it is taken as the secret itself", key.name),
                    );
                }
                value
            }
        }
    }

    fn file(&mut self, file: &SettingsFile) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for RawEntry { key: name, value, line } in &file.entries {
            let place = format!("{} line {line}", file.name);
            if let Some(first) = seen.insert(name, *line) {
                let what = format!("{name} stands here a second time, after line {first}");
                let remedy = "remove one of them".to_owned();
                self.errors.push(SettingError { place, what, remedy });
                continue;
            }
            match table::key(name) {
                Some(key) => {
                    let origin = Origin::File { file: file.name.clone(), line: *line };
                    self.take(key, value, origin);
                }
                None => {
                    if let Some(error) = unknown(place, name, value) {
                        self.errors.push(error);
                    }
                }
            }
        }
    }

    /// A variable of another program. Empty ones are not set: compose files write `${X:-}`.
    fn compatible(&mut self, key: &'static Key, compat: Compat, env: &BTreeMap<String, String>) {
        let Some(text) = env.get(compat.name).filter(|t| !t.trim().is_empty()) else { return };
        let origin = Origin::Env { name: compat.name.to_owned() };
        match compat.form {
            Form::Same => self.take(key, &RawValue::Scalar(text.clone()), origin),
            Form::Lenient => match key.kind.read(&RawValue::Scalar(text.clone())) {
                Ok(_) => self.take(key, &RawValue::Scalar(text.clone()), origin),
                Err(Refused { what, remedy }) => {
                    self.notice(origin.to_string(), format!("{what}, so it is not used; {remedy}"));
                }
            },
            Form::Means(meaning) => match truth(text) {
                Some(true) => self.take(key, &RawValue::Scalar(meaning.to_owned()), origin),
                Some(false) => {}
                None => self.errors.push(SettingError {
                    place: origin.to_string(),
                    what: format!("{text:?} is not a truth value"),
                    remedy: Kind::Flag.remedy().to_owned(),
                }),
            },
        }
    }

    /// Watchtower's update API turns polling off unless told to keep it; our own settings still win.
    fn polling(&mut self, env: &BTreeMap<String, String>) {
        let yes = |name: &str| env.get(name).and_then(|t| truth(t)) == Some(true);
        let keep = env.get(watchtower::PERIODIC_POLLS).map(|t| t.trim()).filter(|t| !t.is_empty());
        if let Some(text) = keep
            && truth(text).is_none()
        {
            self.errors.push(SettingError {
                place: format!("environment {}", watchtower::PERIODIC_POLLS),
                what: format!("{text:?} is not a truth value"),
                remedy: Kind::Flag.remedy().to_owned(),
            });
        }
        if !yes(watchtower::UPDATE_API) || yes(watchtower::PERIODIC_POLLS) {
            return;
        }
        let origin = Origin::Env { name: watchtower::UPDATE_API.to_owned() };
        self.notice(
            origin.to_string(),
            format!(
                "turns looking on a schedule off, as in Watchtower; set {}=true to keep it",
                watchtower::PERIODIC_POLLS
            ),
        );
        let never = Slot { value: Value::Schedule(Schedule::Never), origin: origin.clone() };
        self.merged.slots.insert("schedule.interval", never);
        self.merged.slots.insert("schedule.cron", Slot { value: Value::Unset, origin });
    }

    /// Says what of the environment is not understood or not honoured.
    fn strangers(&mut self, env: &BTreeMap<String, String>) {
        let own: BTreeSet<String> = KEYS.iter().map(Key::env).collect();
        for (name, text) in env {
            let place = format!("environment {name}");
            if name.starts_with(table::PREFIX) {
                if own.contains(name) || table::NOT_SETTINGS.contains(&name.as_str()) {
                    continue;
                }
                let near = table::nearest(name, own.iter().map(String::as_str));
                self.notice(place, format!("is not a setting and changes nothing{}", did_you_mean(near)));
            } else if let Some(said) = watchtower::unhonoured(name, text) {
                self.notice(place, said);
            }
        }
    }

    fn notice(&mut self, place: String, text: String) {
        self.merged.notices.push(Notice { place, text });
    }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|n| format!("; did you mean {n}?")).unwrap_or_default()
}

/// An entry that is no key. The name of a section without anything in it is fine.
fn unknown(place: String, name: &str, value: &RawValue) -> Option<SettingError> {
    let prefix = format!("{name}.");
    let inside: Vec<&str> = KEYS.iter().filter_map(|k| k.name.strip_prefix(&prefix)).collect();
    if !inside.is_empty() {
        return (*value != RawValue::Empty).then(|| SettingError {
            place,
            what: format!("{name} is a section and has no value of its own"),
            remedy: format!("write its settings indented below it: {}", inside.join(", ")),
        });
    }
    let remedy = match table::nearest(name, KEYS.iter().map(|k| k.name)) {
        Some(near) => format!("did you mean {near}?"),
        None => "`dockbeacon config --default` lists all settings".to_owned(),
    };
    Some(SettingError { place, what: format!("{name} is not a setting"), remedy })
}

/// Keys whose values differ, in the order of the table.
#[must_use]
pub fn changed(old: &Merged, new: &Merged) -> Vec<&'static Key> {
    let value = |m: &Merged, name: &str| m.slots.get(name).map(|s| s.value.clone());
    KEYS.iter().filter(|k| value(old, k.name) != value(new, k.name)).collect()
}
