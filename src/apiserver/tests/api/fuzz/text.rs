//! Damage to objects as text: to their trees, so that what is wrong lies deep, and to their bytes.

use fastrand::Rng;
use serde_json::{Value, json};

/// Changes one place of the tree.
pub(super) fn damage_tree(root: &mut Value, dice: &mut Rng) {
    let places = count(root);
    let place = dice.usize(..places);
    visit(root, &mut { place }, &mut |value| change(value, dice));
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// Calls `change` with the place of that number, counting from the root.
fn visit(value: &mut Value, place: &mut usize, change: &mut impl FnMut(&mut Value)) -> bool {
    if *place == 0 {
        change(value);
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| visit(item, place, change)),
        Value::Object(members) => members.values_mut().any(|member| visit(member, place, change)),
        _ => false,
    }
}

const NAMES: [&str; 24] = [
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "$setElementOrder/",
    "unknown",
    "",
    "metadata",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "resourceVersion",
    "uid",
    "generateName",
    "deletionTimestamp",
    "namespace",
    "kind",
    "apiVersion",
    "status",
    "fieldsV1",
    "creationTimestamp",
    "Name",
    "a\u{0}b",
    "selector",
];

fn change(value: &mut Value, dice: &mut Rng) {
    match value {
        Value::Object(members) if dice.bool() => {
            let name = dice.choice(NAMES).unwrap().to_owned();
            match dice.u8(..4) {
                0 => members.clear(),
                1 => {
                    let victim = members.keys().nth(dice.usize(..members.len().max(1))).cloned();
                    if let Some(moved) = victim.and_then(|victim| members.remove(&victim)) {
                        members.insert(name, moved);
                    }
                }
                _ => {
                    members.insert(name, strange(dice));
                }
            }
        }
        Value::Array(items) if dice.bool() => match dice.u8(..3) {
            0 => items.push(strange(dice)),
            1 => items.extend(items.clone()),
            _ => items.clear(),
        },
        other => *other = strange(dice),
    }
}

fn strange(dice: &mut Rng) -> Value {
    match dice.u8(..30) {
        0..4 => Value::Null,
        4 => true.into(),
        5 => (-1).into(),
        6 => u64::MAX.into(),
        7 => i64::MIN.into(),
        8 => 1e308.into(),
        9 => 0.1.into(),
        10 => (i64::from(i32::MAX) + 1).into(),
        11 => "".into(),
        12 => "x".repeat(dice.usize(..70_000)).into(),
        13 => "\u{0}\u{7f}\u{feff}\u{202e}\n".into(),
        14 => "a/b/../c".into(),
        15 => "99999999999999999999Ei".into(),
        16 => "2026-13-45T99:99:99Z".into(),
        17 => "-0001-01-01T00:00:00Z".into(),
        18 => "10.0.0.0/99".into(),
        19 => "delete".into(),
        20 => json!([]),
        21 => json!({}),
        22 => json!([null]),
        23 => json!([{"name": "web"}, {"name": "web"}]),
        24 => json!({"f:spec": {"k:{": {}, "k:{\"name\":1}": {}, "v:{}": 3, "i:-1": {}, "x": null}}),
        25 => json!([{"manager": "m", "operation": "Apply", "fieldsType": "FieldsV9", "fieldsV1": [1]}]),
        26 => json!([{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": 3, "controller": true}]),
        27 => nested(dice.usize(1..130), dice.bool()),
        28 => dice.i64(..).into(),
        _ => {
            json!({"matchLabels": {"a/b/c": "d"}, "matchExpressions": [{"key": "", "operator": "Gt", "values": [1]}]})
        }
    }
}

fn nested(depth: usize, lists: bool) -> Value {
    (0..depth).fold(Value::Null, |inner, _| if lists { json!([inner]) } else { json!({"a": inner}) })
}

const TOKENS: [&str; 20] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e-400",
    "0x1",
    "01",
    "+1",
    ".5",
    "'",
    "\\ud800",
    "\\u0000",
    "\u{feff}",
    "/*",
    "//",
    ",,",
    "}{",
    "null",
    "&a [*a]",
    "!!binary x",
];

pub(super) fn damage_bytes(bytes: &mut Vec<u8>, dice: &mut Rng) {
    let at = dice.usize(..=bytes.len());
    match dice.u8(..12) {
        0 | 1 => bytes.truncate(at),
        2 => drop(bytes.splice(at..at, [0xff, 0xc0, 0x80])),
        3 => drop(bytes.splice(at..at, dice.choice(TOKENS).unwrap().bytes())),
        4 => drop(bytes.splice(at..at, (0..dice.usize(..50)).map(|_| dice.u8(..)).collect::<Vec<_>>())),
        5 => flip(bytes, dice),
        6 => bytes.extend_from_slice(b"{\"again\":1}"),
        7 => double_a_member(bytes, dice),
        8 => *bytes = open(dice.usize(..200_000), dice),
        9 => *bytes = aliases(dice.usize(1..40)),
        10 => *bytes = many_operations(dice),
        _ => replace_a_number(bytes, dice),
    }
}

pub(super) fn flip(bytes: &mut [u8], dice: &mut Rng) {
    for _ in 0..dice.usize(1..8) {
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(dice.usize(..length.max(1))) {
            *byte ^= 1 << dice.u8(..8);
        }
    }
}

/// `{"a":1` becomes `{"a":1,"a":2`: said twice.
fn double_a_member(bytes: &mut Vec<u8>, dice: &mut Rng) {
    let opens: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'{').collect();
    if let Some(at) = dice.choice(&opens) {
        let twice = br#""metadata":{"name":"a"},"metadata":{"name":"b"},"spec":1,"spec":2,"#;
        bytes.splice(at + 1..at + 1, *twice);
    }
}

fn open(depth: usize, dice: &mut Rng) -> Vec<u8> {
    let level = dice.choice(["[", "{\"a\":", "- ", "? ", "{a: "]).unwrap();
    level.repeat(depth).into_bytes()
}

/// Each line says the one before it ten times.
fn aliases(lines: usize) -> Vec<u8> {
    let mut text = String::from("a0: &a0 x\n");
    for line in 1..lines {
        let before = format!("*a{},", line - 1).repeat(10);
        text += &format!("a{line}: &a{line} [{}]\n", before.trim_end_matches(','));
    }
    text.into_bytes()
}

/// Each operation may double the object, or put it one level down.
fn many_operations(dice: &mut Rng) -> Vec<u8> {
    let round = dice
        .choice([
            r#"{"op":"copy","from":"/metadata","path":"/metadata/annotations"},"#,
            r#"{"op":"copy","from":"/data","path":"/data/x"},"#,
            r#"{"op":"add","path":"/n","value":{}},{"op":"move","from":"/data","path":"/n/a"},{"op":"move","from":"/n","path":"/data"},"#,
            r#"{"op":"test","path":"","value":null},"#,
            r#"{"op":"add","path":"/data/0","value":[]},"#,
        ])
        .unwrap();
    let rounds = round.repeat(dice.usize(1..12_000));
    format!("[{}]", rounds.trim_end_matches(',')).into_bytes()
}

fn replace_a_number(bytes: &mut Vec<u8>, dice: &mut Rng) {
    let digits: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    if let Some(at) = dice.choice(&digits) {
        let number = "9".repeat(dice.usize(1..400));
        bytes.splice(at..&(at + 1), number.into_bytes());
    }
}
