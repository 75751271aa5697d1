//! The cluster's names, as CoreDNS answers them.

use hickory_proto::rr::RecordType::{A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use serde_json::{Value, json};

use crate::client::{ask, ask_by_tcp, exchange, question};
use crate::cluster::{Cluster, DNS};
use crate::machine::on_a_machine;

fn port() -> Value {
    json!([{"name": "http", "port": 80, "protocol": "TCP"}])
}

async fn shop() -> Cluster {
    let cluster = Cluster::start("").await;
    cluster.service("web", json!({"clusterIP": "10.43.0.80", "ports": port()})).await;
    cluster.service("peers", json!({"clusterIP": "None", "ports": port()})).await;
    let endpoints = json!([
        {"addresses": ["10.42.0.7"], "hostname": "peer-0", "conditions": {"ready": true}},
        {"addresses": ["10.42.1.8"], "conditions": {"ready": true}},
        {"addresses": ["10.42.1.9"], "hostname": "peer-2", "conditions": {"ready": false}},
    ]);
    cluster.slice("peers", "IPv4", endpoints).await;
    cluster
}

#[test]
fn services_have_addresses() {
    on_a_machine(&[DNS], async || {
        let cluster = shop().await;
        let web = ask("Web.shop.svc.cluster.local.", A).await;
        assert_eq!(
            (web.code().as_str(), web.answers()),
            ("NoError", vec!["Web.shop.svc.cluster.local. A 10.43.0.80".into()])
        );
        assert!(web.message.metadata.authoritative);
        assert_eq!(web.message.answers[0].ttl, 5);
        let peers = ask("peers.shop.svc.cluster.local.", A).await;
        assert_eq!(
            peers.answers(),
            ["peers.shop.svc.cluster.local. A 10.42.0.7", "peers.shop.svc.cluster.local. A 10.42.1.8"]
        );
        let first =
            async || ask("peers.shop.svc.cluster.local.", A).await.message.answers[0].data.to_string();
        assert_ne!(first().await, first().await, "they take turns");
        for (name, address) in [("peer-0", "10.42.0.7"), ("10-42-1-8", "10.42.1.8")] {
            let one = ask(&format!("{name}.peers.shop.svc.cluster.local."), A).await;
            assert_eq!(one.answers(), [format!("{name}.peers.shop.svc.cluster.local. A {address}")]);
        }
        drop(cluster);
    });
}

#[test]
fn what_is_not_there_is_denied_and_what_has_nothing_is_empty() {
    on_a_machine(&[DNS], async || {
        let cluster = shop().await;
        cluster.service("lonely", json!({"clusterIP": "None", "ports": port()})).await;
        for (name, kind, code) in [
            ("nothing.shop.svc.cluster.local.", A, "NXDomain"),
            ("web.other.svc.cluster.local.", A, "NXDomain"),
            ("lonely.shop.svc.cluster.local.", A, "NXDomain"),
            ("peer-2.peers.shop.svc.cluster.local.", A, "NXDomain"),
            ("web.shop.cluster.local.", A, "NXDomain"),
            ("_https._tcp.web.shop.svc.cluster.local.", SRV, "NXDomain"),
            ("other.svc.cluster.local.", A, "NXDomain"),
            ("web.shop.svc.cluster.local.", AAAA, "NoError"),
            ("web.shop.svc.cluster.local.", MX, "NoError"),
            ("peers.shop.svc.cluster.local.", AAAA, "NoError"),
            ("shop.svc.cluster.local.", A, "NoError"),
            ("cluster.local.", A, "NoError"),
        ] {
            let asked = ask(name, kind).await;
            assert_eq!((asked.code().as_str(), asked.answers().len()), (code, 0), "{name} {kind}");
            assert!(asked.has_soa() && asked.message.metadata.authoritative, "{name} {kind}");
        }
    });
}

#[test]
fn ports_have_servers() {
    on_a_machine(&[DNS], async || {
        let _cluster = shop().await;
        let web = ask("_http._tcp.web.shop.svc.cluster.local.", SRV).await;
        assert_eq!(
            web.answers(),
            ["_http._tcp.web.shop.svc.cluster.local. SRV 0 100 80 web.shop.svc.cluster.local."]
        );
        assert_eq!(web.additionals(), ["web.shop.svc.cluster.local. A 10.43.0.80"]);
        let peers = ask("_http._tcp.peers.shop.svc.cluster.local.", SRV).await;
        assert_eq!(
            peers.answers(),
            [
                "_http._tcp.peers.shop.svc.cluster.local. SRV 0 50 8080 10-42-1-8.peers.shop.svc.cluster.local.",
                "_http._tcp.peers.shop.svc.cluster.local. SRV 0 50 8080 peer-0.peers.shop.svc.cluster.local.",
            ]
        );
        assert_eq!(ask("peers.shop.svc.cluster.local.", SRV).await.answers().len(), 2);
    });
}

#[test]
fn addresses_have_names() {
    on_a_machine(&[DNS], async || {
        let _cluster = shop().await;
        let name = async |name: &str| {
            let asked = ask(name, PTR).await;
            (
                asked.code(),
                asked.message.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>(),
            )
        };
        let found = |name: &str| ("NoError".to_string(), vec![name.to_string()]);
        assert_eq!(name("80.0.43.10.in-addr.arpa.").await, found("web.shop.svc.cluster.local."));
        assert_eq!(name("7.0.42.10.in-addr.arpa.").await, found("peer-0.peers.shop.svc.cluster.local."));
        assert_eq!(name("99.0.42.10.in-addr.arpa.").await, ("NXDomain".into(), vec![]));
        assert_eq!(
            name("42.10.in-addr.arpa.").await,
            ("NXDomain".into(), vec![]),
            "nobody else may speak for it"
        );
    });
}

#[test]
fn pods_the_zone_and_other_names() {
    on_a_machine(&[DNS], async || {
        let cluster = shop().await;
        let data = async |name: &str, kind| {
            let asked = ask(name, kind).await;
            asked.message.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(data("10-42-0-7.shop.pod.cluster.local.", A).await, ["10.42.0.7"]);
        assert_eq!(data("fd00-42--7.shop.pod.cluster.local.", AAAA).await, ["fd00:42::7"]);
        assert_eq!(data("dns-version.cluster.local.", TXT).await, ["1.1.0"]);
        assert_eq!(data("cluster.local.", NS).await, ["ns.dns.cluster.local."]);
        assert_eq!(data("ns.dns.cluster.local.", A).await, [DNS]);
        assert_eq!(data("cluster.local.", SOA).await.len(), 1);
        cluster
            .service("alias", json!({"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"}))
            .await;
        assert_eq!(
            ask("alias.shop.svc.cluster.local.", A).await.answers(),
            [
                "alias.shop.svc.cluster.local. CNAME web.shop.svc.cluster.local.",
                "web.shop.svc.cluster.local. A 10.43.0.80",
            ]
        );
        assert_eq!(data("alias.shop.svc.cluster.local.", CNAME).await, ["web.shop.svc.cluster.local."]);
        cluster
            .service(
                "circle",
                json!({"type": "ExternalName", "externalName": "circle.shop.svc.cluster.local"}),
            )
            .await;
        assert_eq!(ask("circle.shop.svc.cluster.local.", A).await.code(), "ServFail");
    });
}

#[test]
fn long_answers_are_cut_and_come_whole_by_tcp() {
    on_a_machine(&[DNS], async || {
        let cluster = Cluster::start("").await;
        cluster.service("crowd", json!({"clusterIP": "None", "ports": port()})).await;
        let endpoints: Vec<Value> =
            (0..100).map(|last| json!({"addresses": [format!("10.42.0.{last}")]})).collect();
        cluster.slice("crowd", "IPv4", endpoints.into()).await;
        let asked = |payload| question("crowd.shop.svc.cluster.local.", A, payload);
        let plain = exchange(asked(None)).await;
        assert_eq!((plain.message.metadata.truncation, plain.answers().len()), (true, 0));
        let large = exchange(asked(Some(4096))).await;
        assert_eq!((large.message.metadata.truncation, large.answers().len()), (false, 100));
        for answer in ask_by_tcp(vec![asked(None), asked(None)]).await {
            assert_eq!((answer.message.metadata.truncation, answer.answers().len()), (false, 100));
        }
    });
}
