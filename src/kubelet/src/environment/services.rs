//! The variables by which a container finds Services without DNS: `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`, and those of
//! Docker's links.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};

/// Variables of all services that have an address.
pub(super) fn variables<'a>(services: impl IntoIterator<Item = &'a Service>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for service in services {
        of_service(service, &mut variables);
    }
    variables
}

fn of_service(service: &Service, variables: &mut BTreeMap<String, String>) {
    let Some(spec) = &service.spec else { return };
    let address = spec.cluster_ip.as_deref().unwrap_or_default();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first().filter(|_| !matches!(address, "" | "None")) else { return };
    let name = variable_name(service.metadata.name.as_deref().unwrap_or_default());
    variables.insert(format!("{name}_SERVICE_HOST"), address.to_owned());
    variables.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables
                .insert(format!("{name}_SERVICE_PORT_{}", variable_name(port_name)), port.port.to_string());
        }
    }
    variables.insert(format!("{name}_PORT"), url(address, first));
    for port in ports {
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol(port).to_uppercase());
        variables.insert(format!("{prefix}_PROTO"), protocol(port).to_lowercase());
        variables.insert(format!("{prefix}_PORT"), port.port.to_string());
        variables.insert(format!("{prefix}_ADDR"), address.to_owned());
        variables.insert(prefix, url(address, port));
    }
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn url(address: &str, port: &ServicePort) -> String {
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    format!("{}://{address}:{}", protocol(port).to_lowercase(), port.port)
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use api::codec::Typed;

    use super::*;

    #[test]
    fn a_service_in_all_its_variables() {
        let service = Service::decode(
            br#"{"metadata":{"name":"my-web"},"spec":{"clusterIP":"10.43.0.9","ports":[
                {"name":"http-alt","port":80},{"name":"dns","port":53,"protocol":"UDP"}]}}"#,
        )
        .unwrap();
        let headless =
            Service::decode(br#"{"metadata":{"name":"h"},"spec":{"clusterIP":"None","ports":[{"port":1}]}}"#);
        let variables = variables([&service, &headless.unwrap()]);
        let text: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text,
            [
                "MY_WEB_PORT=tcp://10.43.0.9:80",
                "MY_WEB_PORT_53_UDP=udp://10.43.0.9:53",
                "MY_WEB_PORT_53_UDP_ADDR=10.43.0.9",
                "MY_WEB_PORT_53_UDP_PORT=53",
                "MY_WEB_PORT_53_UDP_PROTO=udp",
                "MY_WEB_PORT_80_TCP=tcp://10.43.0.9:80",
                "MY_WEB_PORT_80_TCP_ADDR=10.43.0.9",
                "MY_WEB_PORT_80_TCP_PORT=80",
                "MY_WEB_PORT_80_TCP_PROTO=tcp",
                "MY_WEB_SERVICE_HOST=10.43.0.9",
                "MY_WEB_SERVICE_PORT=80",
                "MY_WEB_SERVICE_PORT_DNS=53",
                "MY_WEB_SERVICE_PORT_HTTP_ALT=80",
            ]
        );
    }
}
