//! More than a hundred ways to ask wrongly, of the real program over a real connection: each gets its `Status`, nothing else
//! changes, and the server answers as before.

use anyhow::{Context, Result, ensure};
use lab::{Host, Lab};
use serde_json::Value;

use crate::control_plane::{kubectl, server};

/// The same that the API server's own tests ask of it as a service.
#[path = "../src/apiserver/tests/api/malformed/requests/mod.rs"]
mod requests;

use self::requests::{GROUND, Row, body, rows};

/// Where the client's files lie on the machine.
const FOLDER: &str = "/root/malformed";

/// Where the objects are that a wrong request could make, change or delete.
const OBJECTS: [&str; 7] = [
    "/api/v1/namespaces",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/pods",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/deployments",
    "/apis/storage.k8s.io/v1/storageclasses",
];

/// The administrator's credentials as files for curl.
fn take_credentials(host: &Host) -> Result<()> {
    host.command("mkdir").args(["-p", FOLDER]).ok()?;
    for (file, path) in [
        ("ca", ".clusters[0].cluster.certificate-authority-data"),
        ("cert", ".users[0].user.client-certificate-data"),
        ("key", ".users[0].user.client-key-data"),
    ] {
        let query = format!("jsonpath={{{path}}}");
        let encoded = kubectl(host, ["config", "view", "--raw", "-o", &query])?.ok()?;
        let decode = format!("base64 -d > {FOLDER}/{file}");
        host.command("sh").args(["-c", &decode]).stdin(encoded).ok()?;
    }
    Ok(())
}

/// A request as curl sends it.
struct Asked {
    method: &'static str,
    path: &'static str,
    headers: &'static [&'static str],
    body: Vec<u8>,
}

impl Asked {
    fn of(row: &Row) -> Result<Self> {
        let (method, path) = row.ask.split_once(' ').context("a method and a path")?;
        Ok(Self { method, path, headers: row.headers, body: body(row.body) })
    }

    fn make((path, object): (&'static str, &'static str)) -> Self {
        Self { method: "POST", path, headers: &["Content-Type: application/json"], body: object.into() }
    }
}

/// What the requests are about, and what the controllers make of that.
fn prepare(host: &Host) -> Result<()> {
    kubectl(host, ["create", "namespace", "shop"])?.ok()?;
    for made in ["serviceaccount/default", "configmap/kube-root-ca.crt"] {
        kubectl(host, ["wait", "-n", "shop", "--for=create", made, "--timeout=60s"])?.ok()?;
    }
    let made = ask(host, &GROUND.map(Asked::make))?;
    ensure!(made.iter().all(|(code, _)| *code == 201), "{made:?}");
    Ok(())
}

fn objects(host: &Host) -> Result<Vec<Value>> {
    let list = |path: &&str| -> Result<Value> {
        let mut list: Value = serde_json::from_str(&kubectl(host, ["get", "--raw", path])?.ok()?)?;
        Ok(list["items"].take())
    };
    OBJECTS.iter().map(list).collect()
}

/// Asks everything over one connection, of HTTP/1.1: this curl gives up on HTTP/2 when it is answered before it has sent
/// all. Answers the code and the body of each.
fn ask(host: &Host, asked: &[Asked]) -> Result<Vec<(u16, Value)>> {
    let blocks: Vec<String> =
        (0..).zip(asked).map(|(number, asked)| block(host, number, asked)).collect::<Result<_>>()?;
    let config = format!("{FOLDER}/config");
    host.write(&config, blocks.join("next\n"))?;
    let codes = host.command("curl").args(["--no-progress-meter", "--config", &config]).run()?;
    ensure!(codes.stdout.lines().count() == asked.len(), "{codes:?}");
    let answer = |(number, code): (usize, &str)| {
        let body = host.read(format!("{FOLDER}/out-{number}")).with_context(|| codes.stderr.clone())?;
        Ok((code.parse()?, serde_json::from_str(&body).unwrap_or_default()))
    };
    codes.stdout.lines().enumerate().map(answer).collect()
}

/// One request in the words of curl's configuration.
fn block(host: &Host, number: usize, asked: &Asked) -> Result<String> {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let (method, path) = (asked.method, quoted(asked.path));
    let mut block = format!(
        "url = \"https://127.0.0.1:6443{path}\"\nrequest = \"{method}\"\nhttp1.1\npath-as-is\ngloboff\nuser-agent = \"\"\n\
         cacert = \"{FOLDER}/ca\"\ncert = \"{FOLDER}/cert\"\nkey = \"{FOLDER}/key\"\n\
         output = \"{FOLDER}/out-{number}\"\nwrite-out = \"%{{http_code}}\\n\"\n"
    );
    for header in asked.headers {
        block += &format!("header = \"{}\"\n", quoted(header));
    }
    if !asked.body.is_empty() {
        let file = format!("{FOLDER}/in-{number}");
        host.write(&file, asked.body.clone())?;
        block += &format!("data-binary = \"@{file}\"\n");
    }
    Ok(block)
}

#[test]
fn malformed_requests_get_their_status_and_change_nothing() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    let running = server.pid()?;
    take_credentials(&host)?;
    prepare(&host)?;
    let (before, rows) = (objects(&host)?, rows());
    let asked = rows.iter().map(|row| Asked::of(row)).collect::<Result<Vec<_>>>()?;
    let answers = ask(&host, &asked)?;
    let problem = |(row, (code, said)): (&&Row, &(u16, Value))| row.problem(*code, said);
    let problems: Vec<String> = rows.iter().zip(&answers).filter_map(problem).collect();
    ensure!(problems.is_empty(), "{} of {}:\n{}", problems.len(), rows.len(), problems.join("\n"));
    assert_eq!(objects(&host)?, before, "something was written");
    let large = format!(
        "{{kind: ConfigMap, apiVersion: v1, metadata: {{name: large}}, data: {{k: {}}}}}",
        "x".repeat(4 << 20)
    );
    let refused = kubectl(&host, ["create", "--validate=false", "-f", "-"])?.stdin(large).run()?;
    assert!(
        refused.stderr.contains("Request entity is too large: limit is 3145728"),
        "over HTTP/2: {refused:?}"
    );
    kubectl(&host, ["create", "configmap", "right"])?.ok()?;
    assert_eq!(server.pid()?, running);
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
    Ok(())
}
