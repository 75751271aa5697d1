//! Objects of another kind, or with members of another type.

use super::{BAD, JSON, Row, make, row};

pub(super) const ROWS: &[Row] = &[
    make(
        r#"{"kind":"Secret","apiVersion":"v1"}"#,
        BAD,
        "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): \
         unknown conversion",
    ),
    make(
        r#"{"kind":"Nothing","apiVersion":"v1"}"#,
        BAD,
        "Nothing in version \"v1\" cannot be handled as a ConfigMap: no kind \"Nothing\" is registered for version \
         \"v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
    ),
    make(
        r#"{"kind":"Deployment","apiVersion":"apps/v1"}"#,
        BAD,
        "Deployment in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Deployment) to (core.ConfigMap): \
         unknown conversion",
    ),
    make(
        r#"{"data":3}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct \
         field ConfigMap.data of type map[string]string",
    ),
    make(
        r#"{"data":{"a":1}}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct \
         field ConfigMap.data of type string",
    ),
    make(
        r#"{"metadata":"x"}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal string into Go struct \
         field ConfigMap.metadata of type v1.ObjectMeta",
    ),
    make(
        r#"{"metadata":{"labels":["a"]}}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal array into Go struct \
         field ObjectMeta.metadata.labels of type map[string]string",
    ),
    make(
        r#"{"metadata":{"generation":1.5}}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number 1.5 into Go struct \
         field ObjectMeta.metadata.generation of type int64",
    ),
    make(
        r#"{"immutable":"yes"}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal string into Go struct \
         field ConfigMap.immutable of type bool",
    ),
    row(
        "POST /api/v1/namespaces/shop/configmaps?fieldValidation=Strict",
        JSON,
        r#"{"metadata":{"name":"x"},"none":1}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"none\"",
    ),
    row(
        "POST /api/v1/namespaces/shop/configmaps?fieldValidation=Strict",
        JSON,
        r#"{"metadata":{"name":"x"},"data":{"a":"b","a":"c"}}"#,
        BAD,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \
         \"data.a\"",
    ),
    row(
        "POST /apis/apps/v1/namespaces/shop/deployments",
        JSON,
        r#"{"spec":{"replicas":"2"}}"#,
        BAD,
        "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct \
         field DeploymentSpec.spec.replicas of type int32",
    ),
    row(
        "POST /api/v1/namespaces/shop/secrets",
        JSON,
        r#"{"metadata":{"name":"x"},"data":{"a":"not base64"}}"#,
        BAD,
        "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 3",
    ),
    row(
        "POST /api/v1/namespaces/shop/pods",
        JSON,
        r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"much"}}}]}}"#,
        BAD,
        "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
];
