//! `skiff completion SHELL`: the script that lets a shell complete skiff's command line.

use std::io;

use clap::Command;
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
    pub(crate) fn run(&self, program: &Command) -> anyhow::Result<()> {
        let mut visible = visible(program);
        visible.build();
        match self.shell {
            Shell::Bash => Bash.try_generate(&visible, &mut io::stdout())?,
            Shell::Zsh => Zsh.try_generate(&visible, &mut io::stdout())?,
            Shell::Fish => Fish.try_generate(&visible, &mut io::stdout())?,
        }
        Ok(())
    }
}

/// The program without its hidden commands, which the generators would offer.
fn visible(program: &Command) -> Command {
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("skiff").bin_name("skiff").version("").subcommands(commands.cloned())
}
