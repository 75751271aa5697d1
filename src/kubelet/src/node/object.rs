//! The node's object: what this machine says of itself, as a pure function.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeFeatures,
    NodeSpec, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use crate::config::Config;
use crate::downward::Amounts;

use super::facts::{Machine, architecture};

/// What changes while the node runs.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) memory_pressure: bool,
    pub(super) disk_pressure: bool,
    pub(super) network: bool,
    pub(super) images: Vec<ContainerImage>,
}

pub(super) fn node(config: &Config, machine: &Machine, health: &Health, now: Timestamp) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config)),
            annotations: Some(annotations()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: Some(config.taints.clone()).filter(|taints| !taints.is_empty()),
            ..NodeSpec::default()
        }),
        status: Some(status(config, machine, health, None, now)),
    }
}

pub(super) fn labels(config: &Config) -> BTreeMap<String, String> {
    let usual = [
        ("beta.kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", &config.node_name),
        ("node.kubernetes.io/instance-type", "skiff"),
    ];
    let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    usual.chain(config.labels.clone()).collect()
}

fn annotations() -> BTreeMap<String, String> {
    [("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned())].into()
}

pub(super) fn status(
    config: &Config,
    machine: &Machine,
    health: &Health,
    old: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    NodeStatus {
        addresses: Some(addresses(config)),
        capacity: Some(written(&machine.capacity(config))),
        allocatable: Some(written(&machine.allocatable(config))),
        conditions: Some(conditions(health, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: config.port.into() }),
        }),
        features: Some(NodeFeatures { supplemental_groups_policy: Some(true) }),
        images: Some(health.images.clone()).filter(|images| !images.is_empty()),
        node_info: Some(info(config, machine)),
        ..NodeStatus::default()
    }
}

fn addresses(config: &Config) -> Vec<NodeAddress> {
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    let internal = config.node_ips.iter().map(IpAddr::to_string).map(|ip| address("InternalIP", ip));
    internal.chain([address("Hostname", config.node_name.clone())]).collect()
}

fn written(amounts: &Amounts) -> BTreeMap<String, Written> {
    amounts.iter().map(|(name, amount)| (name.clone(), Written(amount.to_string()))).collect()
}

fn info(config: &Config, machine: &Machine) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: architecture().to_owned(),
        boot_id: machine.boot_id.clone(),
        container_runtime_version: format!("skiff://{}", env!("CARGO_PKG_VERSION")),
        kernel_version: machine.kernel.clone(),
        kubelet_version: config.version.clone(),
        machine_id: machine.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: machine.system.clone(),
        system_uuid: machine.system_uuid.clone(),
        ..NodeSystemInfo::default()
    }
}

fn conditions(health: &Health, old: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let said = [
        pressure(
            "MemoryPressure",
            health.memory_pressure,
            ["KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"],
            ["kubelet has insufficient memory available", "kubelet has sufficient memory available"],
        ),
        pressure(
            "DiskPressure",
            health.disk_pressure,
            ["KubeletHasDiskPressure", "KubeletHasNoDiskPressure"],
            ["kubelet has disk pressure", "kubelet has no disk pressure"],
        ),
        pressure(
            "PIDPressure",
            false,
            ["KubeletHasInsufficientPID", "KubeletHasSufficientPID"],
            ["kubelet has insufficient PID available", "kubelet has sufficient PID available"],
        ),
        ready(health.network),
    ];
    let known = old.and_then(|old| old.conditions.as_ref());
    said.into_iter()
        .map(|(type_, holds, reason, message)| {
            let status = if holds { "True" } else { "False" };
            let before =
                known.into_iter().flatten().find(|known| known.type_ == type_ && known.status == status);
            let since = before.and_then(|before| before.last_transition_time.clone());
            NodeCondition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message.to_owned()),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: Some(since.unwrap_or(Time(now))),
            }
        })
        .collect()
}

type Said = (&'static str, bool, &'static str, &'static str);

fn pressure(
    type_: &'static str,
    holds: bool,
    reasons: [&'static str; 2],
    messages: [&'static str; 2],
) -> Said {
    let which = usize::from(!holds);
    (type_, holds, reasons[which], messages[which])
}

fn ready(network: bool) -> Said {
    if network {
        return ("Ready", true, "KubeletReady", "kubelet is posting ready status");
    }
    let message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:the node has no addresses for pods yet";
    ("Ready", false, "KubeletNotReady", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_turn_with_health_and_keep_their_times() {
        let health =
            Health { memory_pressure: false, disk_pressure: false, network: false, images: Vec::new() };
        let at = |second| Timestamp::from_second(second).unwrap();
        let first =
            NodeStatus { conditions: Some(conditions(&health, None, at(1))), ..NodeStatus::default() };
        let health = Health { network: true, disk_pressure: true, ..health };
        let second = conditions(&health, Some(&first), at(9));
        let words: Vec<_> = second
            .iter()
            .map(|condition| {
                let since = condition.last_transition_time.as_ref().unwrap().0.as_second();
                (
                    condition.type_.as_str(),
                    condition.status.as_str(),
                    condition.reason.as_deref().unwrap(),
                    since,
                )
            })
            .collect();
        assert_eq!(
            words,
            [
                ("MemoryPressure", "False", "KubeletHasSufficientMemory", 1),
                ("DiskPressure", "True", "KubeletHasDiskPressure", 9),
                ("PIDPressure", "False", "KubeletHasSufficientPID", 1),
                ("Ready", "True", "KubeletReady", 9),
            ]
        );
    }
}
