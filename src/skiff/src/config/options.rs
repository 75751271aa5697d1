//! The options a command knows, as its clap declaration tells them.

use clap::{Arg, ArgAction, Command};

use super::{Error, Origin, replacement};

/// The option that names the file; it cannot stand in one.
pub(super) const FILE: &str = "config";

/// The options of one command.
pub(super) struct Options<'a> {
    program: &'a Command,
    command: &'a Command,
}

impl<'a> Options<'a> {
    /// None for a command that takes no configuration file.
    pub(super) fn of(program: &'a Command, command: &str) -> Option<Self> {
        let command = program.find_subcommand(command)?;
        find(command, FILE)?;
        Some(Self { program, command })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Arg)> + use<'a> {
        named(self.command)
    }

    pub(super) fn known(&self, key: &str, at: &Origin) -> Result<&'a Arg, Error> {
        find(self.command, key).filter(|_| key != FILE).ok_or_else(|| self.unknown(key, at.clone()))
    }

    /// Judges one value as if it stood on the command line.
    pub(super) fn check(&self, key: &str, value: &str, at: &Origin) -> Result<(), Error> {
        let alone = self.command.clone().try_get_matches_from(["skiff", &argument(key, value)]);
        alone.map(drop).map_err(|error| Error::Value { at: at.clone(), message: first_paragraph(&error) })
    }

    fn unknown(&self, key: &str, at: Origin) -> Error {
        let key = key.to_owned();
        if let Some(instead) = replacement(&key) {
            return Error::Replaced { at, key, instead };
        }
        let knows = |other: &&Command| key != FILE && find(other, FILE).and(find(other, &key)).is_some();
        if let Some(other) = self.program.get_subcommands().find(knows) {
            return Error::OtherCommand { at, key, command: other.get_name().to_owned() };
        }
        let distance = |name: &&str| strsim::osa_distance(name, &key);
        let nearest = self.iter().map(|(name, _)| name).filter(|name| *name != FILE).min_by_key(distance);
        Error::Unknown { at, nearest: nearest.unwrap_or_default().to_owned(), key }
    }
}

/// Names the variable of each option in its help.
pub(crate) fn describe_variables(program: Command) -> Command {
    let describe = |option: Arg| match (option.get_long(), option.get_help()) {
        (Some(name), Some(help)) => {
            let help = format!("{help} [env: {}]", variable(name));
            option.help(help)
        }
        _ => option,
    };
    let configured = |command: &Command| find(command, FILE).is_some();
    program.mut_subcommands(|command| if configured(&command) { command.mut_args(describe) } else { command })
}

pub(super) fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

/// One value as an argument.
pub(super) fn argument(key: &str, value: &str) -> String {
    format!("--{key}={value}")
}

/// The variable that sets an option.
pub(super) fn variable(key: &str) -> String {
    match key {
        // The one that is typed by hand, in a hurry.
        "log-level" => "SKIFF_LOG".to_owned(),
        _ => format!("SKIFF_{}", key.replace('-', "_").to_uppercase()),
    }
}

fn find<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    named(command).find(|(name, _)| *name == key).map(|(_, option)| option)
}

fn named(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let options = command.get_arguments().filter_map(|option| Some((option.get_long()?, option)));
    options.filter(|(name, _)| *name != "help")
}

/// clap's reason without its advice about `--help`, which does not concern a file.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}
