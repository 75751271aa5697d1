//! Options and media types.

use super::{BAD, CONFLICT, JSON, MEDIA, Row, YAML, get, patch, row};

pub(super) const ROWS: &[Row] = &[
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
    get("GET /api/v1/configmaps?limit=many", BAD, "strconv.ParseInt: parsing \"many\": invalid syntax"),
    get("GET /api/v1/configmaps?limit=1e3", BAD, "strconv.ParseInt: parsing \"1e3\": invalid syntax"),
    get(
        "GET /api/v1/configmaps?watch=1&timeoutSeconds=soon",
        BAD,
        "strconv.ParseInt: parsing \"soon\": invalid syntax",
    ),
    get(
        "DELETE /api/v1/namespaces/shop/configmaps/page?gracePeriodSeconds=long",
        BAD,
        "strconv.ParseInt: parsing \"long\": invalid syntax",
    ),
    get(
        "GET /api/v1/configmaps?labelSelector=a%20b",
        BAD,
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
    ),
    get(
        "GET /api/v1/configmaps?labelSelector=a%20in",
        BAD,
        "unable to parse requirement: found '', expected: '('",
    ),
    get(
        "GET /api/v1/configmaps?labelSelector=,a",
        BAD,
        "found ',', expected: !, identifier, or 'end of string'",
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
    row(
        "GET /api/v1/configmaps",
        &["Accept: text/html"],
        "",
        (406, "NotAcceptable"),
        "only the following media types are accepted: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf",
    ),
];
