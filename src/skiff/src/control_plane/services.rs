//! The Services every cluster has: the API itself under the name `kubernetes`, and the name server.

use std::net::IpAddr;

use client::{Client, DeleteOptions, Error, Key, Patch};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::bootstrap::make;
use crate::cluster::Cluster;

const MANAGER: &str = "skiff";
/// What answers for these Services, in place of the proxies of the nodes.
const PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// Makes what is missing, and tells where the API is now.
pub(super) async fn bootstrap(
    client: &Client,
    cluster: &Cluster,
    address: IpAddr,
    port: u16,
) -> Result<(), Error> {
    let networks = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cluster.service_networks}});
    make(client, "/apis/networking.k8s.io/v1/servicecidrs", &networks).await?;
    make(client, "/api/v1/namespaces/default/services", &api_service(cluster, port)).await?;
    if cluster.has_dns {
        make(client, "/api/v1/namespaces/kube-system/services", &name_server(cluster)).await?;
    } else {
        remove_name_server(client).await?;
    }
    let key = Key::new("default", "kubernetes");
    let apply = |object| Patch::Apply { manager: MANAGER.into(), force: true, object };
    client.patch::<EndpointSlice>(&key, None, &apply(slice(address, port))).await?;
    client.patch::<Endpoints>(&key, None, &apply(endpoints(address, port))).await?;
    Ok(())
}

/// The first address of each network is the API's, by old custom.
pub(super) fn api_addresses(networks: &[IpNet]) -> impl Iterator<Item = IpAddr> {
    networks.iter().filter_map(|network| network.hosts().find(|address| *address != network.network()))
}

fn api_service(cluster: &Cluster, port: u16) -> Value {
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let first: Vec<IpAddr> = api_addresses(&cluster.service_networks).take(1).collect();
    json!({
        "metadata": {"name": "kubernetes", "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIPs": first, "clusterIP": first.first(), "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
    })
}

/// Every node answers at this address itself: nothing is forwarded, and nobody else gets the address.
fn name_server(cluster: &Cluster) -> Value {
    let labels = json!({"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS",
        PROXY_LABEL: "skiff"});
    let policy = if cluster.dns.len() > 1 { "RequireDualStack" } else { "SingleStack" };
    json!({
        "metadata": {"name": "kube-dns", "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIPs": cluster.dns, "clusterIP": cluster.dns.first(), "ipFamilyPolicy": policy,
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]},
    })
}

/// Makes room for somebody's own, unless that is there already.
async fn remove_name_server(client: &Client) -> Result<(), Error> {
    let key = Key::new("kube-system", "kube-dns");
    let ours = |service: &Service| {
        let labels = service.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(PROXY_LABEL)).is_some_and(|proxy| proxy == "skiff")
    };
    match client.get::<Service>(&key).await {
        Ok(service) if ours(&service) => client.delete::<Service>(&key, &DeleteOptions::default()).await,
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn slice(address: IpAddr, port: u16) -> Value {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    })
}

fn endpoints(address: IpAddr, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        // Without this label it would be mirrored into a second slice.
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    })
}
