//! The command, the brief form of it at start, and which checks there are.

use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::features;
use super::finding::{Check, Outcome};
use super::report;
use super::root::Root;
use super::{
    cgroups, clock, descriptors, disk, firewall, forwarding, inotify, kernel, links, nftables, overlay,
    ports, pressure, seccomp, swap, users,
};
use crate::exit::Exit;
use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that skiff will keep its state and images in
    #[arg(long, short = 'd', default_value = "/var/lib/skiff")]
    data_dir: PathBuf,
    /// The port that the API server will listen on
    #[arg(long, default_value_t = 6443)]
    https_listen_port: u16,
    /// The addresses that DNS will answer on
    #[arg(long, value_delimiter = ',', default_value = "10.43.0.10")]
    cluster_dns: Vec<IpAddr>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// What of skiff's configuration the machine has to bear.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    /// None on a machine that is only an agent.
    pub(crate) https_listen_port: Option<u16>,
    pub(crate) cluster_dns: Vec<IpAddr>,
}

impl From<&Args> for Settings {
    fn from(args: &Args) -> Self {
        Self {
            data_dir: args.data_dir.clone(),
            https_listen_port: Some(args.https_listen_port),
            cluster_dns: args.cluster_dns.clone(),
        }
    }
}

/// `skiff check-config`: prints all checks, and fails if one does.
pub(crate) fn run(args: &Args) -> ExitCode {
    let root = Root::new("/");
    let settings = Settings::from(args);
    let features = features::Facts::read(&root);
    let folder = existing(&settings.data_dir);
    let mut checks = [kernel::check(&root), features::check(&features)].concat();
    checks.extend(
        [links::check(&features), nftables::check(&features), overlay::check(&features, &folder)].concat(),
    );
    checks.extend(readings(&root, &settings));
    match print(args.output, &checks) {
        Ok(()) if checks.iter().any(Check::failed) => Exit::Failed.into(),
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            eprintln!("skiff: print the checks: {error}");
            Exit::Failed.into()
        }
    }
}

/// What a server or agent logs at its start: only what is wrong. Nothing is tried out, as the real thing follows at once.
pub(crate) fn brief(settings: &Settings) {
    let root = Root::new("/");
    let names = [kernel::check(&root), features::check(&features::Facts::read(&root))].concat();
    for check in names.into_iter().chain(readings(&root, settings)) {
        let Check { name, outcome, finding } = check;
        match outcome {
            Outcome::Warn { remedy } => tracing::warn!(check = name, remedy, "{finding}"),
            Outcome::Fail { remedy } => tracing::error!(check = name, remedy, "{finding}"),
            Outcome::Pass | Outcome::Skipped => {}
        }
    }
}

/// All that takes no more than reading.
fn readings(root: &Root, settings: &Settings) -> Vec<Check> {
    let kernel = [cgroups::check(root), seccomp::check(root), users::check(root), pressure::check(root)];
    let limits = [inotify::check(root), descriptors::check(root), swap::check(root), clock::check()];
    let network = [forwarding::check(root), firewall::check(), ports::check(root, settings)];
    let disk = [disk::check(root, &existing(&settings.data_dir))];
    kernel.into_iter().chain(limits).chain(disk).chain(network).flatten().collect()
}

/// The folder, or the nearest one above it that is there already: where it will be made.
fn existing(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find_map(|ancestor| std::fs::canonicalize(ancestor).ok());
    there.unwrap_or_else(|| PathBuf::from("/"))
}

fn print(output: Output, checks: &[Check]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match output {
        Output::Json => report::json(&mut stdout, checks)?,
        Output::Text => {
            let coloured = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
            report::table(&mut stdout, checks, coloured)?;
        }
    }
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_where_it_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().canonicalize().unwrap();
        assert_eq!(existing(&folder.path().join("lib/skiff")), there);
        assert_eq!(existing(folder.path()), there);
        assert_eq!(existing(Path::new("")), Path::new("/"));
    }
}
