//! Endpoints and Events.

use jiff::Timestamp;
use serde_json::Value;

use super::super::Strategy;
use super::pod::IP;
use crate::field::{Errors, Node};
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
    create_on_update: true,
    ..Strategy::PLAIN
};

pub(super) const EVENT: Strategy = Strategy { validate: event, create_on_update: true, ..Strategy::PLAIN };

fn endpoints(endpoints: &Node<'_, '_>, errors: &mut Errors) {
    for subset in endpoints.at("subsets").items() {
        if subset.at("addresses").is_zero() && subset.at("notReadyAddresses").is_zero() {
            errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for kind in ["addresses", "notReadyAddresses"] {
            for address in subset.at(kind).items() {
                let ip = address.at("ip");
                if ip.text().parse::<std::net::IpAddr>().is_err() {
                    errors.push(ip.invalid_as(ip.text(), IP));
                }
            }
        }
        let several = subset.at("ports").list().len() > 1;
        for port in subset.at("ports").items() {
            endpoint_port(&port, several, errors);
        }
    }
}

fn endpoint_port(port: &Node<'_, '_>, named: bool, errors: &mut Errors) {
    let (name, number, protocol) = (port.at("name"), port.at("port"), port.at("protocol"));
    match name.text() {
        "" if named => errors.push(name.required("")),
        "" => {}
        text => errors.extend(names::dns_label(text).into_iter().map(|problem| name.invalid(problem))),
    }
    errors.extend(
        names::port_number(number.int().unwrap_or_default())
            .into_iter()
            .map(|problem| number.invalid(problem)),
    );
    if !matches!(protocol.text(), "SCTP" | "TCP" | "UDP") {
        errors.push(protocol.unsupported(&["SCTP", "TCP", "UDP"]));
    }
}

/// An event stands where the object it tells of stands.
fn event(event: &Node<'_, '_>, errors: &mut Errors) {
    let (own, told) = (event.at("metadata.namespace"), event.at("involvedObject.namespace"));
    let fits = match told.text() {
        "" => matches!(own.text(), "default" | "kube-system"),
        namespace => namespace == own.text(),
    };
    if !fits {
        errors.push(told.invalid_as(told.text(), "does not match event.namespace"));
    }
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
    let object = format!("{}/{}", text(&about, "kind").to_lowercase(), text(&about, "name"));
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
