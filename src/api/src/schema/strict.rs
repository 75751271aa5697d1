//! What strict field validation finds in a body, in upstream's words.

use std::fmt;

use super::Node;

/// The most findings that are kept, as upstream.
const MAX_FINDINGS: usize = 100;

/// Unknown and duplicate fields: warnings under `fieldValidation=Warn`, a refusal under `Strict`.
#[derive(Debug, Default)]
pub struct Strict {
    findings: Vec<String>,
}

impl Strict {
    /// For example `unknown field "spec.foo"`, each once, in the order of the body.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    pub fn into_findings(self) -> Vec<String> {
        self.findings
    }

    /// What a reader of another form found, in its words.
    pub fn found(&mut self, finding: String) {
        self.add(finding);
    }

    pub(super) fn unknown(&mut self, at: Path<'_, '_>) {
        self.add(format!("unknown field \"{at}\""));
    }

    pub(super) fn duplicate(&mut self, at: Path<'_, '_>) {
        self.add(format!("duplicate field \"{at}\""));
    }

    fn add(&mut self, finding: String) {
        if self.findings.len() < MAX_FINDINGS && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// Where in a body we are: a list on the stack, from the innermost step outwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p, 's> {
    pub(super) outer: Option<&'p Path<'p, 's>>,
    pub(super) step: Step<'p, 's>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'p, 's> {
    Root,
    /// A field that the schema names, and the object it belongs to.
    Field(&'p str, Node<'s>),
    /// A key of a map, or a field that the schema does not name.
    Key(&'p str),
    Index(usize),
}

impl<'p, 's> Path<'p, 's> {
    pub(super) const ROOT: Self = Self { outer: None, step: Step::Root };

    pub(super) fn to(&'p self, step: Step<'p, 's>) -> Self {
        Self { outer: Some(self), step }
    }
}

impl fmt::Display for Path<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outer) = self.outer else { return Ok(()) };
        outer.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Index(at) => write!(f, "[{at}]"),
            Step::Field(name, _) | Step::Key(name) if outer.outer.is_none() => f.write_str(name),
            Step::Field(name, _) | Step::Key(name) => write!(f, ".{name}"),
        }
    }
}
