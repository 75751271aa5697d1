//! `/`: every path that is served beside objects, for people who look around.

use std::collections::BTreeSet;

use api::kinds;
use serde_json::{Value, json};

const FIXED: [&str; 17] = [
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/apis/",
    "/healthz",
    "/healthz/ping",
    "/livez",
    "/livez/ping",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/readyz",
    "/readyz/ping",
    "/readyz/shutdown",
    "/version",
];

pub(crate) fn answer() -> Value {
    let mut paths: BTreeSet<String> = FIXED.map(String::from).into();
    for group in kinds::groups() {
        let root = if group.name.is_empty() { "/api".into() } else { format!("/apis/{}", group.name) };
        paths.extend(group.versions.iter().map(|version| format!("{root}/{version}")));
        paths.insert(root);
    }
    json!({"paths": paths})
}
