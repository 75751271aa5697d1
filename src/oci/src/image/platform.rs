//! Which of an image's variants this machine runs.

use serde::{Deserialize, Serialize};

/// In the words of `GOOS` and `GOARCH`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

/// Architectures and variants, the best first.
pub(crate) type Preferences = [(&'static str, &'static str)];

/// What this build's processor runs. 32-bit programs are better than none, on 64-bit boards too.
pub(crate) const HERE: &Preferences = if cfg!(target_arch = "x86_64") {
    &[("amd64", ""), ("386", "")]
} else if cfg!(target_arch = "aarch64") {
    &[("arm64", ""), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")]
} else {
    &[("arm", "v7"), ("arm", "v6"), ("arm", "v5")]
};

impl Platform {
    /// 0 is best; `None`: does not run.
    pub(crate) fn rank(&self, preferences: &Preferences) -> Option<usize> {
        let (architecture, variant) = self.normal();
        let fits = |(a, v): &(&str, &str)| *a == architecture && *v == variant;
        (self.os == "linux").then(|| preferences.iter().position(fits)).flatten()
    }

    /// The same platform has several names.
    fn normal(&self) -> (&str, &str) {
        let variant = self.variant.as_deref().unwrap_or_default();
        match (self.architecture.as_str(), variant) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", ""),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            ("i386", _) => ("386", ""),
            other => other,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// The machine's own, for messages.
pub(crate) fn here() -> Platform {
    let (architecture, variant) = HERE[0];
    let variant = (!variant.is_empty()).then(|| variant.to_owned());
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(architecture: &str, variant: &str) -> Platform {
        let variant = (!variant.is_empty()).then(|| variant.to_owned());
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant }
    }

    #[test]
    fn older_variants_run_and_newer_ones_do_not() {
        let board: &Preferences = &[("arm", "v7"), ("arm", "v6"), ("arm", "v5")];
        let rank = |architecture, variant| platform(architecture, variant).rank(board);
        assert_eq!(
            [rank("arm", ""), rank("arm", "v7"), rank("arm", "v6"), rank("armel", "")],
            [Some(0), Some(0), Some(1), Some(1)]
        );
        assert_eq!([rank("arm", "v8"), rank("arm64", "v8"), rank("amd64", "")], [None; 3]);
    }

    #[test]
    fn other_systems_and_processors_do_not_run() {
        let windows = Platform { os: "windows".to_owned(), ..here() };
        assert_eq!(windows.rank(HERE), None);
        assert_eq!(platform("amd64", "v3").rank(&[("amd64", "")]), None);
        assert_eq!(here().rank(HERE), Some(0));
    }
}
