//! Which Kubernetes this is: what clients decide by.

use serde_json::{Value, json};

const MAJOR: &str = "1";
const MINOR: &str = "37";

pub(crate) fn answer() -> Value {
    json!({
        "major": MAJOR, "minor": MINOR, "gitVersion": format!("v{MAJOR}.{MINOR}.0+skiff-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "rustc",
        "platform": format!("linux/{}", std::env::consts::ARCH),
    })
}
