//! The layers below the command line: files and the environment.
//!
//! They are turned into arguments in front of the typed ones, so that clap reads one command line and its declarations
//! hold for all layers. An option that was typed, or is set by a higher layer, leaves the lower values out: precedence is
//! decided here, not by the order of arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::file::{self, Entry, Value};
use super::options::{self, FILE, Options};
use super::{Error, Origin};

const DEFAULT_FILE: &str = "/etc/skiff/config.yaml";

/// What the program sees of its environment.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// The values each option has so far.
type Settings = BTreeMap<String, Vec<String>>;

/// The command line with the values of the lower layers in it. `typed` is what clap made of `arguments`, which begin with
/// the program and the command.
pub(crate) fn complete(
    program: &Command,
    typed: &ArgMatches,
    mut arguments: Vec<OsString>,
    environment: &Environment,
) -> Result<Vec<OsString>, Error> {
    let Some((name, typed)) = typed.subcommand() else { return Ok(arguments) };
    let Some(options) = Options::of(program, name) else { return Ok(arguments) };
    let mut settings = from_files(&options, &files(typed, environment)?)?;
    settings.extend(from_environment(&options, environment)?);
    for (key, option) in options.iter() {
        if typed.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine) {
            settings.remove(key);
        }
    }
    let lower = settings
        .iter()
        .flat_map(|(key, values)| values.iter().map(|value| options::argument(key, value).into()));
    arguments.splice(2..2, lower);
    Ok(arguments)
}

/// The files to read, in their order. A file that was named must exist, or have drop-ins.
fn files(typed: &ArgMatches, environment: &Environment) -> Result<Vec<PathBuf>, Error> {
    let variable =
        environment.get(&OsString::from(options::variable(FILE))).filter(|value| !value.is_empty());
    let named = typed.get_one::<PathBuf>(FILE).cloned().or_else(|| variable.map(PathBuf::from));
    let main = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let mut files = drop_ins(&main)?;
    if main.exists() || (named.is_some() && files.is_empty()) {
        files.insert(0, main);
    }
    Ok(files)
}

/// `config.yaml.d/*.yaml`, in the order of their names.
fn drop_ins(main: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folder = main.to_owned().into_os_string();
    folder.push(".d");
    let folder = PathBuf::from(folder);
    let listed = match fs::read_dir(&folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<BTreeSet<_>>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    };
    let listed = listed.map_err(|source| Error::Read { path: folder, source })?;
    let is_yaml =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    Ok(listed.into_iter().filter(is_yaml).filter(|path| !path.is_dir()).collect())
}

fn from_files(options: &Options<'_>, files: &[PathBuf]) -> Result<Settings, Error> {
    let mut settings = Settings::new();
    for path in files {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let mut seen = BTreeSet::new();
        for entry in file::parse(path, &text)? {
            if !seen.insert((entry.key.clone(), entry.appends)) {
                return Err(Error::Twice { at: entry.at, key: entry.key });
            }
            add(options, &mut settings, entry)?;
        }
    }
    Ok(settings)
}

fn add(options: &Options<'_>, settings: &mut Settings, entry: Entry) -> Result<(), Error> {
    let Entry { key, appends, at, value } = entry;
    let is_list = options::is_list(options.known(&key, &at)?);
    let values = match value {
        Value::Scalar(value) => vec![(at.clone(), value)],
        Value::List(values) if is_list => values,
        Value::List(_) => return Err(Error::Type { at, key, expected: "one value, not a list" }),
        Value::Missing => return Err(Error::Type { at, key, expected: "a value, and has none" }),
    };
    if appends && !is_list {
        return Err(Error::Type { at, key, expected: "one value; `+` appends to lists" });
    }
    for (at, value) in &values {
        options.check(&key, value, at)?;
    }
    let kept = settings.entry(key).or_default();
    if !appends {
        kept.clear();
    }
    kept.extend(values.into_iter().map(|(_, value)| value));
    Ok(())
}

fn from_environment(options: &Options<'_>, environment: &Environment) -> Result<Settings, Error> {
    let mut settings = Settings::new();
    for (key, _) in options.iter().filter(|(key, _)| *key != FILE) {
        let name = options::variable(key);
        // An empty variable is how a unit file or a script leaves one out.
        let Some(value) = environment.get(&OsString::from(&name)).filter(|value| !value.is_empty()) else {
            continue;
        };
        let at = Origin::Variable(name);
        let Some(value) = value.to_str() else {
            return Err(Error::Value { at, message: "the value is not UTF-8".into() });
        };
        options.check(key, value, &at)?;
        settings.insert(key.to_owned(), vec![value.to_owned()]);
    }
    Ok(settings)
}
