//! What a pod may learn about itself: fields of its object and amounts of its containers' resources.
//!
//! The same for environment variables and for files, except that only variables may ask for what is found out while the pod
//! runs, such as its address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

/// Amounts by the name of the resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// What the pod's object does not say, or not yet.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The node's addresses, the preferred one first.
    pub host_ips: Vec<IpAddr>,
    /// The pod's own, the preferred one first.
    pub pod_ips: Vec<IpAddr>,
    /// What the node has to give: the limit of a container that has none.
    pub allocatable: Amounts,
    /// No server answers after a start of the machine: what cannot be known is left out.
    pub alone: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    #[error("container {0} not found")]
    Container(String),
    #[error("unsupported container resource : {0}")]
    Resource(String),
    #[error("cannot read the quantity \"{text}\": {source}")]
    Quantity {
        text: String,
        #[source]
        source: api::quantity::ParseError,
    },
}

/// A field that is part of the object's metadata.
pub(crate) fn metadata_field(pod: &Pod, path: &str) -> Result<String, Error> {
    let metadata = &pod.metadata;
    let value = match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "metadata.labels" => metadata.labels.as_ref().map(lines),
        "metadata.annotations" => metadata.annotations.as_ref().map(lines),
        _ => match subscript(path) {
            Some(("metadata.labels", key)) => value_of(metadata.labels.as_ref(), key),
            Some(("metadata.annotations", key)) => value_of(metadata.annotations.as_ref(), key),
            _ => return Err(Error::Field(path.to_owned())),
        },
    };
    Ok(value.unwrap_or_default())
}

/// A field for a variable: of the metadata, or found out on this node.
pub(crate) fn field(pod: &Pod, path: &str, facts: &Facts) -> Result<String, Error> {
    let spec = pod.spec.as_ref();
    match path {
        "spec.nodeName" => Ok(spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default()),
        "spec.serviceAccountName" => {
            Ok(spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default())
        }
        "status.hostIP" => Ok(first(&facts.host_ips)),
        "status.hostIPs" => Ok(joined(&facts.host_ips)),
        "status.podIP" => Ok(first(&facts.pod_ips)),
        "status.podIPs" => Ok(joined(&facts.pod_ips)),
        // Whole maps are for files.
        "metadata.labels" | "metadata.annotations" => Err(Error::Field(path.to_owned())),
        path => metadata_field(pod, path),
    }
}

fn first(addresses: &[IpAddr]) -> String {
    addresses.first().map(ToString::to_string).unwrap_or_default()
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// `metadata.labels['key']` as the map and its key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

fn value_of(map: Option<&BTreeMap<String, String>>, key: &str) -> Option<String> {
    map?.get(key).cloned()
}

/// One `key="value"` per line, sorted.
fn lines(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect::<Vec<_>>().join("\n")
}

/// As Go's `%q` writes it: whoever reads the file expects those escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0b' => quoted.push_str("\\v"),
            '\x0c' => quoted.push_str("\\f"),
            control if u32::from(control) < 0x20 || control == '\x7f' => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// An amount of a container's resources, in units of the divisor, rounded up. `own` is the container that asks, which need not
/// name itself.
pub(crate) fn resource(
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
    allocatable: &Amounts,
) -> Result<String, Error> {
    let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let container = match (named, own) {
        (None, Some(own)) => own,
        (name, _) => find(pod, name.unwrap_or_default())?,
    };
    let unsupported = || Error::Resource(selector.resource.clone());
    let (side, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with("hugepages-") {
        return Err(unsupported());
    }
    let resources = container.resources.as_ref();
    let amount = match side {
        "requests" => amount(resources, name, |resources| resources.requests.as_ref())?,
        "limits" => match amount(resources, name, |resources| resources.limits.as_ref())? {
            Some(limit) if !limit.is_zero() => Some(limit),
            _ => pod_limit(pod, name)?.or_else(|| allocatable.get(name).copied()),
        },
        _ => return Err(unsupported()),
    };
    let divisor = selector.divisor.as_ref().map(quantity).transpose()?;
    let divisor = divisor.filter(|divisor| !divisor.is_zero()).unwrap_or(Quantity::whole(1));
    Ok(divided(amount.unwrap_or(Quantity::ZERO), divisor, name == "cpu").to_string())
}

fn find<'a>(pod: &'a Pod, name: &str) -> Result<&'a Container, Error> {
    let spec = pod.spec.as_ref();
    let mut all =
        spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    all.find(|container| container.name == name).ok_or_else(|| Error::Container(name.to_owned()))
}

type List = BTreeMap<String, Written>;

fn amount(
    resources: Option<&ResourceRequirements>,
    name: &str,
    side: impl Fn(&ResourceRequirements) -> Option<&List>,
) -> Result<Option<Quantity>, Error> {
    resources.and_then(side).and_then(|list| list.get(name)).map(quantity).transpose()
}

/// What the pod as a whole may use bounds its containers too.
fn pod_limit(pod: &Pod, name: &str) -> Result<Option<Quantity>, Error> {
    let resources = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    amount(resources, name, |resources| resources.limits.as_ref())
}

pub(crate) fn quantity(written: &Written) -> Result<Quantity, Error> {
    written.0.parse().map_err(|source| Error::Quantity { text: written.0.clone(), source })
}

/// CPU is counted in thousandths, everything else in whole units; what is left over counts as one more.
fn divided(amount: Quantity, divisor: Quantity, in_thousandths: bool) -> i64 {
    let (amount, divisor) = match in_thousandths {
        true => (amount.milli_value(), divisor.milli_value()),
        false => (amount.value(), divisor.value()),
    };
    let divisor = divisor.max(1);
    amount.div_euclid(divisor) + i64::from(amount.rem_euclid(divisor) != 0)
}

#[cfg(test)]
mod tests {
    use api::codec::Typed;

    use super::*;

    fn pod() -> Pod {
        Pod::decode(
            br#"{"metadata":{"name":"p","namespace":"n","uid":"u",
                "labels":{"b":"2","a":"say \"hi\"\n"},"annotations":{"x/y":"z"}},
            "spec":{"nodeName":"node","serviceAccountName":"sa","containers":[{"name":"c","resources":{
                "limits":{"cpu":"1500m","memory":"64Mi"},"requests":{"cpu":"250m"}}},{"name":"free"}]}}"#,
        )
        .unwrap()
    }

    fn selector(container: &str, resource: &str, divisor: &str) -> ResourceFieldSelector {
        ResourceFieldSelector {
            container_name: Some(container.to_owned()),
            resource: resource.to_owned(),
            divisor: Some(Written(divisor.to_owned())),
        }
    }

    #[test]
    fn fields_of_the_object_and_of_the_node() {
        let facts = Facts {
            host_ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            pod_ips: vec!["10.42.0.7".parse().unwrap()],
            ..Facts::default()
        };
        let value = |path: &str| field(&pod(), path, &facts).unwrap();
        assert_eq!(value("metadata.name"), "p");
        assert_eq!(value("metadata.uid"), "u");
        assert_eq!(value("metadata.labels['b']"), "2");
        assert_eq!(value("metadata.annotations['x/y']"), "z");
        assert_eq!(value("metadata.labels['absent']"), "");
        assert_eq!(value("spec.nodeName"), "node");
        assert_eq!(value("status.hostIPs"), "10.0.0.1,fd00::1");
        assert_eq!(value("status.podIP"), "10.42.0.7");
        let error = field(&pod(), "spec.containers", &facts).unwrap_err();
        assert_eq!(error.to_string(), "unsupported fieldPath: spec.containers");
    }

    #[test]
    fn maps_are_sorted_lines_with_gos_quotes() {
        assert_eq!(metadata_field(&pod(), "metadata.labels").unwrap(), "a=\"say \\\"hi\\\"\\n\"\nb=\"2\"");
    }

    #[test]
    fn amounts_are_rounded_up_in_units_of_the_divisor() {
        let allocatable = Amounts::from([("memory".to_owned(), Quantity::bytes(1 << 30))]);
        let amount = |container: &str, resource: &str, divisor: &str| {
            super::resource(&pod(), None, &selector(container, resource, divisor), &allocatable).unwrap()
        };
        assert_eq!(amount("c", "limits.cpu", "0"), "2");
        assert_eq!(amount("c", "limits.cpu", "1m"), "1500");
        assert_eq!(amount("c", "requests.cpu", "1"), "1");
        assert_eq!(amount("c", "limits.memory", "1Mi"), "64");
        assert_eq!(amount("c", "requests.memory", "0"), "0");
        assert_eq!(amount("free", "limits.memory", "1Mi"), "1024", "the node's, for want of a limit");
        let unknown = super::resource(&pod(), None, &selector("x", "limits.cpu", "0"), &allocatable);
        assert_eq!(unknown.unwrap_err().to_string(), "container x not found");
    }
}
