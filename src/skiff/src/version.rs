//! `skiff version`: which build this is.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use crate::output::Output;

/// What a bug report needs to name a build.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    pub(crate) version: &'static str,
    pub(crate) git_commit: &'static str,
    kubernetes_version: &'static str,
    target: &'static str,
    rustc: &'static str,
}

pub(crate) const VERSION: Version = Version {
    version: concat!("v", env!("CARGO_PKG_VERSION")),
    git_commit: env!("SKIFF_COMMIT"),
    kubernetes_version: "v1.37",
    target: env!("SKIFF_TARGET"),
    rustc: env!("SKIFF_RUSTC"),
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.git_commit.get(..12).unwrap_or(self.git_commit);
        writeln!(f, "skiff version {} ({commit})", self.version)?;
        writeln!(f, "kubernetes version {}", self.kubernetes_version)?;
        writeln!(f, "target {}", self.target)?;
        write!(f, "rustc version {}", self.rustc)
    }
}

impl Args {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self.output {
            Output::Text => writeln!(io::stdout(), "{VERSION}")?,
            Output::Json => writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&VERSION)?)?,
        }
        Ok(())
    }
}
