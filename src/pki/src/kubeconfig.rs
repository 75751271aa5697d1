//! The file that tells kubectl where the cluster is and who one is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Identity;

/// A kubeconfig with one cluster, one user and one context, all named `default` as k3s has them.
///
/// Written as JSON, which is YAML: every value is quoted right, whatever it holds.
pub fn render(server: &str, authority: &str, user: &Identity) -> String {
    let encode = |pem: &str| STANDARD.encode(pem);
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default", "cluster": {"server": server, "certificate-authority-data": encode(authority)}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
        "users": [{"name": "default", "user": {
            "client-certificate-data": encode(&user.certificate),
            "client-key-data": encode(&user.key),
        }}],
    });
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_holds_what_kubectl_looks_for() {
        let user = Identity { certificate: "cert".into(), key: "key".into() };
        let config: serde_json::Value =
            serde_json::from_str(&render("https://127.0.0.1:6443", "ca", &user)).unwrap();
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://127.0.0.1:6443");
        assert_eq!(config["users"][0]["user"]["client-key-data"], STANDARD.encode("key"));
        assert_eq!(config["contexts"][0]["name"], config["current-context"]);
    }
}
