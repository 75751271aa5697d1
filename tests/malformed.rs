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

/// What the requests are about, and what the controllers make of that.
fn prepare(host: &Host) -> Result<()> {
    kubectl(host, ["create", "namespace", "shop"])?.ok()?;
    for made in ["serviceaccount/default", "configmap/kube-root-ca.crt"] {
        kubectl(host, ["wait", "-n", "shop", "--for=create", made, "--timeout=60s"])?.ok()?;
    }
    for (folder, object) in GROUND {
        kubectl(host, ["create", "--raw", folder, "-f", "-"])?.stdin(object).ok()?;
    }
    Ok(())
}

fn objects(host: &Host) -> Result<Vec<Value>> {
    let list = |path: &&str| -> Result<Value> {
        let mut list: Value = serde_json::from_str(&kubectl(host, ["get", "--raw", path])?.ok()?)?;
        Ok(list["items"].take())
    };
    OBJECTS.iter().map(list).collect()
}

/// Asks everything over one connection; answers the code and the body of each.
fn ask(host: &Host, rows: &[&Row]) -> Result<Vec<(u16, Value)>> {
    let blocks: Vec<String> =
        rows.iter().enumerate().map(|(number, row)| block(host, number, row)).collect::<Result<_>>()?;
    host.write(format!("{FOLDER}/config"), blocks.join("next\n"))?;
    let config = format!("{FOLDER}/config");
    let codes = host.command("curl").args(["--no-progress-meter", "--config", &config]).ok()?;
    let answer = |(number, code): (usize, &str)| {
        let body = host.read(format!("{FOLDER}/out-{number}"))?;
        Ok((code.parse()?, serde_json::from_str(&body).unwrap_or_default()))
    };
    codes.lines().enumerate().map(answer).collect()
}

/// One request, as curl reads it.
fn block(host: &Host, number: usize, row: &Row) -> Result<String> {
    let (method, path) = row.ask.split_once(' ').context("a method and a path")?;
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut block = format!(
        "url = \"https://127.0.0.1:6443{}\"\nrequest = \"{method}\"\npath-as-is\ngloboff\nuser-agent = \"\"\n\
         cacert = \"{FOLDER}/ca\"\ncert = \"{FOLDER}/cert\"\nkey = \"{FOLDER}/key\"\n\
         output = \"{FOLDER}/out-{number}\"\nwrite-out = \"%{{http_code}}\\n\"\n",
        quoted(path)
    );
    for header in row.headers {
        block += &format!("header = \"{}\"\n", quoted(header));
    }
    if !row.body.is_empty() {
        let file = format!("{FOLDER}/in-{number}");
        host.write(&file, body(row.body))?;
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
    let answers = ask(&host, &rows)?;
    ensure!(answers.len() == rows.len(), "{} answers to {} requests", answers.len(), rows.len());
    let problem = |(row, (code, said)): (&&Row, &(u16, Value))| row.problem(*code, said);
    let problems: Vec<String> = rows.iter().zip(&answers).filter_map(problem).collect();
    ensure!(problems.is_empty(), "{} of {}:\n{}", problems.len(), rows.len(), problems.join("\n"));
    assert_eq!(objects(&host)?, before, "something was written");
    kubectl(&host, ["create", "configmap", "right"])?.ok()?;
    assert_eq!(server.pid()?, running);
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
    Ok(())
}
