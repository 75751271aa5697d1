//! What is let in but probably not meant.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::old_labels;
use super::annotations::{APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD};
use super::os::each_container;
use super::resources::quantity_of;
use crate::field::Node;
use crate::names;
use crate::value::{at, int, list, text};

/// Sentences under construction.
type Warnings = Vec<String>;

/// A pod is warned about when it is made: people do not update pods.
pub(super) fn of_pod(pod: &Value, old: Option<&Value>) -> Warnings {
    let mut warnings = Warnings::new();
    if old.is_none() {
        of_name(pod, "the Pod's hostname", &mut warnings);
        warnings.extend(of(&Node::root(pod), Subject::Pod));
    }
    warnings
}

/// A name that is good for the object is not always good for what is named after it.
pub(super) fn of_name(object: &Value, used: &str, warnings: &mut Warnings) {
    let problems = names::dns_label(text(object, "metadata.name"));
    if !problems.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in {used}, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            problems.join(" ")
        ));
    }
}

pub(super) fn of_template(path: &str, object: &Value) -> Warnings {
    let root = Node::root(object);
    of(&root.at(path), Subject::Template)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Pod,
    Template,
}

fn of(pod: &Node<'_, '_>, subject: Subject) -> Warnings {
    let mut warnings = Warnings::new();
    let spec = pod.at("spec");
    placement(&spec, &mut warnings);
    old_annotations(&pod.at("metadata.annotations"), &mut warnings);
    for volume in spec.at("volumes").items() {
        old_plugins(&volume, &mut warnings);
    }
    token_paths(&spec.at("volumes"), &mut warnings);
    twice(&spec.at("hostAliases"), "ip", &mut warnings);
    twice(&spec.at("imagePullSecrets"), "name", &mut warnings);
    for secret in spec.at("imagePullSecrets").items().filter(|secret| secret.at("name").text().is_empty()) {
        warnings.push(format!("{}: invalid empty name \"\"", secret.at("name").path));
    }
    for name in BYTES {
        whole_bytes(&spec.at("overhead"), name, &mut warnings);
    }
    old_profiles(pod, subject, &mut warnings);
    ports(&spec, &mut warnings);
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds < 0) {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            grace.path
        ));
    }
    pod_affinity(&spec, &mut warnings);
    warnings
}

fn placement(spec: &Node<'_, '_>, warnings: &mut Warnings) {
    for (key, value) in spec.at("nodeSelector").entries() {
        warnings.extend(old_labels::sentence(key).map(|message| format!("{}: {message}", value.path)));
    }
    let affinity = spec.at("affinity.nodeAffinity");
    let required = affinity.at("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    required.items().for_each(|term| node_term(&term, warnings));
    for preferred in affinity.at("preferredDuringSchedulingIgnoredDuringExecution").items() {
        node_term(&preferred.at("preference"), warnings);
    }
    for constraint in spec.at("topologySpreadConstraints").items() {
        named_label(&constraint.at("topologyKey"), warnings);
        null_selector(&constraint.at("labelSelector"), warnings);
    }
}

fn node_term(term: &Node<'_, '_>, warnings: &mut Warnings) {
    for expression in term.at("matchExpressions").items() {
        named_label(&expression.at("key"), warnings);
    }
}

fn named_label(key: &Node<'_, '_>, warnings: &mut Warnings) {
    if let Some(message) = old_labels::sentence(key.text()) {
        warnings.push(format!("{}: {} is {message}", key.path, key.text()));
    }
}

fn null_selector(selector: &Node<'_, '_>, warnings: &mut Warnings) {
    if !selector.is_set() {
        warnings.push(format!("{}: a null labelSelector results in matching no pod", selector.path));
    }
}

fn pod_affinity(spec: &Node<'_, '_>, warnings: &mut Warnings) {
    for kind in ["affinity.podAffinity", "affinity.podAntiAffinity"] {
        let affinity = spec.at(kind);
        for term in affinity.at("requiredDuringSchedulingIgnoredDuringExecution").items() {
            null_selector(&term.at("labelSelector"), warnings);
        }
        for term in affinity.at("preferredDuringSchedulingIgnoredDuringExecution").items() {
            null_selector(&term.at("podAffinityTerm.labelSelector"), warnings);
        }
    }
}

const OLD_ANNOTATIONS: [(&str, &str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "1.16", "priorityClassName"),
    ("security.alpha.kubernetes.io/sysctls", "1.11", "sysctls"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "1.11", "sysctls"),
];

fn old_annotations(annotations: &Node<'_, '_>, warnings: &mut Warnings) {
    for (key, since, field) in OLD_ANNOTATIONS {
        if annotations.value.get(key).is_some() {
            let path = annotations.path.key(key);
            warnings.push(format!("{path}: non-functional in v{since}+; use the {field:?} field instead"));
        }
    }
}

/// Volume plugins, since when they are deprecated and do nothing; upstream's name for the path where it differs.
const OLD_PLUGINS: [(&str, &str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "1.11", "1.16"),
    ("gitRepo", "gitRepo", "1.11", ""),
    ("scaleIO", "scaleIO", "1.16", "1.22"),
    ("flocker", "flocker", "1.22", "1.25"),
    ("storageos", "storageOS", "1.22", "1.25"),
    ("quobyte", "quobyte", "1.22", "1.25"),
    ("glusterfs", "glusterfs", "1.25", "1.26"),
    ("cephfs", "cephfs", "1.28", "1.31"),
    ("rbd", "rbd", "1.28", "1.31"),
];

fn old_plugins(volume: &Node<'_, '_>, warnings: &mut Warnings) {
    for (field, shown, since, gone) in OLD_PLUGINS {
        if volume.at(field).is_set() {
            let gone = if gone.is_empty() { String::new() } else { format!(", non-functional in v{gone}+") };
            warnings.push(format!("{}: deprecated in v{since}{gone}", volume.path.field(shown)));
        }
    }
}

/// A token and another file at one path: which one is there is anybody's guess.
fn token_paths(volumes: &Node<'_, '_>, warnings: &mut Warnings) {
    let sources = |volume: &Value| list(volume, "projected.sources").to_vec();
    let tokens: BTreeSet<String> = volumes
        .list()
        .iter()
        .flat_map(sources)
        .filter(|source| !at(source, "serviceAccountToken").is_null())
        .map(|source| text(&source, "serviceAccountToken.path").to_owned())
        .collect();
    if tokens.is_empty() {
        return;
    }
    for volume in volumes.items() {
        for source in list(volume.value, "projected.sources") {
            for (kind, shown) in
                [("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")]
            {
                for (index, item) in list(at(source, kind), "items").iter().enumerate() {
                    let path = text(item, "path");
                    if tokens.contains(path) {
                        warnings.push(format!(
                            "{}.projected.sources.{shown}[{index}]: has duplicated path with ServiceAccountToken {path:?}",
                            volume.path
                        ));
                    }
                }
            }
        }
    }
}

fn twice(list: &Node<'_, '_>, field: &str, warnings: &mut Warnings) {
    let mut seen = BTreeSet::new();
    for item in list.items() {
        let name = item.at(field);
        if !seen.insert(name.text()) {
            warnings.push(format!("{}: duplicate {field} {:?}", name.path, name.text()));
        }
    }
}

/// What each container says that it should not, annotations about it first.
fn old_profiles(pod: &Node<'_, '_>, subject: Subject, warnings: &mut Warnings) {
    let (spec, annotations) = (pod.at("spec"), pod.at("metadata.annotations"));
    let without = |context: &Value, field: &str| at(at(context, "securityContext"), field).is_null();
    let annotated = |key: &str| annotations.value.get(key).is_some();
    let no_seccomp = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
    if without(spec.value, "seccompProfile") && annotated(SECCOMP_POD) {
        warnings.push(format!("{}: {no_seccomp}", annotations.path.key(SECCOMP_POD)));
    }
    each_container(&spec, |container| {
        let name = text(container.value, "name");
        let key = format!("{SECCOMP_CONTAINER}{name}");
        if without(container.value, "seccompProfile") && annotated(&key) {
            warnings.push(format!("{}: {no_seccomp}", annotations.path.key(&key)));
        }
        let key = format!("{APP_ARMOR}{name}");
        let unprofiled =
            without(container.value, "appArmorProfile") && without(spec.value, "appArmorProfile");
        if subject == Subject::Template && unprofiled && annotated(&key) {
            warnings.push(format!(
                "{}: deprecated since v1.30; use the \"appArmorProfile\" field instead",
                annotations.path.key(&key)
            ));
        }
        for kind in BYTES {
            for list in ["resources.limits", "resources.requests"] {
                whole_bytes(&container.at(list), kind, warnings);
            }
        }
        variables(&container.at("env"), warnings);
    });
}

/// Resources that are counted in bytes.
const BYTES: [&str; 2] = ["memory", "ephemeral-storage"];

/// Nobody has half a byte: most often somebody wrote `m` and meant `Mi`.
fn whole_bytes(list: &Node<'_, '_>, name: &str, warnings: &mut Warnings) {
    if let Some(amount) = quantity_of(list.value, name).filter(|amount| !amount.is_whole()) {
        let path = list.path.key(name);
        let amount = amount.to_string();
        warnings.push(format!("{path}: fractional byte value {amount:?} is invalid, must be an integer"));
    }
}

/// A variable may be built out of an earlier one of its name; anything else hides that one.
fn variables(env: &Node<'_, '_>, warnings: &mut Warnings) {
    let mut seen = BTreeSet::new();
    for variable in env.items() {
        let name = text(variable.value, "name");
        if seen.insert(name) {
            continue;
        }
        let (reference, value) = (format!("$({name})"), text(variable.value, "value"));
        let builds = variable.value.get("valueFrom").is_none_or(Value::is_null)
            && value != reference
            && value.contains(&reference);
        if !builds {
            warnings.push(format!(
                "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                variable.path
            ));
        }
    }
}

/// One port of a container, and where it is defined.
struct Port<'v> {
    path: String,
    value: &'v Value,
}

impl Port<'_> {
    fn host(&self) -> (&str, i64) {
        (text(self.value, "hostIP"), int(self.value, "hostPort"))
    }

    fn is_same(&self, other: &Self) -> bool {
        int(self.value, "containerPort") == int(other.value, "containerPort")
            && text(self.value, "protocol") == text(other.value, "protocol")
    }

    /// What is odd about defining the port again.
    fn clash(&self, other: &Self) -> Option<&'static str> {
        let ((ip, port), (other_ip, other_port)) = (self.host(), other.host());
        if (ip, port) == (other_ip, other_port) {
            Some("duplicate")
        } else if port == 0 || other_port == 0 {
            Some("overlapping")
        } else if port == other_port && ip.is_empty() != other_ip.is_empty() {
            Some("dangerously ambiguous")
        } else {
            None
        }
    }
}

fn ports(spec: &Node<'_, '_>, warnings: &mut Warnings) {
    let mut all: Vec<Port<'_>> = Vec::new();
    each_container(spec, |container| {
        for port in container.at("ports").items() {
            let port = Port { path: port.path.to_string(), value: port.value };
            if let (ip, 0) = port.host()
                && !ip.is_empty()
            {
                warnings.push(format!("{}: hostIP set without hostPort: {}", port.path, port.value));
            }
            for other in all.iter().filter(|other| other.is_same(&port)) {
                if let Some(clash) = port.clash(other) {
                    warnings.push(format!("{}: {clash} port definition with {}", port.path, other.path));
                }
            }
            all.push(port);
        }
    });
}
