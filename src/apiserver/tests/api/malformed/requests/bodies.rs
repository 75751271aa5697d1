//! Bodies that are no objects.

use super::{BAD, Row, make};

pub(super) const ROWS: &[Row] = &[
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
    make(
        "<deep>",
        BAD,
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         exceeded max depth ({\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\": ...)",
    ),
];
