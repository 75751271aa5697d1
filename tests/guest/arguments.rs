//! The command line: options are taken out by name, what stays is positional, what nobody took is an error.

use std::error::Error;
use std::str::FromStr;

type Parsed<T> = Result<T, Box<dyn Error>>;

pub struct Arguments(Vec<String>);

impl Arguments {
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        Self(words.collect())
    }

    /// The value of the first `--name VALUE`, taken out. Called again, it finds the next one.
    pub fn option<T: FromStr>(&mut self, name: &str) -> Parsed<Option<T>> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        self.0.remove(at);
        self.take(at, name).map(Some)
    }

    pub fn positional<T: FromStr>(&mut self, name: &str) -> Parsed<T> {
        self.take(0, name)
    }

    pub fn end(self) -> Parsed<()> {
        match self.0.first() {
            Some(word) => Err(format!("unexpected '{word}'").into()),
            None => Ok(()),
        }
    }

    fn take<T: FromStr>(&mut self, at: usize, name: &str) -> Parsed<T> {
        if at >= self.0.len() {
            return Err(format!("{name} is missing").into());
        }
        let word = self.0.remove(at);
        word.parse().map_err(|_| format!("{name} cannot be '{word}'").into())
    }
}
