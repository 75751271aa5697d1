//! The layers together: what a command line means with files and variables around it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Environment;
use crate::cli::{self, Command};

/// A machine's configuration; `--config` leads to its files.
struct Machine {
    folder: TempDir,
    variables: Environment,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("config.yaml.d")).unwrap();
        Self { folder, variables: Environment::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// `skiff COMMAND --config … FLAGS`: the meaning, or the error without the folder's path in it.
    fn run(&self, command: &str, flags: &[&str]) -> Result<Value, String> {
        let config = self.folder.path().join("config.yaml");
        let mut arguments: Vec<OsString> = ["skiff", command, "--config"].map(OsString::from).into();
        arguments.push(config.into());
        arguments.extend(flags.iter().map(OsString::from));
        self.meaning(arguments)
            .map_err(|error| error.replace(&format!("{}/", self.folder.path().display()), ""))
    }

    fn meaning(&self, arguments: Vec<OsString>) -> Result<Value, String> {
        let command = match cli::parse(arguments, &self.variables) {
            Ok(cli) => cli.command,
            Err(cli::Error::Usage(error)) => return Err(error.to_string()),
            Err(cli::Error::Config(error)) => return Err(error.to_string()),
        };
        let meaning = match command {
            Command::Server(args) => {
                serde_json::to_value((*args).meaning("host").map_err(|error| error.to_string())?)
            }
            Command::Agent(args) => {
                serde_json::to_value((*args).meaning("host").map_err(|error| error.to_string())?)
            }
            other => panic!("{other:?} has no configuration"),
        };
        Ok(meaning.unwrap())
    }

    fn server(&self, flags: &[&str]) -> Value {
        self.run("server", flags).unwrap()
    }

    fn error(&self, flags: &[&str]) -> String {
        self.run("server", flags).unwrap_err()
    }
}

/// The layers from the lowest to the highest.
const LAYERS: [&str; 5] = ["config.yaml", "config.yaml.d/10.yaml", "config.yaml.d/20.yml", "SKIFF_", "--"];

/// A machine, and flags, on which exactly the layers of `set` (a bit each) give `key` a value.
fn layered(set: usize, key: &str, value: impl Fn(usize) -> String) -> (Machine, Vec<String>) {
    let (mut machine, mut flags) = (Machine::new().file("config.yaml", ""), Vec::new());
    for (layer, name) in LAYERS.iter().enumerate().filter(|(layer, _)| set & (1 << layer) != 0) {
        let value = value(layer);
        match *name {
            "--" => flags.push(format!("--{key}={value}")),
            "SKIFF_" => {
                let variable = format!("SKIFF_{}", key.replace('-', "_").to_uppercase());
                machine = machine.variable(&variable, value);
            }
            file => machine = machine.file(file, &format!("{key}: {value}\n")),
        }
    }
    (machine, flags)
}

/// For every combination of layers the highest one counts, whatever kind of option it is.
#[test]
fn the_highest_layer_counts() {
    type Case = (&'static str, fn(usize) -> String, fn(&Value) -> Value, fn(usize) -> Value);
    let cases: [Case; 4] = [
        (
            "node-name",
            |layer| format!("n{layer}"),
            |config| config["node"]["name"].clone(),
            |layer| json!(format!("n{layer}")),
        ),
        (
            "https-listen-port",
            |layer| format!("{}", 7000 + layer),
            |config| config["httpsListenPort"].clone(),
            |layer| json!(7000 + layer),
        ),
        (
            "tls-san",
            |layer| format!("san{layer}"),
            |config| config["subjectAltNames"].clone(),
            |layer| json!([format!("san{layer}")]),
        ),
        (
            "disable-agent",
            |layer| format!("{}", layer % 2 == 0),
            |config| json!(config["node"].is_null()),
            |layer| json!(layer % 2 == 0),
        ),
    ];
    for (key, value, read, expected) in cases {
        for set in 1..1 << LAYERS.len() {
            let (machine, flags) = layered(set, key, value);
            let config = machine.server(&flags.iter().map(String::as_str).collect::<Vec<_>>());
            let highest = set.ilog2() as usize;
            assert_eq!(read(&config), expected(highest), "{key} in layers {set:05b}");
        }
    }
}

#[test]
fn defaults() {
    let config = Machine::new().file("config.yaml", "").server(&[]);
    let expected = json!({
        "hostName": "host",
        "dataDir": "/var/lib/skiff",
        "membership": {"found": {"token": null}},
        "httpsListenPort": 6443,
        "subjectAltNames": [],
        "kubeconfig": {"path": "/etc/skiff/kubeconfig.yaml", "mode": "0600"},
        "audit": null,
        "network": {
            "clusterCidr": ["10.42.0.0/16"],
            "serviceCidr": ["10.43.0.0/16"],
            "clusterDns": ["10.43.0.10"],
            "clusterDomain": "cluster.local",
            "backend": "vxlan",
        },
        "disabled": [],
        "node": {"name": "host", "addresses": [], "labels": [], "taints": []},
    });
    assert_eq!(config, expected);
}

#[test]
fn the_audit_log_is_kept_within_limits_unless_there_are_to_be_none() {
    let log = |limits: &str| {
        let text = format!("audit-log-path: /var/log/audit.log\n{limits}");
        Machine::new().file("config.yaml", &text).server(&[])["audit"].clone()
    };
    let path = "/var/log/audit.log";
    assert_eq!(log(""), json!({"path": path, "largestBytes": 10 << 20, "backups": 5, "days": null}));
    let limits = "audit-log-maxsize: 1\naudit-log-maxbackup: 0\naudit-log-maxage: 30\n";
    assert_eq!(log(limits), json!({"path": path, "largestBytes": 1 << 20, "backups": null, "days": 30}));
}

#[test]
fn a_plus_appends_to_what_files_gave() {
    let machine = Machine::new()
        .file("config.yaml", "tls-san: [a]\ndisable+: dns\n")
        .file("config.yaml.d/10.yaml", "tls-san+: b\n")
        .file("config.yaml.d/20.yaml", "tls-san+: [c, d]\n")
        .file("config.yaml.d/README", "tls-san: nothing\n");
    let config = machine.server(&[]);
    assert_eq!(config["subjectAltNames"], json!(["a", "b", "c", "d"]));
    assert_eq!(config["disabled"], json!(["dns"]), "there was nothing to append to");
    assert_eq!(machine.server(&["--tls-san=x", "--tls-san=y,z"])["subjectAltNames"], json!(["x", "y", "z"]));
    let reset = machine.file("config.yaml.d/15.yaml", "tls-san: []\n").server(&[]);
    assert_eq!(reset["subjectAltNames"], json!(["c", "d"]));
}

#[test]
fn what_is_typed_in_a_file_is_not_retyped_by_yaml() {
    let machine = Machine::new()
        .file("config.yaml", "write-kubeconfig-mode: 0644\nnode-name: 1e3\ndisable-agent: no\n");
    let config = machine.server(&[]);
    assert_eq!(config["kubeconfig"]["mode"], json!("0644"));
    assert_eq!(config["node"]["name"], json!("1e3"));
}

#[test]
fn values_may_look_like_flags() {
    let machine = Machine::new().file("config.yaml", "data-dir: /--node-name=x\ntoken: --token\n");
    assert_eq!(machine.server(&[])["dataDir"], json!("/--node-name=x"));
}

#[test]
fn empty_variables_are_unset() {
    let machine = Machine::new().file("config.yaml", "node-name: a\n").variable("SKIFF_NODE_NAME", "");
    assert_eq!(machine.server(&[])["node"]["name"], json!("a"));
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let machine = Machine::new().file("config.yaml", "node-name: a\n");
    let path = machine.folder.path().join("config.yaml");
    let machine = machine.variable("SKIFF_CONFIG", path);
    let config = machine.meaning(["skiff", "server"].map(OsString::from).into()).unwrap();
    assert_eq!(config["node"]["name"], json!("a"));
}

#[test]
fn a_named_file_must_exist_unless_it_has_drop_ins() {
    let machine = Machine::new();
    assert_eq!(machine.error(&[]), "read config.yaml");
    let machine = machine.file("config.yaml.d/a.yaml", "node-name: a\n");
    assert_eq!(machine.server(&[])["node"]["name"], json!("a"));
}

#[test]
fn mistakes_in_a_file_name_its_line() {
    let port = "invalid value '70000' for '--https-listen-port <PORT>': 70000 is not in 1..=65535";
    let backend =
        "invalid value 'ipip' for '--network-backend <BACKEND>' [possible values: vxlan, host-gw, none]";
    let cases = [
        ("\nclutser-cidr: 10.0.0.0/8\n", "config.yaml:2: unknown option `clutser-cidr`; the nearest is `cluster-cidr`".into()),
        ("help: true\n", "config.yaml:1: unknown option `help`; the nearest is `server`".into()),
        ("config: x\n", "config.yaml:1: unknown option `config`; the nearest is `token`".into()),
        ("https-listen-port: 70000\n", format!("config.yaml:1: {port}")),
        ("tls-san: a\nnetwork-backend: ipip\n", format!("config.yaml:2: {backend}")),
        ("node-name: [a]\n", "config.yaml:1: `node-name` takes one value, not a list".into()),
        ("node-name:\n", "config.yaml:1: `node-name` takes a value, and has none".into()),
        ("node-name+: a\n", "config.yaml:1: `node-name` takes one value; `+` appends to lists".into()),
        ("node-name:\n  a: b\n", "config.yaml:2: expected a value or a list of values".into()),
        ("node-name: a\ntoken: b\nnode-name: c\n", "config.yaml:3: `node-name` is given twice in this file".into()),
        (
            "node-label:\n- a=b\n- c\n",
            "config.yaml:3: invalid value 'c' for '--node-label <KEY=VALUE>': not a label: expected key=value".into(),
        ),
        (
            "disable-agent: perhaps\n",
            "config.yaml:1: invalid value 'perhaps' for '--disable-agent[=<DISABLE_AGENT>]': value was not a boolean".into(),
        ),
        ("flannel-backend: none\n", "config.yaml:1: there is no option `flannel-backend` in skiff: use --network-backend".into()),
    ];
    for (text, expected) in cases {
        assert_eq!(Machine::new().file("config.yaml", text).error(&[]), expected, "{text}");
    }
}

#[test]
fn a_mistake_in_a_drop_in_names_the_drop_in() {
    let machine =
        Machine::new().file("config.yaml", "").file("config.yaml.d/5.yaml", "# nothing\nnode-nam: a\n");
    assert_eq!(
        machine.error(&[]),
        "config.yaml.d/5.yaml:2: unknown option `node-nam`; the nearest is `node-name`"
    );
}

#[test]
fn a_mistake_is_told_even_where_a_higher_layer_counts() {
    let machine = Machine::new().file("config.yaml", "https-listen-port: x\n");
    let error = machine.error(&["--https-listen-port=7000"]);
    assert!(error.starts_with("config.yaml:1: invalid value 'x'"), "{error}");
}

#[test]
fn an_agent_is_told_which_options_are_a_server_s() {
    let machine = Machine::new().file("config.yaml", "cluster-cidr: 10.0.0.0/16\n");
    let error = machine.run("agent", &["--server=https://a", "--token=b"]).unwrap_err();
    assert_eq!(error, "config.yaml:1: `cluster-cidr` is an option of `skiff server` only");
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    let machine = || Machine::new().file("config.yaml", "");
    assert_eq!(
        machine().variable("SKIFF_CLUSTER_DNS", "10.43.0.10,dns").error(&[]),
        "SKIFF_CLUSTER_DNS: invalid value 'dns' for '--cluster-dns <ADDRESS>': invalid IP address syntax"
    );
    let not_utf8 = OsString::from_vec(vec![0xff]);
    assert_eq!(machine().variable("SKIFF_TOKEN", not_utf8).error(&[]), "SKIFF_TOKEN: the value is not UTF-8");
    let loud = machine().variable("SKIFF_LOG", "loud").error(&[]);
    assert!(
        loud.starts_with("SKIFF_LOG: invalid value 'loud' for '--log-level <LEVELS>': `loud` is not a level"),
        "{loud}"
    );
}

#[test]
fn options_of_k3s_are_answered_with_what_replaces_them() {
    let machine = Machine::new().file("config.yaml", "");
    let error = machine.error(&["--kubelet-arg=max-pods=20"]);
    assert!(
        error.starts_with("error: there is no --kubelet-arg in skiff: the node is set up with --node-name,"),
        "{error}"
    );
    let error = machine.error(&["--flannel-backend", "host-gw"]);
    assert!(
        error.starts_with("error: there is no --flannel-backend in skiff: use --network-backend"),
        "{error}"
    );
    assert_eq!(machine.server(&["--disable=coredns"])["disabled"], json!(["dns"]));
    for (name, why) in [("traefik", "this version of skiff has none"), ("dsn", "only `dns` can be left out")]
    {
        let error = machine.error(&["--disable", name]);
        assert!(
            error.contains(&format!("invalid value '{name}' for '--disable")) && error.contains(why),
            "{error}"
        );
    }
}

#[test]
fn joining_takes_a_token() {
    let machine = Machine::new().file("config.yaml", "").file("token", " secret\n").file("empty", "\n");
    let path = |name: &str| machine.folder.path().join(name).display().to_string();
    let joined = machine.run("agent", &["-s", "https://a", "--token-file", &path("token")]).unwrap();
    assert_eq!(joined["join"], json!({"server": "https://a:6443", "token": "(secret)"}));
    assert_eq!(joined, machine.run("agent", &["-s", "https://a:6443", "-t", "x"]).unwrap());
    let cases: [(&str, &[&str], &str); 7] = [
        ("agent", &["-t", "x"], "--server is required: an agent joins the cluster of a server"),
        (
            "agent",
            &["-s", "https://a"],
            "--token or --token-file is required to join the cluster of --server",
        ),
        (
            "server",
            &["-s", "https://a"],
            "--token or --token-file is required to join the cluster of --server",
        ),
        (
            "server",
            &["-t", "x", "--token-file", "y"],
            "--token and --token-file are both given; one is enough",
        ),
        ("server", &["--token-file", &path("none")], "read --token-file none"),
        ("server", &["--token-file", &path("empty")], "--token-file empty"),
        ("agent", &["-s", "https://a", "-t", "not one word"], "--token"),
    ];
    for (command, flags, expected) in cases {
        assert_eq!(machine.run(command, flags).unwrap_err(), expected, "{command} {flags:?}");
    }
}

#[test]
fn a_token_is_not_printed() {
    let machine = Machine::new().file("config.yaml", "");
    let founded = machine.run("server", &["--token=a-secret"]).unwrap();
    assert_eq!(founded["membership"], json!({"found": {"token": "(secret)"}}));
    let refused = machine.run("server", &["--token=a secret"]).unwrap_err();
    assert!(!refused.contains("a secret"), "{refused}");
}

#[test]
fn a_relative_data_folder_is_refused() {
    let error = Machine::new().file("config.yaml", "data-dir: here\n").error(&[]);
    assert_eq!(error, "--data-dir here is relative: it would depend on where skiff is started");
}
