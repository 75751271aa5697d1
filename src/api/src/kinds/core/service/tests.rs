//! What is found in Services, one line a case.

use serde_json::{Value, json};

use crate::kinds::{Kind, Part, by_resource};

fn kind() -> &'static Kind {
    by_resource("", "v1", "services").unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
fn service(spec: Value) -> Value {
    let mut object = json!({"metadata": {"name": "x", "namespace": "d"}, "spec": spec});
    kind().default_object(&mut object);
    kind().prepare_create(
        &mut object,
        &crate::metadata::Birth {
            namespace: Some("d"),
            uid: "u",
            now: jiff::Timestamp::UNIX_EPOCH,
            suffix: "s",
        },
    );
    object
}

fn found(spec: Value) -> Vec<String> {
    kind().validate_create(&service(spec)).iter().map(ToString::to_string).collect()
}

#[test]
fn what_a_service_must_say() {
    let ok = || json!([{"port": 80}]);
    for (spec, errors) in [
        (json!({"ports": ok()}), &[][..]),
        (json!({"clusterIP": "None"}), &[]),
        (json!({}), &["spec.ports: Required value"]),
        (
            json!({"ports": [{"port": 0, "targetPort": 1}]}),
            &["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            json!({"ports": [{"port": 80}, {"port": 81, "name": "a"}]}),
            &["spec.ports[0].name: Required value"],
        ),
        (
            json!({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}),
            &["spec.ports[1].name: Duplicate value: \"a\""],
        ),
        (
            json!({"ports": [{"port": 1, "protocol": "X"}]}),
            &[
                "spec.ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
        (
            json!({"ports": [{"port": 80, "nodePort": 30000}]}),
            &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "name": "a", "nodePort": 3}, {"port": 2, "name": "b", "nodePort": 3}]}),
            &["spec.ports[1].nodePort: Duplicate value: 3"],
        ),
        (
            json!({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}),
            &["spec.ports[1]: Duplicate value: {\"port\":1,\"protocol\":\"TCP\"}"],
        ),
        (
            json!({"type": "Magic", "ports": ok()}),
            &[
                "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ],
        ),
        (
            json!({"type": "NodePort", "clusterIP": "None", "ports": ok()}),
            &["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            json!({"type": "ExternalName", "clusterIP": "10.0.0.1"}),
            &[
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
                "spec.externalName: Required value",
            ],
        ),
        (json!({"type": "ExternalName", "externalName": "a.b."}), &[]),
        (
            json!({"ports": ok(), "sessionAffinity": "Sticky"}),
            &[
                "spec.sessionAffinity: Unsupported value: \"Sticky\": supported values: \"ClientIP\", \"None\"",
            ],
        ),
        (
            json!({"ports": ok(), "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}),
            &[
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
            ],
        ),
        (
            json!({"ports": ok(), "externalIPs": ["127.0.0.1", "x"]}),
            &[
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "spec.externalIPs[1]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
    ] {
        assert_eq!(found(spec.clone()), errors, "{spec}");
    }
}

#[test]
fn addresses_and_families_agree() {
    let with = |mut spec: Value| {
        spec["ports"] = json!([{"port": 80}]);
        found(spec)
    };
    for (spec, error) in [
        (
            json!({"clusterIPs": ["10.0.0.1"]}),
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified",
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]}),
            "spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match `clusterIP`",
        ),
        (
            json!({"clusterIP": "010.0.0.1"}),
            "spec.clusterIPs[0]: Invalid value: \"010.0.0.1\": must not have leading 0s",
        ),
        (
            json!({"clusterIP": "None", "clusterIPs": ["None", "::1"]}),
            "spec.clusterIPs: Invalid value: [\"None\",\"::1\"]: 'None' must be the first and only value",
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"]}),
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family",
        ),
        (
            json!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]}),
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
        ),
        (json!({"ipFamilies": ["IPv6", "IPv6"]}), "spec.ipFamilies[1]: Duplicate value: \"IPv6\""),
        (
            json!({"ipFamilies": ["IPv5"]}),
            "spec.ipFamilies[0]: Unsupported value: \"IPv5\": supported values: \"IPv4\", \"IPv6\"",
        ),
        (
            json!({"ipFamilyPolicy": "Both"}),
            "spec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
        ),
    ] {
        assert_eq!(with(spec.clone()), [error], "{spec}");
    }
    assert_eq!(with(json!({"clusterIP": "10.0.0.1"})), [""; 0]);
}

#[test]
fn policies_and_balancers() {
    let with = |mut spec: Value| {
        spec["ports"] = json!([{"port": 80}]);
        found(spec)
    };
    for (spec, error) in [
        (
            json!({"externalTrafficPolicy": "Local"}),
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        (
            json!({"type": "NodePort", "externalTrafficPolicy": "X"}),
            "spec.externalTrafficPolicy: Unsupported value: \"X\": supported values: \"Cluster\", \"Local\"",
        ),
        (
            json!({"healthCheckNodePort": 30000}),
            "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
        (
            json!({"internalTrafficPolicy": "X"}),
            "spec.internalTrafficPolicy: Unsupported value: \"X\": supported values: \"Cluster\", \"Local\"",
        ),
        (
            json!({"trafficDistribution": "X"}),
            "spec.trafficDistribution: Unsupported value: \"X\": supported values: \"PreferClose\", \"PreferSameNode\", \"PreferSameZone\"",
        ),
        (
            json!({"loadBalancerClass": "a/b"}),
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            json!({"allocateLoadBalancerNodePorts": false}),
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}),
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancerSourceRanges": [" 10.0.0.0/8 ", "10.0.0.1/8"]}),
            "spec.LoadBalancerSourceRanges[1]: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length",
        ),
    ] {
        assert_eq!(with(spec.clone()), [error], "{spec}");
    }
}

#[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
fn updated(old: Value, new: Value) -> Vec<String> {
    let old = service(old);
    let mut new = json!({"metadata": old["metadata"], "spec": new});
    kind().default_object(&mut new);
    kind().prepare_update(&mut new, &old, Part::Main);
    kind().validate_update(&new, &old, Part::Main).iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_handed_out_stays() {
    let ports = json!([{"port": 80}]);
    let at = |ip: &str| json!({"clusterIP": ip, "ports": ports});
    let mut other = at("10.0.0.2");
    other["clusterIPs"] = json!(["10.0.0.1"]);
    assert_eq!(
        updated(at("10.0.0.1"), other),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]
    );
    assert_eq!(updated(at("10.0.0.1"), json!({"ports": ports})), [""; 0]);
    assert_eq!(
        updated(at("10.0.0.1"), json!({"type": "ExternalName", "externalName": "a.b", "clusterIP": ""})),
        [""; 0]
    );
    let both = |policy: &str| {
        json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": policy, "ports": ports})
    };
    assert_eq!(
        updated(both("RequireDualStack"), both("SingleStack")),
        [""; 0],
        "the second address goes by itself"
    );
    let one = json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "PreferDualStack", "ports": ports});
    assert_eq!(
        updated(both("RequireDualStack"), one),
        [
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP",
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary ipFamily",
        ]
    );
    let class = |name: &str| json!({"type": "LoadBalancer", "loadBalancerClass": name, "ports": ports});
    assert_eq!(
        updated(class("a/b"), class("a/c")),
        ["spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set"]
    );
}

#[test]
fn the_status_belongs_to_load_balancers() {
    let written = |kind_of: &str, entry: Value| {
        let old = service(json!({"type": kind_of, "ports": [{"port": 80}]}));
        let mut new = old.clone();
        new["status"] = json!({"loadBalancer": {"ingress": [entry]}});
        kind().default_object(&mut new);
        kind().validate_update(&new, &old, Part::Status).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(written("LoadBalancer", json!({"ip": "10.0.0.1"})), [""; 0], "the mode is VIP by default");
    let forbidden =
        "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'";
    assert_eq!(written("ClusterIP", json!({"ip": "10.0.0.1"})), [forbidden]);
    assert_eq!(
        written("LoadBalancer", json!({"hostname": "10.0.0.1", "ipMode": "VIP"})),
        [
            "status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set",
            "status.loadBalancer.ingress[0].hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
        ]
    );
}

#[test]
fn warned_of() {
    let warned = |spec: Value| kind().warnings(&service(spec), None);
    assert_eq!(
        warned(
            json!({"ports": [{"port": 80}], "externalName": "x", "externalIPs": ["FD00::1"], "trafficDistribution": "PreferClose"})
        ),
        [
            "spec.externalIPs[0]: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")",
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
        ]
    );
    assert_eq!(
        warned(json!({"clusterIP": "None", "sessionAffinity": "ClientIP"})),
        ["spec.SessionAffinity is ignored for headless services"]
    );
}
