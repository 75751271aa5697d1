//! How people name images, and what they mean by it.
//!
//! The grammar and the words of the errors are those of Docker's references, which users see in `InvalidImageName` events.

use std::fmt;

use super::digest::Digest;

/// Where an image is: `nginx` is `docker.io/library/nginx:latest`.
///
/// A digest says more than a tag: of a name with both, the tag is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Tag(String),
    Digest(Digest),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
}

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";

impl Reference {
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest)?;
        let (registry, repository) = split_registry(name)?;
        let tag = tag.unwrap_or(DEFAULT_TAG).to_owned();
        let version = digest.map_or(Version::Tag(tag), Version::Digest);
        Ok(Self { registry, repository, version })
    }

    /// `docker.io` or `registry.example.com:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// None of an image named by digest.
    pub fn tag(&self) -> Option<&str> {
        match &self.version {
            Version::Tag(tag) => Some(tag),
            Version::Digest(_) => None,
        }
    }

    pub fn digest(&self) -> Option<&str> {
        self.pinned().map(Digest::as_str)
    }

    pub(super) fn pinned(&self) -> Option<&Digest> {
        match &self.version {
            Version::Tag(_) => None,
            Version::Digest(digest) => Some(digest),
        }
    }

    /// The same repository, with what was found there.
    pub(super) fn at(&self, digest: Digest) -> Self {
        Self { version: Version::Digest(digest), ..self.clone() }
    }

    /// The last part of a manifest's address.
    pub(super) fn version(&self) -> &str {
        match &self.version {
            Version::Tag(tag) => tag,
            Version::Digest(digest) => digest.as_str(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.pinned().is_some() { '@' } else { ':' };
        write!(f, "{}/{}{separator}{}", self.registry, self.repository, self.version())
    }
}

fn parse_digest(text: &str) -> Result<Digest, InvalidReference> {
    Digest::try_from(text.to_owned()).map_err(|_| InvalidReference::Format)
}

/// A colon before the last slash belongs to the registry's port.
fn split_tag(text: &str) -> Result<(&str, Option<&str>), InvalidReference> {
    let path = text.rfind('/').map_or(0, |slash| slash + 1);
    let Some(colon) = text[path..].find(':') else { return Ok((text, None)) };
    let (name, tag) = (&text[..path + colon], &text[path + colon + 1..]);
    if is_tag(tag) { Ok((name, Some(tag))) } else { Err(InvalidReference::Format) }
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(word);
    first && tag.len() <= 128 && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

fn split_registry(name: &str) -> Result<(String, String), InvalidReference> {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest.to_owned()),
        _ => (DEFAULT_REGISTRY, name.to_owned()),
    };
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    if !is_authority(registry) {
        return Err(InvalidReference::Format);
    }
    if registry != DEFAULT_REGISTRY || repository.contains('/') {
        check_repository(&repository)?;
        return Ok((registry.to_owned(), repository));
    }
    if Digest::from_hex(&repository).is_some() {
        return Err(InvalidReference::Identifier(repository));
    }
    let repository = format!("library/{repository}");
    check_repository(&repository)?;
    Ok((registry.to_owned(), repository))
}

/// Whether the first part of a name is a machine's and not a user's.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_authority(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    port_fits
        && address
            .map_or_else(|| host.split('.').all(is_label), |ip| ip.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_label(label: &str) -> bool {
    let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

fn check_repository(repository: &str) -> Result<(), InvalidReference> {
    if repository.len() > 255 {
        return Err(InvalidReference::TooLong);
    }
    if repository.split('/').all(is_component) {
        return Ok(());
    }
    let lower = repository.to_ascii_lowercase();
    if lower != repository && lower.split('/').all(is_component) {
        return Err(InvalidReference::Uppercase(repository.to_owned()));
    }
    Err(InvalidReference::Format)
}

/// Runs of letters and digits, separated by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let letters_at = |end: Option<u8>| end.is_some_and(is_letter);
    let separators = component.split(|letter: char| u8::try_from(letter).is_ok_and(is_letter));
    let mut separators = separators.filter(|separator| !separator.is_empty());
    letters_at(component.bytes().next())
        && letters_at(component.bytes().next_back())
        && separators.all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn short_names_mean_the_usual_places() {
        for (text, meaning) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.29", "docker.io/library/nginx:1.29"),
            ("rancher/k3s:v1", "docker.io/rancher/k3s:v1"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("localhost:5000/a/b_c__d--e.f", "localhost:5000/a/b_c__d--e.f:latest"),
            ("[fd00::1]:5000/a:b", "[fd00::1]:5000/a:b"),
            ("quay.io/a/b/c/d:x-Y_z.0", "quay.io/a/b/c/d:x-Y_z.0"),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), meaning);
        }
    }

    #[test]
    fn a_digest_outdoes_a_tag() {
        let reference = Reference::parse(&format!("quay.io/a:1@{DIGEST}")).unwrap();
        assert_eq!(reference.to_string(), format!("quay.io/a@{DIGEST}"));
        assert_eq!((reference.tag(), reference.digest()), (None, Some(DIGEST)));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_usual_words() {
        let error = |text: &str| Reference::parse(text).unwrap_err().to_string();
        let format = "invalid reference format";
        for text in [
            "",
            ":",
            "a:",
            "a:b:c",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a@sha256:1",
            "é",
            "a b",
            "a:-x",
            "x.y:99999/a",
            "https://a/b",
        ] {
            assert_eq!(error(text), format, "{text}");
        }
        assert_eq!(error("Nginx"), format!("{format}: repository name (library/Nginx) must be lowercase"));
        assert_eq!(error(&"a".repeat(300)), "repository name must not be more than 255 characters");
        assert!(error(&DIGEST[7..]).contains("cannot specify 64-byte hexadecimal strings"));
    }
}
