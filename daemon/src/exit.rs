//! Exit codes, in one place.
//!
//! Owns their numbers, their meaning and which of two is the worse. Must never end the process itself.

use crate::handles::Refusal;
use crate::lock::LockError;
use crate::store::StoreError;

/// How a command ended.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done |
/// | 1 | something failed, services as they were |
/// | 2 | wrong usage |
/// | 3 | settings invalid |
/// | 4 | engine out of reach |
/// | 5 | an update was rolled back |
/// | 6 | a service is not as it was |
/// | 7 | busy, or no access to the daemon |
/// | 10 | there are candidates (`check` and `plan` with `--exit-code`) |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitCode {
    // In order of badness, which is not that of the numbers: 7 and 10 change nothing and say nothing of a service.
    /// All done.
    #[default]
    Done,
    /// All done, and there are candidates.
    Candidates,
    /// Busy, or no access to the daemon.
    Busy,
    /// Something failed; services are as they were.
    Failed,
    /// Wrong usage.
    Usage,
    /// The settings are invalid.
    Settings,
    /// The engine is out of reach.
    EngineAway,
    /// An update was rolled back.
    RolledBack,
    /// A service is not as it was.
    NotAsItWas,
}

impl ExitCode {
    /// All of them, from the best to the worst.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Candidates,
        Self::Busy,
        Self::Failed,
        Self::Usage,
        Self::Settings,
        Self::EngineAway,
        Self::RolledBack,
        Self::NotAsItWas,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Settings => 3,
            Self::EngineAway => 4,
            Self::RolledBack => 5,
            Self::NotAsItWas => 6,
            Self::Busy => 7,
            Self::Candidates => 10,
        }
    }

    /// The meaning, as the help prints it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "something failed, services as they were",
            Self::Usage => "wrong usage",
            Self::Settings => "settings invalid",
            Self::EngineAway => "engine out of reach",
            Self::RolledBack => "an update was rolled back",
            Self::NotAsItWas => "a service is not as it was",
            Self::Busy => "busy, or no access to the daemon",
            Self::Candidates => "there are candidates (with --exit-code)",
        }
    }

    /// The worst of them; done where there are none.
    #[must_use]
    pub fn worst(codes: impl IntoIterator<Item = Self>) -> Self {
        codes.into_iter().max().unwrap_or_default()
    }

    /// From a number that another process gave; what is not ours counts as a failure.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|c| c.code() == code).unwrap_or(Self::Failed)
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code.code()
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

impl From<&LockError> for ExitCode {
    fn from(error: &LockError) -> Self {
        match error {
            LockError::Held { .. } | LockError::NoPermission { .. } => Self::Busy,
            LockError::ReadOnly { .. }
            | LockError::NotADirectory { .. }
            | LockError::Full { .. }
            | LockError::Io { .. } => Self::Failed,
        }
    }
}

impl From<&StoreError> for ExitCode {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Locked { .. } | StoreError::NoPermission { .. } => Self::Busy,
            StoreError::Full { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Damaged { .. }
            | StoreError::Newer { .. }
            | StoreError::Other { .. } => Self::Failed,
        }
    }
}

impl From<&Refusal> for ExitCode {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Busy(_) | Refusal::Stopping => Self::Busy,
            Refusal::EngineAway(_) => Self::EngineAway,
            Refusal::NotFound(_) | Refusal::Conflict(_) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins() {
        use ExitCode::{Busy, Candidates, Done, Failed, NotAsItWas, RolledBack};
        let table = [
            (vec![], Done),
            (vec![Done, Candidates], Candidates),
            (vec![Failed, RolledBack, Done], RolledBack),
            (vec![NotAsItWas, Busy], NotAsItWas),
            (vec![Busy, Failed], Failed),
        ];
        for (codes, expected) in table {
            assert_eq!(ExitCode::worst(codes.clone()), expected, "{codes:?}");
        }
    }

    #[test]
    fn all_are_listed_in_order_and_each_number_comes_back() {
        assert!(ExitCode::ALL.is_sorted());
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_code(code.code()), code);
        }
        assert_eq!(ExitCode::from_code(99), ExitCode::Failed);
    }
}
