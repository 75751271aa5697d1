//! A program to run on a machine: once, or as a daemon.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

use crate::clock::Clock;
use crate::daemon::Daemon;
use crate::host::Host;
use crate::program::{self, SYSTEM_PATH};
use crate::terminal::Terminal;

#[derive(Debug, Clone)]
#[must_use = "nothing runs before `run`, `ok` or `daemon`"]
pub struct Command {
    host: Host,
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    input: Vec<u8>,
    clock: Option<Clock>,
}

/// What a program that has ended left behind.
#[derive(Debug, Clone)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Command {
    pub(crate) fn new(host: Host, program: String) -> Self {
        let (arguments, environment, input) = (Vec::new(), Vec::new(), Vec::new());
        Self { host, program, arguments, environment, directory: "/".into(), input, clock: None }
    }

    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// What a person would type for it.
    pub(crate) fn line(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        environment
            .chain([self.program.clone()])
            .chain(self.arguments.iter().cloned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// A script of the shell instead; what was here before is its `"$@"`.
    pub fn in_shell(mut self, script: &str) -> Self {
        let before = std::mem::replace(&mut self.program, "sh".to_owned());
        self.arguments.splice(0..0, ["-c".to_owned(), script.to_owned(), "sh".to_owned(), before]);
        self
    }

    /// Beyond `PATH`, `HOME`, `LANG` and `RUST_BACKTRACE` the program gets only this.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// What the program can read from its standard input; nothing, otherwise.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// The program, and what it starts, believe in another time. Fails for programs that are linked statically.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Runs it to its end, whatever that is.
    pub fn run(&self) -> Result<Output> {
        let output =
            self.start()?.wait_with_output().with_context(|| format!("waiting for {}", self.program))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Output { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// Runs it, and gives what it said; its failure is an error.
    pub fn ok(&self) -> Result<String> {
        let Output { status, stdout, stderr } = self.run()?;
        let line = self.arguments.join(" ");
        ensure!(
            status.success(),
            "{}: {} {line}: {status}\n{stdout}{stderr}",
            self.host.name(),
            self.program
        );
        Ok(stdout)
    }

    /// Starts it. It runs until it ends, is stopped, or the machine loses power: not just while the handle lives.
    pub fn daemon(self, name: &str) -> Result<Daemon> {
        Daemon::start(name, self)
    }

    /// Starts it on a terminal of so many rows and columns.
    pub fn on_terminal(&self, rows: u16, columns: u16) -> Result<Terminal> {
        Terminal::start(self.process()?, (rows, columns), |command| self.spawn(command))
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn start(&self) -> Result<process::Child> {
        let mut command = self.process()?;
        command.process_group(0);
        command.stdin(program::input_file(&self.input)?).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawn(command)
    }

    /// All but its streams.
    fn process(&self) -> Result<process::Command> {
        let mut command = process::Command::new(&self.program);
        let built = program::build_directory()?;
        command.env_clear().env("PATH", format!("{}:{SYSTEM_PATH}", built.display()));
        command.envs([("HOME", "/root"), ("LANG", "C.UTF-8"), ("RUST_BACKTRACE", "1")]);
        if let Some(clock) = self.clock {
            let program = self.program.clone();
            let path = format!("{}:{SYSTEM_PATH}", built.display());
            command.envs(self.host.machine().running()?.on(move || clock.environment(&program, &path))??);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.arguments).current_dir(&self.directory);
        Ok(command)
    }

    fn spawn(&self, command: process::Command) -> Result<process::Child> {
        self.host.machine().running()?.spawn(command).with_context(|| format!("on {}", self.host.name()))
    }
}
