//! What Services hold: handed out once, given back with them.

use super::*;

const SERVICES: &str = "/api/v1/namespaces/shop/services";

pub(crate) async fn with_networks(networks: &[&str]) -> Api {
    let api = Api::start().await;
    let cidr = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": networks}});
    let (code, answer) = api.post("/apis/networking.k8s.io/v1/servicecidrs", cidr).await;
    assert_eq!(code, 201, "{answer}");
    api
}

fn service(name: &str, spec: Value) -> Value {
    let mut object = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let Value::Object(members) = spec else { panic!("a spec is an object") };
    for (field, value) in members {
        object["spec"][field] = value;
    }
    object
}

async fn addresses(api: &Api) -> Vec<String> {
    let (_, list) = api.get("/apis/networking.k8s.io/v1/ipaddresses").await;
    verbs::names(&list).into_iter().map(Into::into).collect()
}

#[tokio::test]
async fn an_address_is_held_by_one_service_until_it_is_deleted() {
    let api = with_networks(&["10.43.0.0/16"]).await;
    let (code, till) = api.post(SERVICES, service("till", json!({}))).await;
    assert_eq!(code, 201, "{till}");
    let address = till["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.43."), "{till}");
    assert_eq!(till["spec"]["clusterIPs"], json!([address]));
    assert_eq!(
        (&till["spec"]["ipFamilies"], &till["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    assert_eq!(addresses(&api).await, std::slice::from_ref(&address));
    let (code, refused) = api.post(SERVICES, service("other", json!({"clusterIP": address}))).await;
    assert_eq!(code, 422);
    assert_eq!(
        refused["message"],
        format!(
            "Service \"other\" is invalid: spec.clusterIPs: Invalid value: [\"{address}\"]: failed to allocate IP {address}: provided IP is already allocated"
        )
    );
    let (code, again) = api.post(SERVICES, service("till", json!({"clusterIP": address}))).await;
    assert_eq!((code, &again["reason"]), (409, &json!("AlreadyExists")), "the name comes before the address");
    let (code, _) = api.delete(&format!("{SERVICES}/till"), None).await;
    assert_eq!((code, addresses(&api).await), (200, vec![]));
    let (code, answer) = api.post(SERVICES, service("other", json!({"clusterIP": address}))).await;
    assert_eq!(code, 201, "{answer}");
}

#[tokio::test]
async fn a_full_network_says_so_and_loses_nothing() {
    let api = with_networks(&["10.0.0.0/30"]).await;
    for name in ["a", "b"] {
        assert_eq!(api.post(SERVICES, service(name, json!({}))).await.0, 201);
    }
    let (code, refused) = api.post(SERVICES, service("c", json!({}))).await;
    assert_eq!(code, 500);
    assert!(
        refused["message"].as_str().unwrap().contains("failed to allocate a serviceIP: range is full"),
        "{refused}"
    );
    assert_eq!(addresses(&api).await.len(), 2);
    let (code, _) = api.post(SERVICES, service("c", json!({"clusterIP": "None"}))).await;
    assert_eq!(code, 201, "a headless one needs none");
}

#[tokio::test]
async fn services_made_at_once_never_share() {
    let api = with_networks(&["10.43.0.0/24"]).await;
    let made = futures_util::future::join_all((0..100).map(|index| {
        let api = &api;
        async move { api.post(SERVICES, service(&format!("s{index}"), json!({"type": "NodePort"}))).await }
    }));
    let mut seen = std::collections::BTreeSet::new();
    for (code, service) in made.await {
        assert_eq!(code, 201, "{service}");
        assert!(seen.insert(service["spec"]["clusterIP"].to_string()), "{service}");
        assert!(seen.insert(service["spec"]["ports"][0]["nodePort"].to_string()), "{service}");
    }
}

#[tokio::test]
async fn node_ports_follow_the_type() {
    let api = with_networks(&["10.43.0.0/16"]).await;
    let wanted = service(
        "till",
        json!({"type": "NodePort", "ports": [
        {"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"},
        {"name": "web", "port": 80, "nodePort": 30080}]}),
    );
    let (code, till) = api.post(SERVICES, wanted).await;
    assert_eq!(code, 201, "{till}");
    let ports = till["spec"]["ports"].as_array().unwrap();
    assert_eq!(ports[0]["nodePort"], ports[1]["nodePort"], "one number over both protocols");
    let (code, refused) = api
        .post(SERVICES, service("b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})))
        .await;
    assert_eq!(code, 422);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .ends_with("spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated")
    );
    let (_, refused) = api
        .post(SERVICES, service("b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})))
        .await;
    assert!(
        refused["message"].as_str().unwrap().ends_with("The range of valid ports is 30000-32767"),
        "{refused}"
    );
    let mut inside = till.clone();
    inside["spec"]["type"] = "ClusterIP".into();
    let (code, inside) = api.put(&format!("{SERVICES}/till"), inside).await;
    assert_eq!(
        (code, &inside["spec"]["ports"][2]),
        (200, &json!({"name": "web", "port": 80, "protocol": "TCP", "targetPort": 80}))
    );
    let (code, _) = api
        .post(SERVICES, service("b", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})))
        .await;
    assert_eq!(code, 201, "the port was given back");
}
