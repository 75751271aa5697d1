//! The protobuf form of an OpenAPI v2 document (gnostic's `openapi.v2.Document`), which kubectl asks for.
//!
//! Written from the JSON form, one path or definition at a time, and only what we publish. Field numbers are gnostic's.

use serde_json::{Map, Value};

use crate::protobuf::varint;

/// A protobuf message being written.
#[derive(Default)]
struct Message {
    out: Vec<u8>,
}

impl Message {
    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.out.extend(bytes);
    }

    fn message(&mut self, field: u32, message: &Message) {
        self.bytes(field, &message.out);
    }

    /// A string, where there is one.
    fn text(&mut self, field: u32, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, values: &Value) {
        values.as_array().into_iter().flatten().for_each(|value| self.text(field, value));
    }

    fn flag(&mut self, field: u32, value: &Value) {
        if value == true {
            self.varint(u64::from(field) << 3);
            self.varint(1);
        }
    }

    fn varint(&mut self, value: u64) {
        varint(&mut self.out, value);
    }
}

fn message(write: impl FnOnce(&mut Message)) -> Message {
    let mut message = Message::default();
    write(&mut message);
    message
}

/// A name and a value, the form of every map.
fn named(name: &str, value: &Message) -> Message {
    message(|out| {
        out.bytes(1, name.as_bytes());
        out.message(2, value);
    })
}

pub(super) fn document(
    info: &Value,
    paths: impl Iterator<Item = (String, Value)>,
    definitions: impl Iterator<Item = (String, Value)>,
) -> Vec<u8> {
    let document = message(|out| {
        out.bytes(1, b"2.0");
        out.message(
            2,
            &message(|out| {
                out.text(1, &info["title"]);
                out.text(2, &info["version"]);
            }),
        );
        let paths =
            message(|out| paths.for_each(|(path, item)| out.message(2, &named(&path, &path_item(&item)))));
        out.message(8, &paths);
        let definitions = message(|out| {
            definitions.for_each(|(name, definition)| out.message(1, &named(&name, &schema(&definition))));
        });
        out.message(9, &definitions);
    });
    document.out
}

fn path_item(item: &Value) -> Message {
    message(|out| {
        for (field, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
            if let Some(operation) = item.get(method) {
                out.message(field, &self::operation(operation));
            }
        }
    })
}

fn operation(operation: &Value) -> Message {
    message(|out| {
        out.texts(1, &operation["tags"]);
        out.text(5, &operation["operationId"]);
        out.texts(7, &operation["consumes"]);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let item = message(|out| out.message(1, &self::parameter(parameter)));
            out.message(8, &item);
        }
        out.message(9, &responses(&operation["responses"]));
        extensions(out, 13, operation);
    })
}

fn parameter(parameter: &Value) -> Message {
    message(|out| {
        if parameter["in"] == "body" {
            let body = message(|out| {
                out.text(2, &parameter["name"]);
                out.text(3, &parameter["in"]);
                out.flag(4, &parameter["required"]);
                out.message(5, &schema(&parameter["schema"]));
            });
            return out.message(1, &body);
        }
        let field = if parameter["in"] == "path" { 4 } else { 3 };
        let plain = message(|out| {
            out.flag(1, &parameter["required"]);
            out.text(2, &parameter["in"]);
            out.text(4, &parameter["name"]);
            // A path's parameter has no "allow empty value", so its type comes one earlier.
            out.text(if field == 4 { 5 } else { 6 }, &parameter["type"]);
        });
        out.message(2, &message(|out| out.message(field, &plain)));
    })
}

fn responses(responses: &Value) -> Message {
    message(|out| {
        for (code, response) in responses.as_object().into_iter().flatten() {
            let body = message(|out| {
                out.text(1, &response["description"]);
                if let Some(schema) = response.get("schema") {
                    out.message(2, &message(|out| out.message(1, &self::schema(schema))));
                }
            });
            out.message(1, &named(code, &message(|out| out.message(1, &body))));
        }
    })
}

fn schema(schema: &Value) -> Message {
    message(|out| {
        out.text(1, &schema["$ref"]);
        out.text(2, &schema["format"]);
        out.text(4, &schema["description"]);
        if let Some(default) = schema.get("default") {
            out.message(5, &any(default));
        }
        out.texts(19, &schema["required"]);
        if let Some(values) = schema.get("additionalProperties") {
            out.message(21, &message(|out| out.message(1, &self::schema(values))));
        }
        if schema["type"].is_string() {
            out.message(22, &message(|out| out.text(1, &schema["type"])));
        }
        if let Some(items) = schema.get("items") {
            out.message(23, &message(|out| out.message(1, &self::schema(items))));
        }
        if let Some(properties) = schema["properties"].as_object() {
            out.message(25, &self::properties(properties));
        }
        extensions(out, 31, schema);
    })
}

fn properties(properties: &Map<String, Value>) -> Message {
    message(|out| {
        for (name, property) in properties {
            out.message(1, &named(name, &schema(property)));
        }
    })
}

fn extensions(out: &mut Message, field: u32, value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-")) {
        out.message(field, &named(name, &any(value)));
    }
}

/// Any value travels as YAML, which JSON is.
fn any(value: &Value) -> Message {
    message(|out| out.bytes(2, format!("{value}\n").as_bytes()))
}
