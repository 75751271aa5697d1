//! ConfigMaps, Secrets and ServiceAccounts: data for pods.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::Strategy;
use super::super::apps::rules::immutable;
use crate::field::{Errors, Node};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_zero_to, items_mut, members, object, remove, text};

/// All of an object's data together.
const SIZE_MAX: usize = 1024 * 1024;

pub(super) const CONFIG_MAP: Strategy =
    Strategy { validate: config_map, validate_update: config_map_update, ..Strategy::PLAIN };

pub(super) const SECRET: Strategy = Strategy {
    defaults: secret_defaults,
    validate: secret,
    validate_update: secret_update,
    ..Strategy::PLAIN
};

pub(super) const SERVICE_ACCOUNT: Strategy =
    Strategy { defaults: secrets_by_name, warnings: mountable_secrets, ..Strategy::PLAIN };

/// An account names secrets of its own namespace, and says nothing else about them.
fn secrets_by_name(account: &mut Value) {
    for fields in items_mut(account, "secrets").filter_map(Value::as_object_mut) {
        fields.retain(|field, _| field == "name");
    }
}

const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

fn mountable_secrets(account: &Value, old: Option<&Value>) -> Vec<String> {
    let said = |account: &Value| at(account, "metadata.annotations").get(MOUNTABLE).cloned();
    match said(account) {
        Some(now) if old.and_then(said) != Some(now.clone()) => vec![format!(
            "metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to \
             mounted secrets"
        )],
        _ => Vec::new(),
    }
}

fn config_map(config: &Node<'_, '_>, errors: &mut Errors) {
    let (data, binary) = (config.at("data"), config.at("binaryData"));
    let mut size = 0;
    for (key, value) in data.entries() {
        key_rule(key, &value, errors);
        if binary.value.get(key).is_some() {
            errors
                .push(value.invalid_as(key.as_str(), format!("duplicate of key present in {}", binary.path)));
        }
        size += value.text().len();
    }
    for (key, value) in binary.entries() {
        key_rule(key, &value, errors);
        size += decoded_size(value.value);
    }
    if size > SIZE_MAX {
        // Upstream names no field for what is a property of the whole object.
        let whole = Node::root(config.value);
        errors.push(whole.too_long(SIZE_MAX));
    }
}

fn key_rule(key: &str, at: &Node<'_, '_>, errors: &mut Errors) {
    errors.extend(names::config_key(key).into_iter().map(|problem| at.invalid_as(key, problem)));
}

fn decoded_size(value: &Value) -> usize {
    value.as_str().and_then(|text| STANDARD.decode(text).ok()).map_or(0, |bytes| bytes.len())
}

/// What was declared immutable stays so, with its data.
fn config_map_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    sealed(new, old, &["data", "binaryData"], errors);
}

fn sealed(new: &Node<'_, '_>, old: &Value, fields: &[&str], errors: &mut Errors) {
    if at(old, "immutable") != &Value::Bool(true) {
        return;
    }
    let seal = new.at("immutable");
    if seal.value != &Value::Bool(true) {
        errors.push(seal.forbidden("field is immutable when `immutable` is set"));
    }
    for field in fields {
        let field_node = new.at(field);
        if field_node.value != at(old, field) {
            errors.push(field_node.forbidden("field is immutable when `immutable` is set"));
        }
    }
}

/// `stringData` is write-only: it becomes `data`.
fn secret_defaults(secret: &mut Value) {
    default_zero_to(secret, "type", "Opaque");
    let plain = remove(secret, "stringData");
    let Some(plain) = plain.as_ref().and_then(Value::as_object).filter(|plain| !plain.is_empty()) else {
        return;
    };
    if let Some(data) = object(secret, "data") {
        for (key, value) in plain {
            let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
            data.insert(key.clone(), encoded.into());
        }
    }
}

/// The keys each type of Secret must have.
const REQUIRED: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];

fn secret(secret: &Node<'_, '_>, errors: &mut Errors) {
    let data = secret.at("data");
    let mut size = 0;
    for (key, value) in data.entries() {
        key_rule(key, &value, errors);
        size += decoded_size(value.value);
    }
    if size > SIZE_MAX {
        errors.push(data.too_long(SIZE_MAX));
    }
    match secret.at("type").text() {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            let annotations = secret.at("metadata.annotations");
            if annotations.value.get(key).is_none_or(crate::value::is_zero) {
                errors.push(annotations.key(key).required(""));
            }
        }
        "kubernetes.io/basic-auth" => {
            if ["username", "password"].iter().all(|key| data.value.get(key).is_none()) {
                errors.push(data.key("username").required(""));
                errors.push(data.key("password").required(""));
            }
        }
        kind => {
            let required =
                REQUIRED.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, keys)| keys);
            for key in required.iter().filter(|key| is_missing(kind, data.value.get(**key))) {
                errors.push(data.key(key).required(""));
            }
            docker_config(kind, &data, errors);
        }
    }
}

fn docker_config(kind: &str, data: &Node<'_, '_>, errors: &mut Errors) {
    let key = match kind {
        "kubernetes.io/dockercfg" => ".dockercfg",
        "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
        _ => return,
    };
    let content = data.value.get(key).and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let problem = match content.as_deref().map(serde_json::from_slice::<Value>) {
        None | Some(Ok(Value::Object(_) | Value::Null)) => return,
        Some(Err(error)) if error.is_eof() => "unexpected end of JSON input".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(other)) => {
            format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", sort(&other))
        }
    };
    errors.push(data.key(key).invalid_as("<secret contents redacted>", problem));
}

fn sort(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    }
}

/// An empty file is a file, but no private key.
fn is_missing(kind: &str, value: Option<&Value>) -> bool {
    match kind {
        "kubernetes.io/ssh-auth" => value.is_none_or(crate::value::is_zero),
        _ => value.is_none(),
    }
}

fn secret_update(new: &Node<'_, '_>, old: &Value, errors: &mut Errors) {
    immutable(&new.at("type"), at(old, "type"), errors);
    sealed(new, old, &["data"], errors);
}

pub(super) static CONFIG_MAP_TABLE: Table = Table {
    columns: &[NAME, Column::int("Data"), AGE],
    cells: |config, now| {
        let count = members(config, "data").count() + members(config, "binaryData").count();
        vec![name(config), count.into(), age(config, now)]
    },
};

pub(super) static SECRET_TABLE: Table = Table {
    columns: &[NAME, Column::text("Type"), Column::int("Data"), AGE],
    cells: |secret, now| {
        vec![
            name(secret),
            text(secret, "type").into(),
            members(secret, "data").count().into(),
            age(secret, now),
        ]
    },
};

pub(super) static SERVICE_ACCOUNT_TABLE: Table =
    Table { columns: &[NAME, AGE], cells: |account, now| vec![name(account), age(account, now)] };

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn sentences(rules: fn(&Node<'_, '_>, &mut Errors), object: Value) -> Vec<String> {
        let mut errors = Errors::new();
        rules(&Node::root(&object), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn string_data_becomes_data() {
        let mut object = json!({"data": {"a": "MQ=="}, "stringData": {"a": "2", "b": "3"}});
        secret_defaults(&mut object);
        assert_eq!(object, json!({"type": "Opaque", "data": {"a": "Mg==", "b": "Mw=="}}));
    }

    #[test]
    fn keys_and_types() {
        assert_eq!(sentences(config_map, json!({"data": {"a.b": "x"}})), [""; 0]);
        assert!(
            sentences(config_map, json!({"data": {"a/b": "x"}}))[0]
                .starts_with("data[a/b]: Invalid value: \"a/b\": a valid config key")
        );
        assert_eq!(
            sentences(secret, json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}})),
            ["data[tls.key]: Required value"]
        );
    }

    #[test]
    fn secrets_hold_what_their_type_says() {
        for (object, expected) in [
            (
                json!({"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}}),
                "data[ssh-privatekey]: Required value",
            ),
            (json!({"type": "kubernetes.io/dockercfg"}), "data[.dockercfg]: Required value"),
            (
                json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": ""}}),
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
            ),
            (
                json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": "W10="}}),
                "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            (
                json!({"type": "kubernetes.io/service-account-token"}),
                "metadata.annotations[kubernetes.io/service-account.name]: Required value",
            ),
        ] {
            assert_eq!(sentences(secret, object), [expected]);
        }
        assert_eq!(
            sentences(secret, json!({"type": "kubernetes.io/basic-auth"})),
            ["data[username]: Required value", "data[password]: Required value"]
        );
    }

    #[test]
    fn accounts_name_their_secrets() {
        let mut account = json!({"secrets": [{"name": "a", "namespace": "b", "kind": "Secret"}]});
        secrets_by_name(&mut account);
        assert_eq!(account, json!({"secrets": [{"name": "a"}]}));
        let account = json!({"metadata": {"annotations": {MOUNTABLE: "true"}}});
        assert_eq!(mountable_secrets(&account, None).len(), 1);
        assert_eq!(mountable_secrets(&account, Some(&account)), [""; 0]);
    }

    #[test]
    fn a_sealed_map_stays() {
        let mut errors = Errors::new();
        let new = json!({"data": {"a": "2"}, "immutable": true});
        config_map_update(&Node::root(&new), &json!({"data": {"a": "1"}, "immutable": true}), &mut errors);
        assert_eq!(errors[0].to_string(), "data: Forbidden: field is immutable when `immutable` is set");
    }
}
