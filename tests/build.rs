//! Compiles the guest programs into one static file, which tests put into images; the lab finds it at `env!("GUEST")`.
//!
//! A cargo target of its own would be linked like the tests themselves, dynamically.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "guest";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let target = env::var("TARGET")?;
    let directory = PathBuf::from(env::var("OUT_DIR")?).join(&target);
    let file = directory.join("guest");
    fs::create_dir_all(directory)?;
    compile(&target, &file)?;
    println!("cargo::rustc-env=GUEST={}", file.display());
    Ok(())
}

fn compile(target: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let status = Command::new(env::var("RUSTC")?)
        .args(["--edition", "2024", "--crate-name", "guest", "--target", target])
        .args(["-C", "target-feature=+crt-static", "-C", "opt-level=s"])
        .args(["-C", "panic=abort", "-C", "strip=symbols"])
        .arg("-o")
        .arg(file)
        .arg(Path::new(SOURCE).join("main.rs"))
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the guest programs do not compile for {target}").into())
    }
}
