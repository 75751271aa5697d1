//! `metadata.managedFields`: who owns which fields, as entries of the object.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::set::Set;

/// More entries than this of managers that update are folded together, the oldest first, as upstream.
const MAX_UPDATERS: usize = 10;
const FOLDED: &str = "ancient-changes";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// What tells one owner from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) subresource: String,
    /// Empty for an applier: it stays the same owner when it applies another version.
    pub(super) version: String,
}

impl Owner {
    pub(super) fn new(manager: &str, operation: Operation, subresource: &str, version: &str) -> Self {
        let version = if operation == Operation::Apply { "" } else { version };
        let [manager, subresource, version] = [manager, subresource, version].map(str::to_owned);
        Self { manager, operation, subresource, version }
    }

    /// The same owner, had it written another version.
    pub(super) fn writing(self, version: &str) -> Self {
        Self::new(&self.manager, self.operation, &self.subresource, version)
    }

    /// As messages about conflicts name it.
    pub(super) fn description(&self) -> String {
        let subresource = match self.subresource.as_str() {
            "" => String::new(),
            subresource => format!(" with subresource {subresource:?}"),
        };
        let version = match self.operation {
            Operation::Apply => String::new(),
            Operation::Update => format!(" using {}", self.version),
        };
        format!("{:?}{subresource}{version}", self.manager)
    }
}

/// What an owner owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) fields: Set,
    pub(super) version: String,
    pub(super) time: Option<String>,
}

pub(super) type Owners = BTreeMap<Owner, Owned>;

/// The owners that an object names; or what is wrong with an entry.
pub(super) fn decode(object: &Value) -> Result<Owners, String> {
    let entries = object["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().enumerate().map(|(at, entry)| decode_entry(at, entry)).collect()
}

fn decode_entry(at: usize, entry: &Value) -> Result<(Owner, Owned), String> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    if text("apiVersion").is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
        other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {at}")),
    }
    let fields = entry.get("fieldsV1").map_or_else(|| Some(Set::default()), Set::decode);
    let fields = fields.ok_or_else(|| format!("error decoding the set of managed fields entry {at}"))?;
    let owner = Owner::new(text("manager"), operation, text("subresource"), text("apiVersion"));
    let time = entry["time"].as_str().map(str::to_owned);
    Ok((owner, Owned { fields, version: text("apiVersion").to_owned(), time }))
}

/// Whether a client asks for managed fields to be forgotten: by an empty list, or one empty entry.
pub(super) fn is_reset(object: &Value) -> bool {
    match object["metadata"]["managedFields"].as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([entry]) => entry.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

/// The object without its managed fields: nobody owns those.
pub(super) fn strip(object: &Value) -> Value {
    let mut object = object.clone();
    remove(&mut object);
    object
}

pub(super) fn remove(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
}

/// Writes the owners into the object.
pub(super) fn encode(object: &mut Value, owners: &Owners) {
    let mut sorted: Vec<(&Owner, &Owned)> = owners.iter().collect();
    sorted.sort_by_key(|(owner, owned)| {
        (owner.operation, &owned.time, &owner.manager, &owned.version, &owner.subresource)
    });
    let entries: Vec<Value> = sorted.into_iter().map(encode_entry).collect();
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

fn encode_entry((owner, owned): (&Owner, &Owned)) -> Value {
    let mut entry = json!({
        "apiVersion": owned.version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.fields.encode(),
        "manager": owner.manager,
        "operation": owner.operation.name(),
    });
    if let Some(time) = &owned.time {
        entry["time"] = time.as_str().into();
    }
    if !owner.subresource.is_empty() {
        entry["subresource"] = owner.subresource.as_str().into();
    }
    entry
}

/// Folds the oldest updaters of one version into one, until there are few enough.
pub(super) fn cap(owners: &mut Owners) {
    let mut updaters: Vec<Owner> =
        owners.keys().filter(|owner| owner.operation == Operation::Update).cloned().collect();
    let mut count = updaters.len();
    updaters.sort_by(|left, right| (&owners[left].time, left).cmp(&(&owners[right].time, right)));
    // The oldest updater of a version becomes its bucket once a second one has to go.
    let mut buckets: BTreeMap<String, Owner> = BTreeMap::new();
    for owner in updaters {
        if count <= MAX_UPDATERS {
            return;
        }
        let Some(first) = buckets.get(&owner.version).cloned() else {
            buckets.insert(owner.version.clone(), owner);
            continue;
        };
        let bucket = Owner::new(FOLDED, Operation::Update, "", &owner.version);
        let (Some(older), Some(newer)) = (owners.remove(&first), owners.remove(&owner)) else { continue };
        let fields = older.fields.union(&newer.fields);
        owners.insert(bucket.clone(), Owned { fields, ..newer });
        buckets.insert(owner.version, bucket);
        count -= 1;
    }
}
