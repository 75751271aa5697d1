//! What takes the place of k3s options that skiff does not have.
//!
//! People bring their k3s unit files and config.yaml along; an answer saves them the search. Options that pass text
//! through to a component are not wanted: the components are not upstream's processes, and a flag that is checked beats one that
//! fails three processes further on.

/// What to use instead of an option of k3s; `None` for everything else.
pub(crate) fn replacement(option: &str) -> Option<&'static str> {
    Some(match option {
        "kubelet-arg" => {
            "the node is set up with --node-name, --node-ip, --node-label, --node-taint, --cluster-dns and --cluster-domain"
        }
        "kube-proxy-arg" => "Services need no settings but --cluster-cidr and --service-cidr",
        "kube-apiserver-arg" => {
            "the API server is set up with --https-listen-port, --tls-san, --service-cidr and --audit-log-path"
        }
        "kube-controller-manager-arg" | "kube-controller-arg" => {
            "the controllers are set up with --cluster-cidr and --service-cidr"
        }
        "kube-scheduler-arg" => "the scheduler has no settings",
        "kube-cloud-controller-manager-arg" | "kube-cloud-controller-arg" => "there is no cloud controller",
        "etcd-arg" => "there is no embedded etcd; the state lies below --data-dir",
        "flannel-backend" => "use --network-backend",
        "no-flannel" => "use --network-backend=none",
        "no-deploy" => "use --disable",
        "disable-selinux" => "SELinux is not used",
        "cluster-secret" => "use --token",
        "debug" => "use --log-level=debug",
        "v" | "vmodule" => "use --log-level, as in --log-level=info,store=debug",
        "log" | "alsologtostderr" => "logs go to standard error only",
        "docker" | "container-runtime-endpoint" | "snapshotter" | "pause-image" => {
            "the container runtime is part of skiff; it needs neither containerd nor a pause container"
        }
        _ => return None,
    })
}
