//! What is asked wrongly, and how upstream answers.

/// One request and its refusal.
pub(super) struct Row {
    /// Method and path.
    pub(super) ask: &'static str,
    pub(super) headers: &'static [&'static str],
    pub(super) body: &'static str,
    pub(super) code: u16,
    pub(super) reason: &'static str,
    /// Whole, or its beginning if it ends in `…`: what follows are the words of a parser of ours.
    pub(super) message: &'static str,
}

/// The objects that the requests are about, and where they are made.
pub(super) const GROUND: [(&str, &str); 4] = [
    ("/api/v1/namespaces/shop/configmaps", r#"{"metadata":{"name":"page"},"data":{"a":"b"}}"#),
    (
        "/api/v1/namespaces/shop/configmaps",
        r#"{"metadata":{"name":"fixed"},"immutable":true,"data":{"a":"b"}}"#,
    ),
    ("/api/v1/namespaces/shop/secrets", r#"{"metadata":{"name":"key"},"data":{"k":"dg=="}}"#),
    ("/apis/storage.k8s.io/v1/storageclasses", r#"{"metadata":{"name":"fast"},"provisioner":"a.example/b"}"#),
];

/// Bodies that are too large, or too strange, to write down.
pub(super) fn body(text: &str) -> Vec<u8> {
    match text {
        "<4 MiB>" => vec![b' '; 4 << 20],
        "<deep>" => b"[".repeat(100_000),
        "<no UTF-8>" => b"{\"data\":{\"a\":\"\xff\xfe\"}}".to_vec(),
        "<many operations>" => {
            let operations = r#"{"op":"test","path":"/data/a","value":"b"},"#.repeat(10_001);
            format!("[{}]", operations.trim_end_matches(',')).into_bytes()
        }
        text => text.into(),
    }
}

const JSON: &[&str] = &["Content-Type: application/json"];
const YAML: &[&str] = &["Content-Type: application/yaml"];
const OPERATIONS: &[&str] = &["Content-Type: application/json-patch+json"];
const MERGE: &[&str] = &["Content-Type: application/merge-patch+json"];
const STRATEGIC: &[&str] = &["Content-Type: application/strategic-merge-patch+json"];
const APPLY: &[&str] = &["Content-Type: application/apply-patch+yaml"];

const fn row(
    ask: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    (code, reason): (u16, &'static str),
    message: &'static str,
) -> Row {
    Row { ask, headers, body, code, reason, message }
}

const fn get(ask: &'static str, refusal: (u16, &'static str), message: &'static str) -> Row {
    row(ask, &[], "", refusal, message)
}

/// A ConfigMap that cannot be made.
const fn make(body: &'static str, refusal: (u16, &'static str), message: &'static str) -> Row {
    row("POST /api/v1/namespaces/shop/configmaps", JSON, body, refusal, message)
}

const fn patch(
    headers: &'static [&'static str],
    body: &'static str,
    refusal: (u16, &'static str),
    message: &'static str,
) -> Row {
    row("PATCH /api/v1/namespaces/shop/configmaps/page", headers, body, refusal, message)
}

const BAD: (u16, &str) = (400, "BadRequest");
const MISSING: (u16, &str) = (404, "NotFound");
const METHOD: (u16, &str) = (405, "MethodNotAllowed");
const CONFLICT: (u16, &str) = (409, "Conflict");
const INVALID: (u16, &str) = (422, "Invalid");
const MEDIA: (u16, &str) = (415, "UnsupportedMediaType");
const NO_RESOURCE: &str = "the server could not find the requested resource";
const NO_METHOD: &str = "the server does not allow this method on the requested resource";

pub(super) const ROWS: &[Row] = &[
    // Paths and methods.
    get("GET /api/v1/nothings", MISSING, NO_RESOURCE),
    get("GET /api/v1/configmaps/page", MISSING, NO_RESOURCE),
    get("GET /api/v1/namespaces/shop/nodes", MISSING, NO_RESOURCE),
    get("GET /apis/apps/v1/pods", MISSING, NO_RESOURCE),
    get("GET /api/v1/namespaces/shop/nothings/page", MISSING, NO_RESOURCE),
    get("GET /api/v1/namespaces/shop/configmaps/page/status", MISSING, NO_RESOURCE),
    get("GET /api/v1/namespaces/shop/configmaps/page/scale", MISSING, NO_RESOURCE),
    get("GET /api/v1/namespaces/shop/configmaps/none", MISSING, "configmaps \"none\" not found"),
    get("GET /apis/apps/v1/namespaces/shop/deployments/none", MISSING, "deployments.apps \"none\" not found"),
    get(
        "GET /apis/apps/v1/namespaces/shop/deployments/none/scale",
        MISSING,
        "deployments.apps \"none\" not found",
    ),
    get(
        "GET /apis/apps/v1/namespaces/shop/deployments/none/status",
        MISSING,
        "deployments.apps \"none\" not found",
    ),
    get("GET /api/v1/namespaces/none", MISSING, "namespaces \"none\" not found"),
    get("GET /api/v1/nodes/none", MISSING, "nodes \"none\" not found"),
    get(
        "GET /apis/storage.k8s.io/v1/storageclasses/none",
        MISSING,
        "storageclasses.storage.k8s.io \"none\" not found",
    ),
    get("GET /api/v1/namespaces/none/configmaps/page", MISSING, "configmaps \"page\" not found"),
    get("GET /api/v1/namespaces/shop/configmaps/PAGE", MISSING, "configmaps \"PAGE\" not found"),
    get("GET /api/v1/namespaces/shop/configmaps/%F0%9F%A6%80", MISSING, "configmaps \"🦀\" not found"),
    get("DELETE /api/v1/namespaces/shop/configmaps/none", MISSING, "configmaps \"none\" not found"),
    get("DELETE /api/v1/namespaces/none", MISSING, "namespaces \"none\" not found"),
    get("DELETE /api/v1/namespaces/shop/configmaps/page/status", MISSING, NO_RESOURCE),
    get("DELETE /api/v1/namespaces", METHOD, NO_METHOD),
    get("DELETE /api/v1/configmaps", METHOD, NO_METHOD),
    get("DELETE /apis/apps/v1/deployments", METHOD, NO_METHOD),
    row("POST /api/v1/configmaps", JSON, "{}", METHOD, NO_METHOD),
    row("PURGE /api/v1/namespaces/shop/configmaps/page", &[], "", METHOD, NO_METHOD),
    row("POST /version", JSON, "{}", METHOD, NO_METHOD),
    row("DELETE /apis/apps/v1", &[], "", METHOD, NO_METHOD),
    // Options.
    get(
        "GET /api/v1/configmaps?fieldSelector=data.a=b",
        BAD,
        "\"data.a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
    ),
    get("GET /api/v1/pods?fieldSelector=spec.none=b", BAD, "field label not supported: spec.none"),
    row(
        "DELETE /api/v1/namespaces/shop/configmaps/page",
        JSON,
        r#"{"preconditions":{"resourceVersion":"1"}}"#,
        CONFLICT,
        "Operation cannot be fulfilled on ConfigMap \"page\": the ResourceVersion in the precondition (1) does not match \
         the ResourceVersion in record (…",
    ),
    // Media types.
    row(
        "POST /api/v1/namespaces/shop/configmaps",
        &["Content-Type: text/html"],
        "<p>",
        MEDIA,
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf",
    ),
    patch(
        JSON,
        "{}",
        MEDIA,
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
         application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
    ),
    patch(
        YAML,
        "a: b",
        MEDIA,
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
         application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
    ),
    // Bodies that are no objects.
    make(
        "{",
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         unexpected end of JSON input ({)",
    ),
    make(
        "nonsense",
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character 'o' in literal null (expecting 'u') (6e6f6e73656e7365)",
    ),
    make(
        r#"{"kind":"ConfigMap",}"#,
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character '}' looking for beginning of object key string ({\"kind\":\"ConfigMap\",})",
    ),
    make(
        r#"{"kind" "ConfigMap"}"#,
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character '\"' after object key ({\"kind\" \"ConfigMap\"})",
    ),
    make(
        r#"{"kind":"ConfigMap"} x"#,
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character 'x' after top-level value ({\"kind\":\"ConfigMap\"} x)",
    ),
    make(
        r#"{"data":{"a":NaN}}"#,
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character 'N' looking for beginning of value ({\"data\":{\"a\":NaN}})",
    ),
    make(
        "{\"data\":{\"a\":\"\n\"}}",
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character '\\n' in string literal ({\"data\":{\"a\":\"\n\"}})",
    ),
    make(
        r#"{"data":{"a":"\x"}}"#,
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character 'x' in string escape code ({\"data\":{\"a\":\"\\x\"}})",
    ),
    make(
        r#"{"data":01}"#,
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         invalid character '1' after object key:value pair ({\"data\":01})",
    ),
    make("<4 MiB>", (413, "RequestEntityTooLarge"), "Request entity is too large: limit is 3145728"),
    // Objects of another kind, or with members of another type.
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
    // Names and namespaces.
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
    // Changes.
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
    patch(
        MERGE,
        r#"{"data":3}"#,
        BAD,
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type \
         map[string]string",
    ),
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
        BAD,
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
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
        BAD,
        "json: cannot unmarshal object into Go struct field ConfigMap.data of type string",
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
    // Subresources.
    row(
        "PUT /apis/apps/v1/namespaces/shop/deployments/none/scale",
        JSON,
        r#"{"spec":{"replicas":1}}"#,
        MISSING,
        "deployments.apps \"none\" not found",
    ),
    row(
        "POST /api/v1/namespaces/shop/pods/none/binding",
        JSON,
        r#"{"metadata":{"name":"none"},"target":{"kind":"Node","name":"n"}}"#,
        MISSING,
        "pods \"none\" not found",
    ),
    row(
        "POST /api/v1/namespaces/shop/pods/none/eviction",
        JSON,
        r#"{"metadata":{"name":"none"}}"#,
        MISSING,
        "pods \"none\" not found",
    ),
    get("GET /api/v1/namespaces/shop/pods/none/log", MISSING, "pods \"none\" not found"),
    row(
        "POST /api/v1/namespaces/shop/serviceaccounts/none/token",
        JSON,
        "{}",
        MISSING,
        "serviceaccounts \"none\" not found",
    ),
    row(
        "POST /apis/authorization.k8s.io/v1/subjectaccessreviews",
        JSON,
        r#"{"spec":{}}"#,
        INVALID,
        "SubjectAccessReview.authorization.k8s.io \"\" is invalid: …",
    ),
    make(
        r#"tru"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (747275)"#,
    ),
    make(
        r#""x"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (2278)"#,
    ),
    make(
        r#"-"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (2d)"#,
    ),
    make(
        r#"{"a":1e}"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '}' in exponent of numeric literal ({"a":1e})"#,
    ),
    make(
        r#"{"a":-}"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '}' in numeric literal ({"a":-})"#,
    ),
    make(
        r#"{"a":1.}"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '}' after decimal point in numeric literal ({"a":1.})"#,
    ),
    make(
        r#"{"none":[1 2]}"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '2' after array element ({"none":[1 2]})"#,
    ),
    make(
        r#"{"a":"\u00g0"}"#,
        BAD,
        r#"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'g' in \u hexadecimal character escape ({"a":"\u00g0"})"#,
    ),
];
