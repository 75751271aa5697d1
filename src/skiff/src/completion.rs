//! `skiff completion SHELL`: the script that lets a shell complete skiff's command line.

use std::io;

use clap_complete::aot::{Bash, Fish, Generator, Zsh};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Args {
    pub(crate) fn run(&self, command: &mut clap::Command) -> anyhow::Result<()> {
        command.set_bin_name("skiff");
        command.build();
        match self.shell {
            Shell::Bash => Bash.try_generate(command, &mut io::stdout())?,
            Shell::Zsh => Zsh.try_generate(command, &mut io::stdout())?,
            Shell::Fish => Fish.try_generate(command, &mut io::stdout())?,
        }
        Ok(())
    }
}
