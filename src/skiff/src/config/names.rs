//! The kinds of names Kubernetes has, checked where they are typed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;

/// A DNS subdomain in lower case: the name of a node, the domain of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct DnsName(String);

/// A DNS name or an address that a certificate is valid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum SubjectAltName {
    Address(IpAddr),
    Name(String),
}

/// `key=value` on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `key=value:Effect` or `key:Effect` on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Taint {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "not a DNS name: lower case letters, digits, `-` and `.`, labels of at most 63 characters, at most 253 in all"
    )]
    DnsName,
    #[error("not a label: expected key=value")]
    LabelForm,
    #[error("not a taint: expected key=value:Effect or key:Effect")]
    TaintForm,
    #[error("`{0}` is not an effect of a taint: expected NoSchedule, PreferNoSchedule or NoExecute")]
    Effect(String),
    #[error(
        "`{0}` is not a label key: at most 63 letters, digits, `-`, `_` and `.`, with an optional DNS name and `/` in front"
    )]
    Key(String),
    #[error("`{0}` is not a label value: at most 63 letters, digits, `-`, `_` and `.`")]
    LabelValue(String),
    #[error(
        "`{0}` is reserved: a node may not set labels of kubernetes.io and k8s.io but those of the kubelet"
    )]
    Reserved(String),
}

impl FromStr for DnsName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_dns_name(text) { Ok(Self(text.to_owned())) } else { Err(Error::DnsName) }
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SubjectAltName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let name = text.to_ascii_lowercase();
        let without_wildcard = name.strip_prefix("*.").unwrap_or(&name);
        if is_dns_name(without_wildcard) { Ok(Self::Name(name)) } else { Err(Error::DnsName) }
    }
}

impl FromStr for Label {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (key, value) = text.split_once('=').ok_or(Error::LabelForm)?;
        let (key, value) = (label_key(key)?, label_value(value)?);
        if is_reserved(&key) { Err(Error::Reserved(key)) } else { Ok(Self { key, value }) }
    }
}

impl FromStr for Taint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, effect) = text.rsplit_once(':').ok_or(Error::TaintForm)?;
        let (key, value) = name.split_once('=').unwrap_or((name, ""));
        Ok(Self { key: label_key(key)?, value: label_value(value)?, effect: effect.parse()? })
    }
}

impl FromStr for Effect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "NoSchedule" => Ok(Self::NoSchedule),
            "PreferNoSchedule" => Ok(Self::PreferNoSchedule),
            "NoExecute" => Ok(Self::NoExecute),
            _ => Err(Error::Effect(text.to_owned())),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        })
    }
}

fn is_dns_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 253 && text.split('.').all(|label| is_word(label, allowed, "-"))
}

fn label_key(text: &str) -> Result<String, Error> {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let valid = prefix.is_none_or(is_dns_name) && is_word(name, |byte| byte.is_ascii_alphanumeric(), "-_.");
    if valid { Ok(text.to_owned()) } else { Err(Error::Key(text.to_owned())) }
}

fn label_value(text: &str) -> Result<String, Error> {
    let valid = text.is_empty() || is_word(text, |byte| byte.is_ascii_alphanumeric(), "-_.");
    if valid { Ok(text.to_owned()) } else { Err(Error::LabelValue(text.to_owned())) }
}

/// 1 to 63 characters; `inner` ones neither first nor last.
fn is_word(text: &str, outer: impl Fn(u8) -> bool, inner: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let all = bytes.iter().all(|byte| outer(*byte) || inner.as_bytes().contains(byte));
    all && outer(*first) && outer(*last) && bytes.len() <= 63
}

/// As the kubelet judges `--node-labels`: of Kubernetes' own domains only what a node may say of itself.
fn is_reserved(key: &str) -> bool {
    const OWN: [&str; 11] = [
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    ];
    let Some((domain, _)) = key.split_once('/') else { return false };
    let within =
        |parent: &str| domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let of_kubernetes = within("kubernetes.io") || within("k8s.io");
    let of_the_node = within("kubelet.kubernetes.io") || within("node.kubernetes.io") || OWN.contains(&key);
    of_kubernetes && !of_the_node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names() {
        for name in ["a", "node-1", "a.b-c.d9", &"a".repeat(63), &["a"; 127].join(".")] {
            assert!(name.parse::<DnsName>().is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "a..b", "A", "a_b", "ä", &"a".repeat(64), &["a"; 128].join(".")] {
            assert_eq!(name.parse::<DnsName>(), Err(Error::DnsName), "{name}");
        }
    }

    #[test]
    fn subject_alternative_names() {
        assert_eq!("10.0.0.1".parse(), Ok(SubjectAltName::Address([10, 0, 0, 1].into())));
        assert_eq!("*.Example.org".parse(), Ok(SubjectAltName::Name("*.example.org".into())));
        assert_eq!("a.*.b".parse::<SubjectAltName>(), Err(Error::DnsName));
    }

    #[test]
    fn labels() {
        let label = |key: &str, value: &str| Ok(Label { key: key.into(), value: value.into() });
        assert_eq!("disk=Fast_1".parse(), label("disk", "Fast_1"));
        assert_eq!("example.org/disk=".parse(), label("example.org/disk", ""));
        assert_eq!("disk".parse::<Label>(), Err(Error::LabelForm));
        assert_eq!("di sk=a".parse::<Label>(), Err(Error::Key("di sk".into())));
        assert_eq!("a/b/c=a".parse::<Label>(), Err(Error::Key("a/b/c".into())));
        assert_eq!("disk=-a".parse::<Label>(), Err(Error::LabelValue("-a".into())));
    }

    #[test]
    fn a_node_may_not_give_itself_a_role() {
        for key in ["node-role.kubernetes.io/control-plane", "kubernetes.io/role", "x.k8s.io/y"] {
            assert_eq!(format!("{key}=").parse::<Label>(), Err(Error::Reserved(key.into())));
        }
        for key in [
            "topology.kubernetes.io/zone",
            "a.node.kubernetes.io/b",
            "kubelet.kubernetes.io/c",
            "notk8s.io/d",
        ] {
            assert!(format!("{key}=").parse::<Label>().is_ok(), "{key}");
        }
    }

    #[test]
    fn taints() {
        let taint = |value: &str, effect| Ok(Taint { key: "gpu".into(), value: value.into(), effect });
        assert_eq!("gpu=a:NoSchedule".parse(), taint("a", Effect::NoSchedule));
        assert_eq!("gpu:NoExecute".parse(), taint("", Effect::NoExecute));
        for effect in [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute] {
            assert_eq!(effect.to_string().parse(), Ok(effect));
        }
        assert_eq!("gpu=a".parse::<Taint>(), Err(Error::TaintForm));
        assert_eq!("gpu:Never".parse::<Taint>(), Err(Error::Effect("Never".into())));
        assert_eq!(":NoExecute".parse::<Taint>(), Err(Error::Key(String::new())));
    }
}
