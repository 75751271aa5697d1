//! Turns k8s-openapi's JSON schemas of the built-in kinds into static tables: see `src/schema/row.rs`.

#![expect(unreachable_pub, reason = "row.rs is shared with the library, where it is reachable")]

#[path = "build/builder.rs"]
mod builder;
#[path = "build/convert.rs"]
mod convert;
#[path = "build/facts.rs"]
mod facts;
#[path = "build/places.rs"]
mod places;
#[path = "build/roots.rs"]
mod roots;
#[expect(dead_code, reason = "the build only fills rows in, and only custom resources keep unknown fields")]
#[path = "src/schema/row.rs"]
mod row;
#[path = "build/zero.rs"]
mod zero;

use std::fmt::Debug;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=facts");
    println!("cargo::rerun-if-changed=src/schema/row.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let built = convert::convert(&roots::definitions());
    let (chunks, packed) = built.docs.pack();
    fs::write(out.join("docs.bin"), &packed)?;
    fs::write(out.join("text.txt"), &built.text)?;
    let mut source = String::new();
    table(&mut source, "NODES", "Row", &built.nodes);
    table(&mut source, "FIELDS", "FieldRow", &built.fields);
    table(&mut source, "KEYS", "Text", &built.keys);
    table(&mut source, "DEFINITIONS", "Definition", &built.definitions);
    table(&mut source, "DOCS", "DocRow", &built.docs.rows);
    table(&mut source, "CHUNKS", "(u32, u32)", &chunks);
    let mut fingerprint = DefaultHasher::new();
    (&source, &built.text, &packed).hash(&mut fingerprint);
    println!("cargo::rustc-env=SCHEMA_FINGERPRINT={:016x}", fingerprint.finish());
    fs::write(out.join("tables.rs"), source)
}

/// The `Debug` form of a row is the expression that makes it.
fn table<T: Debug>(source: &mut String, name: &str, row: &str, rows: &[T]) {
    writeln!(source, "pub(super) static {name}: [{row}; {}] = [", rows.len())
        .expect("a String takes every write");
    for row in rows {
        writeln!(source, "{row:?},").expect("a String takes every write");
    }
    source.push_str("];\n");
}
