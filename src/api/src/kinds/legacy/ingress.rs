//! Ingresses before v1: backends were a name and a port side by side, and paths had no type.

use serde_json::{Value, json};

use super::Shape;
use crate::value::{at, default_zero_to, items_mut, object, remove, replace};

pub(super) const SHAPE: Shape = Shape {
    to_hub,
    from_hub,
    later: &["spec.backend.service", "spec.defaultBackend", "spec.rules[].http.paths[].backend.service"],
};

fn to_hub(ingress: &mut Value) {
    let Some(spec) = ingress.get_mut("spec") else { return };
    if let Some(mut backend) = remove(spec, "backend") {
        nest(&mut backend);
        replace(spec, "defaultBackend", Some(backend));
    }
    each_path(spec, |path| {
        default_zero_to(path, "pathType", "ImplementationSpecific");
        path.get_mut("backend").into_iter().for_each(nest);
    });
}

fn from_hub(ingress: &mut Value) {
    let Some(spec) = ingress.get_mut("spec") else { return };
    if let Some(mut backend) = remove(spec, "defaultBackend") {
        flatten(&mut backend);
        replace(spec, "backend", Some(backend));
    }
    each_path(spec, |path| path.get_mut("backend").into_iter().for_each(flatten));
}

fn each_path(spec: &mut Value, change: impl Fn(&mut Value)) {
    for rule in items_mut(spec, "rules") {
        if let Some(http) = rule.get_mut("http") {
            items_mut(http, "paths").for_each(&change);
        }
    }
}

fn nest(backend: &mut Value) {
    let name = remove(backend, "serviceName").filter(|name| *name != "");
    let port = remove(backend, "servicePort").filter(|port| *port != 0 && *port != "");
    if name.is_none() && port.is_none() {
        return;
    }
    let Some(service) = object(backend, "service") else { return };
    service.insert("name".into(), name.unwrap_or_else(|| "".into()));
    let port = match port {
        Some(port) if port.is_string() => json!({ "name": port }),
        Some(port) => json!({ "number": port }),
        None => json!({}),
    };
    service.insert("port".into(), port);
}

fn flatten(backend: &mut Value) {
    let Some(service) = remove(backend, "service") else { return };
    replace(backend, "serviceName", Some(at(&service, "name").clone()));
    let port = match at(&service, "port.number") {
        Value::Null => at(&service, "port.name"),
        number => number,
    };
    let port = if port.is_null() { 0.into() } else { port.clone() };
    replace(backend, "servicePort", Some(port));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_keep_their_service_and_port() {
        let old = json!({"spec": {"backend": {"serviceName": "a", "servicePort": 80}, "rules": [{"host": "h", "http":
            {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"serviceName": "b", "servicePort": "web"}}]}}]}});
        let mut ingress = old.clone();
        to_hub(&mut ingress);
        assert_eq!(
            ingress["spec"],
            json!({"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}, "rules": [{"host": "h", "http":
                {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": "b", "port": {"name": "web"}}}}]}}]})
        );
        from_hub(&mut ingress);
        assert_eq!(ingress, old);
    }

    #[test]
    fn a_path_without_a_type_is_left_to_the_controller() {
        let mut ingress =
            json!({"spec": {"rules": [{"http": {"paths": [{"backend": {"resource": {"kind": "X"}}}]}}]}});
        to_hub(&mut ingress);
        let path = &ingress["spec"]["rules"][0]["http"]["paths"][0];
        assert_eq!(
            *path,
            json!({"pathType": "ImplementationSpecific", "backend": {"resource": {"kind": "X"}}})
        );
    }
}
