//! What containers say: images, ports, environment, probes, resources.

use serde_json::{Value, json};

use super::check;

/// A spec whose one container says this too.
#[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
fn container(fields: Value) -> Value {
    json!({"containers": [fields]})
}

#[test]
fn what_every_container_says() {
    check(&[
        (json!({}), &[]),
        (json!({"containers": null}), &["spec.containers: Required value"]),
        (
            container(json!({"name": "", "image": ""})),
            &["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"],
        ),
        (
            container(json!({"image": " i"})),
            &[
                "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
            ],
        ),
        (
            container(json!({"terminationMessagePolicy": "x"})),
            &[
                "spec.containers[0].terminationMessagePolicy: Unsupported value: \"x\": supported values: \"File\", \"FallbackToLogsOnError\"",
            ],
        ),
        (
            container(json!({"imagePullPolicy": "x"})),
            &[
                "spec.containers[0].imagePullPolicy: Unsupported value: \"x\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ],
        ),
        (
            json!({"containers": [{}, {"name": "c", "image": "i"}], "initContainers": [{"name": "c", "image": "i"}]}),
            &[
                "spec.containers[1].name: Duplicate value: \"c\"",
                "spec.initContainers[0].name: Duplicate value: \"c\"",
            ],
        ),
        (json!({"terminationGracePeriodSeconds": -1}), &[]),
        (
            json!({"ephemeralContainers": [{"name": "e", "image": "i"}]}),
            &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
    ]);
}

#[test]
fn ports() {
    check(&[
        (
            container(
                json!({"ports": [{"name": "A--b", "containerPort": 0}, {"containerPort": 70000, "hostPort": 70000, "protocol": "x"}]}),
            ),
            &[
                "spec.containers[0].ports[0].name: Invalid value: \"A--b\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "spec.containers[0].ports[0].name: Invalid value: \"A--b\": must not contain consecutive hyphens",
                "spec.containers[0].ports[0].containerPort: Required value",
                "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "spec.containers[0].ports[1].hostPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "spec.containers[0].ports[1].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
        (
            container(
                json!({"ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]}),
            ),
            &["spec.containers[0].ports[1].name: Duplicate value: \"a\""],
        ),
        (
            json!({"containers": [{"ports": [{"containerPort": 1, "hostPort": 8}]}, {"name": "b", "image": "i", "ports": [{"containerPort": 2, "hostPort": 8}]}]}),
            &["spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//8\""],
        ),
        (
            json!({"hostNetwork": true, "containers": [{"ports": [{"containerPort": 1, "hostPort": 8}]}]}),
            &[
                "spec.containers[0].ports[0].hostPort: Invalid value: 8: must match `containerPort` when `hostNetwork` is true",
            ],
        ),
        (
            json!({"initContainers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i", "ports": [{"containerPort": 1, "hostPort": 8}, {"containerPort": 2, "hostPort": 8}]}]}),
            &["spec.initContainers[0].ports[1].hostPort: Duplicate value: \"TCP//8\""],
        ),
    ]);
}

#[test]
fn environment() {
    let one_of = "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    let from = |source: Value| container(json!({"env": [{"name": "a", "valueFrom": source}]}));
    check(&[
        (
            container(json!({"env": [{"name": ""}, {"name": "a=b"}]})),
            &[
                "spec.containers[0].env[0].name: Required value",
                "spec.containers[0].env[1].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='…",
            ],
        ),
        (from(json!({})), &[one_of]),
        (
            container(
                json!({"env": [{"name": "a", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
            ),
            &[
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            ],
        ),
        (
            from(
                json!({"secretKeyRef": {"name": "s", "key": "k"}, "fieldRef": {"fieldPath": "metadata.name"}}),
            ),
            &[
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ],
        ),
        (
            from(json!({"secretKeyRef": {"name": "s", "key": "a/b"}})),
            &[
                "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Invalid value: \"a/b\": a valid config key…",
            ],
        ),
        (
            from(json!({"configMapKeyRef": {"name": "s"}})),
            &["spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value"],
        ),
        (from(json!({"fieldRef": {"fieldPath": "spec.nodeName"}})), &[]),
        (from(json!({"fieldRef": {"fieldPath": "metadata.labels['a/b']"}})), &[]),
        (
            from(json!({"fieldRef": {"fieldPath": "metadata.labels['a b']"}})),
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef: Invalid value: \"a b\": name part must consist…",
            ],
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "status.phase"}})),
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.name\"…",
            ],
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "spec.x"}})),
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath: field label not supported: spec.x",
            ],
        ),
        (
            from(json!({"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}})),
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name\": error converting fieldPath: unsupported pod version: v2",
            ],
        ),
        (from(json!({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}})), &[]),
        (
            from(json!({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1Mi"}})),
            &[
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
            ],
        ),
        (
            from(json!({"resourceFieldRef": {"resource": "x"}})),
            &[
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"x\": supported values: \"limits.cpu\"…",
            ],
        ),
        (
            from(json!({"fileKeyRef": {"key": "k", "path": "../x", "volumeName": "v"}})),
            &[
                "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: \"v\"",
                "spec.containers[0].env[0].valueFrom.fileKeyRef.path: Invalid value: \"../x\": must not contain '..'",
            ],
        ),
        (
            container(json!({"envFrom": [{}, {"configMapRef": {"name": "A"}, "secretRef": {"name": ""}}]})),
            &[
                "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
                "spec.containers[0].envFrom[1].configMapRef.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain…",
                "spec.containers[0].envFrom[1].secretRef.name: Required value",
                "spec.containers[0].envFrom: Invalid value: \"\": may not have more than one field specified at a time",
            ],
        ),
    ]);
}

#[test]
fn probes_and_hooks() {
    let live = |probe: Value| container(json!({"livenessProbe": probe}));
    check(&[
        (live(json!({})), &["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
        (
            live(json!({"exec": {}, "tcpSocket": {"port": 0}})),
            &[
                "spec.containers[0].livenessProbe.exec.command: Required value",
                "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            ],
        ),
        (
            live(
                json!({"tcpSocket": {"port": "x--"}, "successThreshold": 2, "periodSeconds": -1, "terminationGracePeriodSeconds": 0}),
            ),
            &[
                "spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: \"x--\": must not contain consecutive hyphens",
                "spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: \"x--\": must not begin or end with a hyphen",
                "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ],
        ),
        (
            live(json!({"httpGet": {"port": 1, "scheme": "ftp", "httpHeaders": [{"name": "a b"}]}})),
            &[
                "spec.containers[0].livenessProbe.httpGet.scheme: Unsupported value: \"ftp\": supported values: \"HTTP\", \"HTTPS\"",
                "spec.containers[0].livenessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header…",
            ],
        ),
        (
            container(
                json!({"readinessProbe": {"grpc": {"port": 0}, "successThreshold": 3, "terminationGracePeriodSeconds": 3}}),
            ),
            &[
                "spec.containers[0].readinessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 3: must not be set for readinessProbes",
            ],
        ),
        (
            container(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}, "postStart": {}}})),
            &[
                "spec.containers[0].lifecycle.postStart: Required value: must specify a handler type",
                "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            ],
        ),
        (
            json!({"initContainers": [{"name": "a", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1}}, "lifecycle": {}}]}),
            &[
                "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            ],
        ),
        (
            json!({"initContainers": [{"name": "a", "image": "i", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}}]}),
            &[],
        ),
    ]);
}

#[test]
fn restarts_and_resizes() {
    check(&[
        (
            container(json!({"restartPolicy": "x"})),
            &[
                "spec.containers[0].restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            ],
        ),
        (
            container(
                json!({"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]}),
            ),
            &[
                "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            ],
        ),
        (
            container(json!({"restartPolicy": "Never", "restartPolicyRules": [{"action": "x"}]})),
            &[
                "spec.containers[0].restartPolicyRules[0].action: Unsupported value: \"x\": supported values: \"Restart\"",
                "spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified",
            ],
        ),
        (
            json!({"restartPolicy": "Never", "containers": [{"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"},
            {"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "x", "restartPolicy": "NotRequired"}]}]}),
            &[
                "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when `restartPolicy` is 'Never'",
                "spec.containers[0].resizePolicy[1]: Duplicate value: \"cpu\"",
                "spec.containers[0].resizePolicy: Unsupported value: \"x\": supported values: \"cpu\", \"memory\"",
            ],
        ),
        (
            json!({"restartPolicy": "x", "dnsPolicy": "y"}),
            &[
                "spec.restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"OnFailure\", \"Never\"",
                "spec.dnsPolicy: Unsupported value: \"y\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
            ],
        ),
    ]);
}

#[test]
fn resources() {
    let asks = |resources: Value| container(json!({"resources": resources}));
    check(&[
        (asks(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "500m", "memory": "1Gi"}})), &[]),
        (
            asks(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
            &[
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            asks(json!({"requests": {"example.com/gpu": "1"}})),
            &[
                "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            ],
        ),
        (
            asks(json!({"limits": {"example.com/gpu": "500m"}})),
            &[
                "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer",
                "spec.containers[0].resources.requests[example.com/gpu]: Invalid value: \"500m\": must be an integer",
            ],
        ),
        (
            asks(json!({"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}})),
            &[
                "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2",
            ],
        ),
        (
            asks(json!({"requests": {"cpu": "-1"}})),
            &[
                "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        ),
        (
            asks(json!({"requests": {"apples": "1"}})),
            &[
                "spec.containers[0].resources.requests[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                "spec.containers[0].resources.requests[apples]: Invalid value: \"apples\": must be a standard resource for containers",
            ],
        ),
        (
            asks(json!({"requests": {"pods": "1"}})),
            &[
                "spec.containers[0].resources.requests[pods]: Invalid value: \"pods\": must be a standard resource for containers",
            ],
        ),
        (
            asks(
                json!({"requests": {"requests.example.com/x": "1"}, "limits": {"requests.example.com/x": "1"}}),
            ),
            &[
                "spec.containers[0].resources.limits[requests.example.com/x]: Invalid value: \"requests.example.com/x\": doesn't follow extended resource name standard",
                "spec.containers[0].resources.requests[requests.example.com/x]: Invalid value: \"requests.example.com/x\": doesn't follow extended resource name standard",
            ],
        ),
        (
            asks(json!({"limits": {"hugepages-2Mi": "3Mi"}})),
            &[
                "spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                "spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                "spec.containers[0].resources: Forbidden: HugePages require cpu or memory",
            ],
        ),
        (
            json!({"overhead": {"apples": "1"}}),
            &[
                "spec.overhead.limits[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                "spec.overhead.limits[apples]: Invalid value: \"apples\": must be a standard resource for containers",
            ],
        ),
    ]);
}

#[test]
fn the_resources_of_the_whole() {
    let whole = |resources: Value, container: Value| json!({"resources": resources, "containers": [{"resources": container}]});
    check(&[
        (whole(json!({"limits": {"cpu": "2"}}), json!({"requests": {"cpu": "1"}})), &[]),
        (
            whole(json!({"requests": {"cpu": "1"}}), json!({"requests": {"cpu": "2"}})),
            &[
                "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2",
            ],
        ),
        (
            whole(
                json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}),
                json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}),
            ),
            &[
                "spec.resources.containers[0][cpu].limits: Invalid value: \"2\": must be less than or equal to pod limits of 1",
            ],
        ),
        (
            whole(json!({"requests": {"ephemeral-storage": "1"}, "claims": []}), json!({})),
            &[
                "spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level",
                "spec.resources.requests[ephemeral-storage]: Unsupported value: \"ephemeral-storage\": supported values: \"cpu\", \"hugepages-\", \"memory\"",
            ],
        ),
    ]);
}

#[test]
fn resource_claims() {
    let asks = |claims: Value| json!({"resourceClaims": [{"name": "a", "resourceClaimName": "x"}], "containers": [{"resources": {"claims": claims}}]});
    check(&[
        (asks(json!([{"name": "a", "request": "r"}, {"name": "a", "request": "s"}])), &[]),
        (
            asks(json!([{"name": "a"}, {"name": "a"}, {"name": "b"}, {}])),
            &[
                "spec.containers[0].resources.claims[1]: Duplicate value: \"a\"",
                "spec.containers[0].resources.claims[2]: Not found: \"b\": must be one of the names in pod.spec.resourceClaims: a",
                "spec.containers[0].resources.claims[3]: Required value",
            ],
        ),
        (
            json!({"resourceClaims": [{"name": "a"}, {"name": "a", "resourceClaimName": "A"}]}),
            &[
                "spec.resourceClaims[0]: Invalid value: {\"name\":\"a\"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
                "spec.resourceClaims[1].name: Duplicate value: \"a\"",
                "spec.resourceClaims[1].resourceClaimName: Invalid value: \"A\": a lowercase RFC 1123 subdomain…",
            ],
        ),
    ]);
}

#[test]
fn names_of_the_pod_on_the_network() {
    check(&[
        (
            json!({"hostname": "a.b", "subdomain": "A"}),
            &[
                "spec.hostname: Invalid value: \"a.b\": must not contain dots",
                "spec.subdomain: Invalid value: \"A\": a lowercase RFC 1123 label…",
            ],
        ),
        (
            json!({"dnsPolicy": "None"}),
            &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            json!({"dnsPolicy": "None", "dnsConfig": {}}),
            &[
                "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
            ],
        ),
        (
            json!({"dnsConfig": {"nameservers": ["x"], "searches": ["_tcp.a.", ".", "a..b"], "options": [{}]}}),
            &[
                "spec.dnsConfig.nameservers[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                "spec.dnsConfig.searches[2]: Invalid value: \"a..b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.'…",
                "spec.dnsConfig.options[0]: Required value: must not be empty",
            ],
        ),
        (
            json!({"hostAliases": [{"ip": "1", "hostnames": ["A"]}]}),
            &[
                "spec.hostAliases[0].ip: Invalid value: \"1\": must be a valid IP address…",
                "spec.hostAliases[0].hostnames[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain…",
            ],
        ),
        (
            json!({"hostNetwork": true, "hostnameOverride": "a"}),
            &["spec.hostNetwork: Forbidden: may not be true when `hostnameOverride` is set"],
        ),
    ]);
}

#[test]
fn templates_are_asked_less() {
    let kind = crate::kinds::by_resource("", "v1", "podtemplates").unwrap();
    let mut object = json!({"metadata": {"name": "t", "namespace": "d"}, "template": {"metadata": {"labels": {"a b": "c"}},
        "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": " i ", "ports": [{"containerPort": 1}]}], "ephemeralContainers": [{"name": "e", "image": "i"}]}}});
    kind.default_object(&mut object);
    let found = super::sentences(&kind.validate_create(&object));
    super::compare(
        &object,
        &found,
        &[
            "template.labels: Invalid value: \"a b\": name part must consist…",
            "template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
        ],
    );
}
