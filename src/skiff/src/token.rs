//! `skiff token`: what a machine joins this server's cluster with.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use pki::file;
use pki::token::Token;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the server keeps its data
    #[arg(short, long, default_value = "/var/lib/skiff", value_name = "PATH")]
    data_dir: PathBuf,
}

/// Where a server keeps its join token, below its data: the same place as on k3s.
pub(crate) const TOKEN_FILE: &str = "server/node-token";

impl Args {
    /// Prints the token alone, so that it can be piped to where it is needed.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let path = self.data_dir.join(TOKEN_FILE);
        let text = file::read(&path).with_context(|| format!("read {}", path.display()))?;
        let Some(text) = text else {
            bail!(
                "{} is not there: `skiff server` makes it at its first start, on the server's machine",
                path.display()
            )
        };
        let token = Token::parse(&text).with_context(|| format!("read {}", path.display()))?;
        writeln!(io::stdout(), "{token}").context("print the token")
    }
}
