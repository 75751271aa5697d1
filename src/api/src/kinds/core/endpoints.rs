//! Endpoints and Events.

use jiff::Timestamp;
use serde_json::Value;

use super::super::Strategy;
use crate::field::{Errors, Node};
use crate::metadata::validate_label_key;
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, first_three, name, or, since};
use crate::value::{at, default_zero_to, int, items_mut, list, text};

pub(super) const ENDPOINTS: Strategy = Strategy {
    defaults: |endpoints| {
        for subset in items_mut(endpoints, "subsets") {
            items_mut(subset, "ports").for_each(|port| default_zero_to(port, "protocol", "TCP"));
        }
    },
    validate: endpoints,
    warnings: endpoints_warnings,
    create_on_update: true,
    ..Strategy::PLAIN
};

pub(super) const EVENT: Strategy =
    Strategy { validate: super::event::validate, create_on_update: true, ..Strategy::PLAIN };

fn endpoints(endpoints: &Node<'_, '_>, errors: &mut Errors) {
    for subset in endpoints.at("subsets").items() {
        if subset.at("addresses").is_zero() && subset.at("notReadyAddresses").is_zero() {
            errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for kind in ["addresses", "notReadyAddresses"] {
            subset.at(kind).items().for_each(|address| endpoint_address(&address, errors));
        }
        let several = subset.at("ports").list().len() > 1;
        for port in subset.at("ports").items() {
            endpoint_port(&port, several, errors);
        }
    }
}

fn endpoint_address(address: &Node<'_, '_>, errors: &mut Errors) {
    let (ip, node) = (address.at("ip"), address.at("nodeName"));
    ip.check(names::ip, errors);
    address.at("hostname").check_given(names::dns_label, errors);
    if node.is_set() {
        node.check(names::subdomain, errors);
    }
    ip.check(names::special, errors);
}

fn endpoint_port(port: &Node<'_, '_>, named: bool, errors: &mut Errors) {
    let (name, number, application) = (port.at("name"), port.at("port"), port.at("appProtocol"));
    match name.text() {
        "" if named => errors.push(name.required("")),
        _ => name.check_given(names::dns_label, errors),
    }
    let value = number.int().unwrap_or_default();
    errors.extend(names::port_number(value).into_iter().map(|problem| number.invalid_as(value, problem)));
    port.at("protocol").must_be_among(&["SCTP", "TCP", "UDP"], errors);
    if application.is_set() {
        validate_label_key(&application, application.text(), errors);
    }
}

/// Addresses in an unusual spelling.
fn endpoints_warnings(endpoints: &Value, _: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (subset_index, subset) in list(endpoints, "subsets").iter().enumerate() {
        for kind in ["addresses", "notReadyAddresses"] {
            for (index, address) in list(subset, kind).iter().enumerate() {
                let sentence = names::ip_warning(text(address, "ip"));
                warnings.extend(
                    sentence
                        .map(|sentence| format!("subsets[{subset_index}].{kind}[{index}].ip: {sentence}")),
                );
            }
        }
    }
    warnings
}

pub(super) static ENDPOINTS_TABLE: Table = Table {
    columns: &[NAME, Column::text("Endpoints"), AGE],
    cells: |endpoints, now| {
        let mut all = Vec::new();
        for subset in list(endpoints, "subsets") {
            let addresses = list(subset, "addresses");
            match list(subset, "ports") {
                [] => all.extend(addresses.iter().map(|address| text(address, "ip").to_owned())),
                ports => {
                    for port in ports {
                        all.extend(
                            addresses.iter().map(|address| host_port(text(address, "ip"), int(port, "port"))),
                        );
                    }
                }
            }
        }
        vec![name(endpoints), first_three(&all, "<none>").into(), age(endpoints, now)]
    },
};

fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Both views of an event: the core names of the fields, and those of events.k8s.io.
pub(in crate::kinds) static EVENT_TABLE: Table = Table {
    columns: &[
        Column::text("Last Seen"),
        Column::text("Type"),
        Column::text("Reason"),
        Column::text("Object"),
        Column::text("Subobject").wide(),
        Column::text("Source").wide(),
        Column::text("Message"),
        Column::text("First Seen").wide(),
        Column::text("Count").wide(),
        Column { format: "name", ..Column::text("Name").wide() },
    ],
    cells: event_cells,
};

fn event_cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let either = |core: &str, other: &str| match at(event, core) {
        Value::Null => at(event, other).clone(),
        value => value.clone(),
    };
    let about = either("involvedObject", "regarding");
    let kind = text(&about, "kind").to_lowercase();
    let object = match text(&about, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let [first, last, count] = seen(event, now);
    vec![
        last.into(),
        text(event, "type").into(),
        text(event, "reason").into(),
        object.into(),
        text(&about, "fieldPath").into(),
        source(event, &either("source", "deprecatedSource")).into(),
        either("message", "note").as_str().unwrap_or_default().trim().into(),
        first.into(),
        count.into(),
        name(event),
    ]
}

/// When an event was first and last seen, and how often. A series says it best, the old fields next.
fn seen(event: &Value, now: Timestamp) -> [String; 3] {
    let time =
        |fields: [&str; 2]| fields.map(|field| at(event, field)).into_iter().find(|time| !time.is_null());
    let first =
        time(["firstTimestamp", "deprecatedFirstTimestamp"]).unwrap_or_else(|| at(event, "eventTime"));
    let series = at(event, "series");
    let last = match at(series, "lastObservedTime") {
        Value::Null => time(["lastTimestamp", "deprecatedLastTimestamp"]).unwrap_or(first),
        observed => observed,
    };
    let count = match int(series, "count") {
        0 => int(event, "count").max(int(event, "deprecatedCount")).max(1),
        count => count,
    };
    [since(first, now), since(last, now), count.to_string()]
}

fn source(event: &Value, source: &Value) -> String {
    let reporting = or(text(event, "reportingComponent"), text(event, "reportingController"));
    let component = or(text(source, "component"), reporting);
    match or(text(source, "host"), text(event, "reportingInstance")) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_endpoints_must_say() {
        let of = |subset: Value| {
            let mut errors = Errors::new();
            endpoints(&Node::root(&json!({"subsets": [subset]})), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let port = |port: Value| json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [port]});
        for (subset, expected) in [
            (port(json!({"port": 1, "protocol": "TCP"})), &[][..]),
            (json!({}), &["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
            (
                json!({"addresses": [{"ip": "x"}]}),
                &[
                    "subsets[0].addresses[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    "subsets[0].addresses[0].ip: Invalid value: \"x\": must be a valid IP address",
                ],
            ),
            (
                json!({"notReadyAddresses": [{"ip": "169.254.1.1"}]}),
                &[
                    "subsets[0].notReadyAddresses[0].ip: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)",
                ],
            ),
            (
                port(json!({"port": 0})),
                &[
                    "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                    "subsets[0].ports[0].protocol: Required value",
                ],
            ),
        ] {
            assert_eq!(of(subset.clone()), expected, "{subset}");
        }
    }

    #[test]
    fn endpoints_are_cut_after_three() {
        let object = json!({"metadata": {"name": "e"}, "subsets": [{"ports": [{"port": 80}],
            "addresses": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.2"}, {"ip": "::1"}, {"ip": "1.1.1.4"}, {"ip": "1.1.1.5"}]}]});
        let cells = (ENDPOINTS_TABLE.cells)(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(cells[1], "1.1.1.1:80,1.1.1.2:80,[::1]:80 + 2 more...");
    }

    #[test]
    fn an_event_reads_the_same_in_both_views() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let core = json!({"metadata": {"name": "x"}, "type": "Normal", "reason": "Pulled", "message": "done\n", "count": 2,
            "involvedObject": {"kind": "Pod", "name": "p"}, "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:30Z", "source": {"component": "kubelet", "host": "n"}});
        let cells = event_cells(&core, now);
        assert_eq!(
            cells,
            ["30s", "Normal", "Pulled", "pod/p", "", "kubelet, n", "done", "60s", "2", "x"].map(Value::from)
        );
        let other = json!({"metadata": {"name": "x"}, "type": "Normal", "reason": "Pulled", "note": "done",
            "deprecatedCount": 2, "regarding": {"kind": "Pod", "name": "p"}, "reportingController": "kubelet",
            "reportingInstance": "n", "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z",
            "deprecatedLastTimestamp": "2026-01-01T00:00:30Z"});
        assert_eq!(event_cells(&other, now), cells);
    }
}
