//! Requests for a pod: its containers through its node's agent, its ports directly.

use api::kinds;
use api::status::Status;
use api::value::{at, list, text};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use store::Store;

use super::route::{self, Place, Route};
use crate::object::stored;
use crate::request::{Query, Resource};

/// Where a request for a pod goes; nowhere if it asks for the log of a pod that has no node yet.
pub(super) fn route(store: &Store, resource: &Resource, query: &str) -> Result<Option<Route>, Status> {
    let named = resource.name.as_deref().unwrap_or_default();
    let subresource = resource.subresource_name().unwrap_or_default();
    if subresource == "proxy" {
        return to_port(store, resource, named, query).map(Some);
    }
    let (pod, options) = (get(store, resource, named)?, Query::parse(query)?);
    let container = match subresource {
        "portforward" => String::new(),
        _ => format!("/{}", container(&pod, options.text("container").unwrap_or_default())?),
    };
    let node = text(&pod, "spec.nodeName");
    match (node, subresource) {
        ("", "log") => return Ok(None),
        ("", _) => return Err(Status::bad_request(format!("pod {named} does not have a host assigned"))),
        _ => {}
    }
    let namespace = resource.namespace.as_deref().unwrap_or_default();
    let (verb, query) = match subresource {
        "log" => ("containerLogs", log_query(&options)),
        "portforward" => ("portForward", query.to_owned()),
        verb => (verb, stream_query(&options)),
    };
    let path = route::with_query(&format!("/{verb}/{namespace}/{named}{container}"), &query);
    Ok(Some(Route { place: Place::Node(node.to_owned()), path }))
}

pub(super) fn get(store: &Store, resource: &Resource, name: &str) -> Result<Value, Status> {
    let pods = kinds::by_resource("", "v1", "pods").ok_or_else(|| Status::internal("there are no pods"))?;
    let key = stored::key(pods, resource.namespace.as_deref(), name);
    let missing = || Status::not_found(api::status::Resource { group: "", name: "pods" }, name);
    route::parsed(&store.get(&key).ok_or_else(missing)?)
}

/// The container that is meant: the one that is named, or the only one.
fn container(pod: &Value, named: &str) -> Result<String, Status> {
    let names = |field: &str| -> Vec<String> {
        list(at(pod, "spec"), field).iter().map(|container| text(container, "name").to_owned()).collect()
    };
    let (containers, init, ephemeral) =
        (names("containers"), names("initContainers"), names("ephemeralContainers"));
    let pod = text(pod, "metadata.name");
    if !named.is_empty() {
        let known = [&containers, &init, &ephemeral].into_iter().flatten().any(|name| name == named);
        return match known {
            true => Ok(named.to_owned()),
            false => Err(Status::bad_request(format!("container {named} is not valid for pod {pod}"))),
        };
    }
    if let ([only], true) = (&containers[..], init.is_empty() && ephemeral.is_empty()) {
        return Ok(only.clone());
    }
    let mut why = format!("a container name must be specified for pod {pod}");
    for (how, names) in [
        (", choose one of: [", &containers),
        (" or one of the init containers: [", &init),
        (" or one of the ephemeral containers: [", &ephemeral),
    ] {
        if !names.is_empty() {
            why.push_str(&format!("{how}{}]", names.join(" ")));
        }
    }
    Err(Status::bad_request(why))
}

/// A pod's own port, by number or name; the first one if none is named.
fn to_port(store: &Store, resource: &Resource, named: &str, query: &str) -> Result<Route, Status> {
    let parts: Vec<&str> = named.split(':').collect();
    let (name, port) = match parts[..] {
        [name] => (name, ""),
        [name, port] | ["http", name, port] => (name, port),
        ["https", ..] => return Err(Status::bad_request("pods are reached by http here, not by https")),
        _ => return Err(Status::bad_request(format!("invalid pod request {named:?}"))),
    };
    let pod = get(store, resource, name)?;
    let number = number(&pod, port)
        .ok_or_else(|| Status::bad_request(format!("no port {port:?} was found in pod {name}")))?;
    let address =
        text(&pod, "status.podIP").parse().map_err(|_| Status::bad_request("address not allowed"))?;
    Ok(Route {
        place: Place::Address(std::net::SocketAddr::new(address, number)),
        path: route::with_query(&route::below(resource), query),
    })
}

fn number(pod: &Value, port: &str) -> Option<u16> {
    if let Ok(number) = port.parse() {
        return Some(number);
    }
    let ports = list(at(pod, "spec"), "containers").iter().flat_map(|container| list(container, "ports"));
    let meant = ports.filter(|named| port.is_empty() || text(named, "name") == port);
    let found = meant.filter_map(|port| u16::try_from(port["containerPort"].as_u64()?).ok()).next();
    found.or(port.is_empty().then_some(80))
}

/// The container is in the path already.
fn log_query(query: &Query) -> String {
    written(query.pairs().filter(|(name, _)| *name != "container"))
}

/// The node's agent knows these options by older names.
fn stream_query(query: &Query) -> String {
    written(query.pairs().filter_map(|(name, value)| match name {
        "command" => Some((name, value)),
        "tty" => Some((name, digit(value))),
        "stdin" => Some(("input", digit(value))),
        "stdout" => Some(("output", digit(value))),
        "stderr" => Some(("error", digit(value))),
        _ => None,
    }))
}

fn digit(flag: &str) -> &str {
    if matches!(flag, "false" | "0") { "0" } else { "1" }
}

fn written<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_container_is_the_one_that_is_meant() {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}});
        assert_eq!(container(&pod, "").unwrap(), "a");
        assert_eq!(container(&pod, "b").unwrap_err().message, "container b is not valid for pod p");
        pod["spec"]["containers"] = json!([{"name": "a"}, {"name": "b"}]);
        pod["spec"]["initContainers"] = json!([{"name": "i"}]);
        assert_eq!(container(&pod, "i").unwrap(), "i");
        assert_eq!(
            container(&pod, "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
    }

    #[test]
    fn options_reach_the_node_under_its_names() {
        let query = |text| Query::parse(text).unwrap();
        assert_eq!(
            stream_query(&query("container=a&stdin=true&stdout=true&tty=false&command=ls&command=-l%20%26")),
            "input=1&output=1&tty=0&command=ls&command=%2Dl%20%26"
        );
        assert_eq!(log_query(&query("container=a&follow=true&tailLines=5")), "follow=true&tailLines=5");
    }

    #[test]
    fn a_port_is_named_numbered_or_the_first() {
        let pod = json!({"spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]}});
        assert_eq!(number(&pod, "web"), Some(8080));
        assert_eq!(number(&pod, ""), Some(8080));
        assert_eq!(number(&pod, "9"), Some(9));
        assert_eq!(number(&pod, "other"), None);
    }
}
