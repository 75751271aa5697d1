//! Writes a large JSON object member by member.

use serde_json::Value;

pub(super) struct Object {
    out: Vec<u8>,
}

impl Object {
    pub(super) fn new() -> Self {
        Self { out: vec![b'{'] }
    }

    pub(super) fn member(&mut self, name: &str, value: &Value) {
        self.raw(name, value.to_string().as_bytes());
    }

    pub(super) fn members(&mut self, name: &str, members: impl Iterator<Item = (String, Value)>) {
        let mut object = Self::new();
        for (name, value) in members {
            object.member(&name, &value);
        }
        self.raw(name, &object.finish());
    }

    /// A member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: &[u8]) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.extend(Value::from(name).to_string().as_bytes());
        self.out.push(b':');
        self.out.extend(json);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}
