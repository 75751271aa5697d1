//! Objects that break the rules of their metadata or their kind.

use super::{BAD, INVALID, JSON, MISSING, Row, make, row};

pub(super) const ROWS: &[Row] = &[
    make(
        "{}",
        INVALID,
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
    ),
    make(
        r#"{"metadata":{"name":"No"}}"#,
        INVALID,
        "ConfigMap \"No\" is invalid: metadata.name: Invalid value: \"No\": a lowercase RFC 1123 subdomain must consist \
         of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
         'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ),
    make(
        r#"{"metadata":{"name":"a/b"}}"#,
        INVALID,
        "ConfigMap \"a/b\" is invalid: metadata.name: Invalid value: …",
    ),
    make(
        r#"{"metadata":{"name":".."}}"#,
        INVALID,
        "ConfigMap \"..\" is invalid: metadata.name: Invalid value: …",
    ),
    make(r#"{"metadata":{"name":"page"}}"#, (409, "AlreadyExists"), "configmaps \"page\" already exists"),
    make(
        r#"{"metadata":{"name":"x","namespace":"other"}}"#,
        BAD,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    row(
        "POST /api/v1/namespaces/none/configmaps",
        JSON,
        r#"{"metadata":{"name":"x"}}"#,
        MISSING,
        "namespaces \"none\" not found",
    ),
    row(
        "POST /api/v1/namespaces",
        JSON,
        r#"{"metadata":{"name":"shop"}}"#,
        (409, "AlreadyExists"),
        "namespaces \"shop\" already exists",
    ),
    // Rules of metadata and of kinds.
    make(
        r#"{"metadata":{"name":"x","labels":{"a":"-"}}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: metadata.labels: Invalid value: \"-\": a valid label must be an empty string or \
         consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
         (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
         '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    make(
        r#"{"metadata":{"name":"x","labels":{"a/b/c":"d"}}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: metadata.labels: Invalid value: \"a/b/c\": a qualified name must consist of alphanumeric characters…",
    ),
    make(
        r#"{"metadata":{"name":"x","annotations":{"":"d"}}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: [metadata.annotations: Invalid value: \"\": name part must be non-empty…",
    ),
    make(
        r#"{"metadata":{"name":"x","ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p"}]}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
    ),
    make(
        r#"{"metadata":{"name":"x"},"data":{"a/b":"c"}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric \
         characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
         '[-._a-zA-Z0-9]+')",
    ),
    make(
        r#"{"metadata":{"name":"x"},"data":{"a":"b"},"binaryData":{"a":"Yg=="}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
    ),
    row(
        "POST /apis/apps/v1/namespaces/shop/deployments",
        JSON,
        r#"{"metadata":{"name":"x"}}"#,
        INVALID,
        "Deployment.apps \"x\" is invalid: [spec.selector: Required value, …",
    ),
    row(
        "POST /api/v1/namespaces/shop/pods",
        JSON,
        r#"{"metadata":{"name":"x"},"spec":{"containers":[]}}"#,
        INVALID,
        "Pod \"x\" is invalid: spec.containers: Required value",
    ),
    row(
        "POST /api/v1/namespaces",
        JSON,
        r#"{"metadata":{"name":"a.b"}}"#,
        INVALID,
        "Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": must not contain dots",
    ),
    make(
        r#"{"metadata":{"name":"x","finalizers":["a"]}}"#,
        INVALID,
        "ConfigMap \"x\" is invalid: metadata.finalizers[0]: Invalid value: \"a\": name is neither a standard finalizer \
         name nor is it fully qualified",
    ),
];
