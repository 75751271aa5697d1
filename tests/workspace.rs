//! Holds `src/README.md`, the map of crates, against what cargo says the workspace is.
//!
//! The map is where a newcomer starts, and the dependency directions are the architecture: both rot unless a
//! test reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Crates = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_path_buf()
}

/// Every crate below `src/` with the workspace crates it is built from. What only its tests use is its own affair.
fn crates_by_cargo() -> Crates {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let in_src: Vec<&Value> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| Path::new(text(&package["manifest_path"])).starts_with(root().join("src")))
        .collect();
    in_src.iter().map(|package| (text(&package["name"]).to_string(), path_dependencies(package))).collect()
}

fn path_dependencies(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    let built_from = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    let local = built_from.filter(|dependency| dependency["path"].is_string());
    local.map(|dependency| text(&dependency["name"]).to_string()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string in cargo metadata")
}

/// The rows of the map, in order: crate and what it may use. `all` means every row above.
fn crates_by_map(markdown: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut rows: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in markdown.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _purpose, uses] = cells[..] else { panic!("a row of three cells: {line}") };
        let uses = match uses {
            "–" => BTreeSet::new(),
            "all" => rows.iter().map(|(name, _)| name.clone()).collect(),
            list => list.split(',').map(|name| name.trim().to_string()).collect(),
        };
        rows.push((name.trim_matches('`').to_string(), uses));
    }
    rows
}

/// What the map and the workspace disagree on, in words.
fn disagreements(map: &[(String, BTreeSet<String>)], crates: &Crates) -> Vec<String> {
    let mut found = Vec::new();
    let mut above = BTreeSet::new();
    for (name, uses) in map {
        found.extend(
            uses.difference(&above).map(|used| format!("{name} may use {used}, which is not above it")),
        );
        above.insert(name.clone());
        let Some(real) = crates.get(name) else {
            found.push(format!("the map has {name}, src/ has not"));
            continue;
        };
        let foreign = real.difference(uses);
        found.extend(foreign.map(|used| format!("{name} depends on {used}, the map does not allow it")));
    }
    let missing = crates.keys().filter(|name| !above.contains(*name));
    found.extend(missing.map(|name| format!("src/ has {name}, the map has not")));
    found
}

#[test]
fn the_map_of_crates_is_true() {
    let markdown = std::fs::read_to_string(root().join("src/README.md")).expect("src/README.md is there");
    let found = disagreements(&crates_by_map(&markdown), &crates_by_cargo());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_map_check_sees_every_kind_of_lie() {
    let map = crates_by_map("| `a` | x | b |\n| `b` | x | – |\n| `gone` | x | – |");
    let uses = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let crates = [("a".into(), uses(&["b"])), ("b".into(), uses(&["a"])), ("new".into(), uses(&[]))]
        .into_iter()
        .collect();
    assert_eq!(
        disagreements(&map, &crates),
        [
            "a may use b, which is not above it",
            "b depends on a, the map does not allow it",
            "the map has gone, src/ has not",
            "src/ has new, the map has not",
        ]
    );
}
