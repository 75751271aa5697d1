//! Lines typed into a shell, and what whoever typed them must see.

use anyhow::{Result, ensure};
use lab::{Host, kubectl, kubectl_folder};

use super::Server;

/// A kubectl that Debian has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kubectl {
    V1_20,
    V1_32,
    V1_36,
}

impl Kubectl {
    pub(super) const ALL: [Self; 3] = [Self::V1_20, Self::V1_32, Self::V1_36];

    fn version(self) -> &'static str {
        match self {
            Self::V1_20 => "1.20",
            Self::V1_32 => "1.32",
            Self::V1_36 => "1.36",
        }
    }

    /// The namespace it works in, and what it calls things that have none.
    fn namespace(self) -> &'static str {
        match self {
            Self::V1_20 => "k120",
            Self::V1_32 => "k132",
            Self::V1_36 => "k136",
        }
    }
}

/// One line, and the parts of what it says, on either stream, that matter: `…` stands for anything between them, and one
/// blank for many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    line: &'static str,
    says: &'static str,
    works: bool,
    since: Kubectl,
}

/// A line that works.
pub(super) const fn sees(line: &'static str, says: &'static str) -> Case {
    Case { line, says, works: true, since: Kubectl::V1_20 }
}

/// A line that fails.
pub(super) const fn fails(line: &'static str, says: &'static str) -> Case {
    Case { works: false, ..sees(line, says) }
}

impl Case {
    /// Older kubectls do not know it.
    pub(super) const fn since(self, since: Kubectl) -> Self {
        Self { since, ..self }
    }

    fn try_in(&self, shell: &Shell<'_>) -> Result<Option<String>> {
        let (worked, said) = shell.enter(self.line)?;
        if worked == self.works && says(&said, self.says) {
            return Ok(None);
        }
        let should = if self.works { "must say" } else { "must fail with" };
        let version = shell.kubectl.version();
        Ok(Some(format!("{version} $ {}\n{should}: {}\nsaid: {said}", self.line, self.says)))
    }
}

fn says(said: &str, parts: &str) -> bool {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = said.as_str();
    parts.split('…').all(|part| {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        match rest.find(&part) {
            Some(start) => {
                rest = &rest[start + part.len()..];
                true
            }
            None => false,
        }
    })
}

/// Tries the lines in order with these kubectls, each in a folder and a namespace of its own, whose name is `$N`.
pub(super) fn try_all(server: &Server, kubectls: &[Kubectl], cases: &[Case]) -> Result<()> {
    let mut wrong = Vec::new();
    for &kubectl in kubectls {
        let shell = Shell::open(&server.host, kubectl)?;
        for case in cases.iter().filter(|case| case.since <= kubectl) {
            wrong.extend(case.try_in(&shell)?);
        }
    }
    ensure!(wrong.is_empty(), "{} lines said something else:\n\n{}", wrong.len(), wrong.join("\n\n"));
    Ok(())
}

struct Shell<'a> {
    host: &'a Host,
    kubectl: Kubectl,
    path: String,
}

impl<'a> Shell<'a> {
    fn open(host: &'a Host, version: Kubectl) -> Result<Self> {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", kubectl_folder(version.version())?.display());
        let (namespace, newest) = (version.namespace(), Kubectl::V1_36.version());
        kubectl(host, newest)?.args(["create", "namespace", namespace]).ok()?;
        // Pods are refused before their account is there.
        let account = ["wait", "--for=create", "serviceaccount/default", "--timeout=60s", "-n", namespace];
        kubectl(host, newest)?.args(account).ok()?;
        let config = ["config", "view", "--raw", "--flatten", "--minify"];
        let config = kubectl(host, newest)?.args(config).ok()?;
        host.write(format!("/tmp/{namespace}/kubeconfig"), config)?;
        let shell = Self { host, kubectl: version, path };
        shell.enter("kubectl config set-context --current --namespace=$N")?;
        Ok(shell)
    }

    /// Whether the line worked, and all that it said.
    fn enter(&self, line: &str) -> Result<(bool, String)> {
        let (folder, namespace) = (format!("/tmp/{}", self.kubectl.namespace()), self.kubectl.namespace());
        let shell = self.host.command("bash").args(["-c", &format!("exec 2>&1; {line}")]);
        let shell = shell.env("PATH", &self.path).env("KUBECONFIG", format!("{folder}/kubeconfig"));
        let output = shell.env("HOME", &folder).env("N", namespace).cwd(folder).run()?;
        Ok((output.status.success(), output.stdout))
    }
}
