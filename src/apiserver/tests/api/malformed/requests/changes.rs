//! Changes of what is there.

use super::{APPLY, BAD, CONFLICT, INVALID, JSON, MERGE, MISSING, OPERATIONS, Row, STRATEGIC, patch, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "PUT /api/v1/namespaces/shop/configmaps/none",
        JSON,
        r#"{"metadata":{"name":"none"}}"#,
        MISSING,
        "configmaps \"none\" not found",
    ),
    row(
        "PUT /api/v1/namespaces/shop/configmaps/page",
        JSON,
        r#"{"metadata":{"name":"other"}}"#,
        BAD,
        "the name of the object (other) does not match the name on the URL (page)",
    ),
    row(
        "PUT /api/v1/namespaces/shop/configmaps/page",
        JSON,
        r#"{"metadata":{"name":"page","namespace":"other"}}"#,
        BAD,
        "the namespace of the object (other) does not match the namespace on the request (shop)",
    ),
    row(
        "PUT /api/v1/namespaces/shop/configmaps/page",
        JSON,
        r#"{"metadata":{"name":"page","resourceVersion":"1"}}"#,
        CONFLICT,
        "Operation cannot be fulfilled on configmaps \"page\": the object has been modified; please apply your changes \
         to the latest version and try again",
    ),
    row(
        "PUT /api/v1/namespaces/shop/configmaps/page",
        JSON,
        r#"{"metadata":{"name":"page","uid":"other"}}"#,
        CONFLICT,
        "Operation cannot be fulfilled on configmaps \"page\": StorageError: invalid object, Code: 4, Key: \
         /registry/configmaps/shop/page, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: other, UID in object meta: …",
    ),
    row(
        "PUT /api/v1/namespaces/shop/configmaps/fixed",
        JSON,
        r#"{"metadata":{"name":"fixed","namespace":"shop"},"immutable":true,"data":{"a":"c"}}"#,
        INVALID,
        "ConfigMap \"fixed\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
    ),
    row(
        "PATCH /apis/storage.k8s.io/v1/storageclasses/fast",
        MERGE,
        r#"{"provisioner":"c.example/d"}"#,
        INVALID,
        "StorageClass.storage.k8s.io \"fast\" is invalid: provisioner: Forbidden: updates to provisioner are forbidden.",
    ),
    row(
        "PATCH /api/v1/namespaces/shop/secrets/key",
        MERGE,
        r#"{"type":"other"}"#,
        INVALID,
        "Secret \"key\" is invalid: type: Invalid value: \"other\": field is immutable",
    ),
    // Patches.
    patch(MERGE, "{", BAD, "error decoding patch: unexpected end of JSON input"),
    patch(MERGE, r#"{"data":3}"#, INVALID, " \"\" is invalid: patch: Invalid value: …"),
    patch(
        MERGE,
        r#"{"metadata":{"name":"other"}}"#,
        BAD,
        "the name of the object (other) does not match the name on the URL (page)",
    ),
    patch(OPERATIONS, "{}", BAD, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
    patch(
        OPERATIONS,
        r#"[{"op":"test","path":"/data/a","value":"c"}]"#,
        INVALID,
        "the server rejected our request due to an error in our request",
    ),
    patch(
        OPERATIONS,
        r#"[{"op":"remove","path":"/data/none"}]"#,
        INVALID,
        "the server rejected our request due to an error in our request",
    ),
    patch(
        OPERATIONS,
        r#"[{"op":"jump","path":"/data"}]"#,
        INVALID,
        "the server rejected our request due to an error in our request",
    ),
    patch(
        OPERATIONS,
        r#"[{"op":"add","path":"/data/a~2b","value":1}]"#,
        INVALID,
        " \"\" is invalid: patch: Invalid value: …",
    ),
    patch(
        OPERATIONS,
        "<many operations>",
        (413, "RequestEntityTooLarge"),
        "Request entity is too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    ),
    patch(STRATEGIC, "[]", BAD, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    patch(STRATEGIC, r#"{"$patch":"sideways"}"#, (500, ""), "unknown patch type: sideways in map: …"),
    patch(
        STRATEGIC,
        r#"{"data":{"a":{"b":1}}}"#,
        INVALID,
        " \"\" is invalid: patch: Invalid value: \"map[data:map[a:map[b:1]]]\": json: cannot unmarshal object into Go \
         struct field ConfigMap.data of type string",
    ),
    patch(
        APPLY,
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: page}\n",
        INVALID,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    ),
    row("PATCH /api/v1/namespaces/shop/configmaps/page?fieldManager=t", APPLY, "a: [", BAD, "error…"),
    row(
        "PATCH /api/v1/namespaces/shop/configmaps/page?fieldManager=t",
        APPLY,
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: page}\ndata: {a: other}\n",
        CONFLICT,
        "Apply failed with 1 conflict: conflict with \"unknown\" using v1: .data.a",
    ),
];
