//! What is done to a request: at most three things, anywhere.

use fastrand::Rng;
use serde_json::Value;

use super::{Case, text, wire};

pub(super) fn any(known: &[Case], dice: &mut Rng) -> Case {
    let mut case = dice.choice(known).unwrap().clone();
    for _ in 0..dice.usize(1..4) {
        match dice.u8(..10) {
            0..6 if !case.body.is_empty() => body(&mut case, dice),
            0..8 => query(&mut case, dice),
            8 => path(&mut case, dice),
            _ => headers(&mut case, dice),
        }
    }
    // Most leave what is there for the next case; all checks are the same.
    if dice.u8(..4) > 0 {
        case.query.push(("dryRun".into(), "All".into()));
    }
    case
}

fn body(case: &mut Case, dice: &mut Rng) {
    if case.body.starts_with(b"k8s\0") {
        wire::damage(&mut case.body, dice);
        return;
    }
    let parsed = serde_json::from_slice::<Value>(&case.body);
    match parsed {
        Ok(mut object) if dice.u8(..4) > 0 => {
            text::damage_tree(&mut object, dice);
            case.body = object.to_string().into_bytes();
        }
        _ => text::damage_bytes(&mut case.body, dice),
    }
}

const PARAMETERS: [&str; 24] = [
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "labelSelector",
    "fieldSelector",
    "watch",
    "timeoutSeconds",
    "fieldManager",
    "force",
    "fieldValidation",
    "dryRun",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "pretty",
    "timeout",
    "includeObject",
    "unknown",
    "Limit",
    "%00",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
];

const VALUES: [&str; 44] = [
    "",
    "0",
    "-1",
    "1",
    "18446744073709551616",
    "99999999999999999999999",
    "9223372036854775807",
    "1e3",
    "0x10",
    "NaN",
    "true",
    "TRUE",
    "maybe",
    "All",
    "None",
    "Strict",
    "Exact",
    "NotOlderThan",
    "Foreground",
    "Orphan",
    "%00",
    "%ff",
    "%F0%9F%A6%80",
    "a%0Ab",
    "%25",
    "app",
    "!app",
    "app=",
    "=web",
    "app==web",
    "app=web=x",
    "app%20in%20()",
    "app%20in%20(a",
    "a%20notin%20(b),,c",
    "app%20gt%205",
    "app%3E5",
    "app%3Ex",
    "(((((((",
    "metadata.name=a,b",
    "metadata.name%20in%20(a)",
    "spec.none=x",
    "metadata.name%5C=x",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTF9",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTg0NDY3NDQwNzM3MDk1NTE2MTUsInN0YXJ0IjoiXHUwMDAwLy4uLyJ9",
];

fn query(case: &mut Case, dice: &mut Rng) {
    let value = match dice.u8(..12) {
        0 => "a".repeat(dice.usize(..5000)),
        1 => "app=x,".repeat(dice.usize(..2000)),
        2 => dice.u64(..).to_string(),
        _ => dice.choice(VALUES).unwrap().to_owned(),
    };
    match dice.choice(&mut case.query) {
        Some(pair) if dice.bool() => pair.1 = value,
        _ => case.query.push((dice.choice(PARAMETERS).unwrap().to_owned(), value)),
    }
}

const SEGMENTS: [&str; 22] = [
    "",
    ".",
    "..",
    "%2e%2e",
    "%2f",
    "a%2fb",
    "%2F..%2F..",
    "%00",
    "%",
    "%zz",
    "%ff",
    "%F0%9F%A6%80",
    "Web",
    "a_b",
    "-",
    "a.b.c",
    "status",
    "scale",
    "proxy",
    "namespaces",
    "v1beta1",
    "~",
];

fn path(case: &mut Case, dice: &mut Rng) {
    let mut segments: Vec<String> = case.path.split('/').map(Into::into).collect();
    let at = dice.usize(1..segments.len());
    let segment = match dice.u8(..8) {
        0 => "a".repeat(dice.usize(1..8000)),
        _ => dice.choice(SEGMENTS).unwrap().to_owned(),
    };
    match dice.u8(..4) {
        0 => segments.insert(at, segment),
        1 => drop(segments.remove(at)),
        _ => segments[at] = segment,
    }
    case.path = format!("/{}", segments[1..].join("/"));
}

const TYPES: [&str; 16] = [
    "",
    "/",
    "application/json",
    "application/json; charset=utf-16",
    "application/yaml",
    "application/cbor",
    "text/html",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
    "*/*;q=0",
    ";;;=,=",
    "APPLICATION/JSON",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
];

fn headers(case: &mut Case, dice: &mut Rng) {
    let said = dice.choice(TYPES).unwrap().to_owned();
    if dice.bool() { case.content = said } else { case.accept = said }
}
