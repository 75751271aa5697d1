//! Names that are not the cluster's, and resolvers that are slow, dead or ask us back.

use hickory_proto::rr::RecordType::{A, PTR};
use serde_json::json;

use crate::client::{ask, ask_by_tcp, question};
use crate::cluster::{Cluster, DNS};
use crate::machine::on_a_machine;
use crate::upstream::Upstream;

const RESOLVER: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";
const NAME: &str = "www.example.test.";

#[test]
fn other_names_are_asked_of_the_node_s_resolver_and_remembered() {
    on_a_machine(&[DNS, RESOLVER], async || {
        let upstream = Upstream::start(RESOLVER, NAME, 1).await;
        let _cluster = Cluster::start(&format!("nameserver {RESOLVER}\n")).await;
        for _ in 0..3 {
            let asked = ask("WWW.example.test.", A).await;
            assert_eq!((asked.code().as_str(), asked.answers().len()), ("NoError", 1));
            assert!(!asked.message.metadata.authoritative && asked.message.metadata.recursion_available);
        }
        assert_eq!(upstream.asked(), 1);
        assert_eq!(ask("other.example.test.", A).await.code(), "NXDomain");
    });
}

#[test]
fn nothing_of_the_cluster_is_asked_of_others() {
    on_a_machine(&[DNS, RESOLVER], async || {
        let upstream = Upstream::start(RESOLVER, NAME, 1).await;
        let _cluster = Cluster::start(&format!("nameserver {RESOLVER}\n")).await;
        for name in ["web.shop.svc.cluster.local.", "cluster.local.", "a.b.c.d.e.cluster.local."] {
            ask(name, A).await;
        }
        for name in ["7.0.42.10.in-addr.arpa.", "43.10.in-addr.arpa.", "0.43.10.in-addr.arpa."] {
            ask(name, PTR).await;
        }
        assert_eq!(upstream.asked(), 0);
        ask("1.2.0.192.in-addr.arpa.", PTR).await;
        assert_eq!(upstream.asked(), 1);
    });
}

#[test]
fn an_external_name_is_resolved_to_the_end() {
    on_a_machine(&[DNS, RESOLVER], async || {
        let _upstream = Upstream::start(RESOLVER, NAME, 1).await;
        let cluster = Cluster::start(&format!("nameserver {RESOLVER}\n")).await;
        cluster.service("out", json!({"type": "ExternalName", "externalName": "www.example.test"})).await;
        let whole =
            ["out.shop.svc.cluster.local. CNAME www.example.test.", "www.example.test. A 198.51.100.0"];
        for _ in 0..2 {
            assert_eq!(ask("out.shop.svc.cluster.local.", A).await.answers(), whole);
        }
    });
}

#[test]
fn the_next_resolver_is_asked_when_one_is_dead() {
    on_a_machine(&[DNS, RESOLVER, OTHER], async || {
        let _upstream = Upstream::start(OTHER, NAME, 1).await;
        let _cluster = Cluster::start(&format!("nameserver {RESOLVER}\nnameserver {OTHER}\n")).await;
        assert_eq!(ask(NAME, A).await.answers().len(), 1);
    });
}

#[test]
fn a_long_answer_is_fetched_by_tcp() {
    on_a_machine(&[DNS, RESOLVER], async || {
        let _upstream = Upstream::start(RESOLVER, NAME, 100).await;
        let _cluster = Cluster::start(&format!("nameserver {RESOLVER}\n")).await;
        let asked = ask(NAME, A).await;
        assert_eq!((asked.message.metadata.truncation, asked.answers().len()), (true, 0));
        assert_eq!(ask_by_tcp(vec![question(NAME, A, None)]).await[0].answers().len(), 100);
    });
}

#[test]
fn a_resolver_that_asks_us_back_is_no_way_to_hang() {
    on_a_machine(&[DNS, RESOLVER], async || {
        // Sends whatever it is asked to us, from the address it was asked at, and the answer back.
        let server = tokio::net::UdpSocket::bind((RESOLVER, 53)).await.unwrap();
        let mut tasks = task::Tasks::new();
        tasks.spawn("mirror", async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, asker) = server.recv_from(&mut buffer).await.unwrap();
                let ours = tokio::net::UdpSocket::bind((RESOLVER, 0)).await.unwrap();
                ours.send_to(&buffer[..length], (DNS, 53)).await.unwrap();
                let length = ours.recv(&mut buffer).await.unwrap();
                server.send_to(&buffer[..length], asker).await.unwrap();
            }
        });
        let _cluster = Cluster::start(&format!("nameserver {RESOLVER}\n")).await;
        assert_eq!(ask(NAME, A).await.code(), "ServFail");
    });
}

#[test]
fn without_resolvers_other_names_fail_and_with_new_ones_they_do_not() {
    on_a_machine(&[DNS, RESOLVER], async || {
        let _upstream = Upstream::start(RESOLVER, NAME, 1).await;
        let cluster = Cluster::start(&format!("nameserver {DNS}\n")).await;
        assert_eq!(ask(NAME, A).await.code(), "ServFail", "we do not ask ourselves");
        let new = cluster.resolv_conf().with_extension("new");
        std::fs::write(&new, format!("nameserver {RESOLVER}\n")).unwrap();
        std::fs::rename(&new, cluster.resolv_conf()).unwrap();
        // The change is seen a moment later; until then the answer is the old one.
        while ask(NAME, A).await.code() == "ServFail" {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(NAME, A).await.answers().len(), 1);
    });
}
