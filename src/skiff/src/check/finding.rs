//! What a check found: an outcome, the finding in words, and the remedy where there is something to mend.

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The remedy lives in the outcome: nothing that is wrong goes without one, and nothing that is right has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Pass,
    /// Skiff runs, but less well, or something may go wrong later.
    Warn {
        remedy: String,
    },
    /// Skiff, or the pods on it, will not run.
    Fail {
        remedy: String,
    },
    /// Could not be told from here; the finding says why.
    Skipped,
}

impl Outcome {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn { .. } => "warn",
            Self::Fail { .. } => "fail",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    pub(super) finding: String,
}

impl Check {
    pub(super) fn pass(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Pass, finding: finding.into() }
    }

    pub(super) fn warn(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warn { remedy: remedy.into() }, finding: finding.into() }
    }

    pub(super) fn fail(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Fail { remedy: remedy.into() }, finding: finding.into() }
    }

    pub(super) fn skipped(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Skipped, finding: finding.into() }
    }

    pub(super) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Fail { .. })
    }

    pub(super) fn remedy(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Warn { remedy } | Outcome::Fail { remedy } => Some(remedy),
            Outcome::Pass | Outcome::Skipped => None,
        }
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut check = serializer.serialize_struct("Check", 4)?;
        check.serialize_field("name", self.name)?;
        check.serialize_field("outcome", self.outcome.word())?;
        check.serialize_field("finding", &self.finding)?;
        check.serialize_field("remedy", &self.remedy())?;
        check.end()
    }
}
