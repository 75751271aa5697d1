//! The ports that skiff binds, and who is there already. A kubelet's own port is none of them: nodes are not dialled.
//!
//! Other software is mentioned only if it holds one of them: a containerd beside skiff does no harm.

use std::net::{IpAddr, Ipv4Addr};

use super::command::Settings;
use super::finding::Check;
use super::root::Root;
use super::sockets::{Process, Protocol, Socket, holder};

const VXLAN: u16 = 8472;
const DNS: u16 = 53;
/// It outlives the process that made it.
const OWN_DEVICE: &str = network::VXLAN_DEVICE;
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A port that skiff wants.
struct Wish {
    name: &'static str,
    protocol: Protocol,
    addresses: Vec<IpAddr>,
    port: u16,
    /// The option that moves it, where there is one.
    option: Option<&'static str>,
}

#[derive(Debug)]
enum Holder {
    Process(Process),
    /// No process has it: a VXLAN device of this name, or something that cannot be seen.
    Kernel {
        device: Option<String>,
    },
}

fn wishes(settings: &Settings) -> Vec<Wish> {
    let anywhere =
        |name, protocol, port, option| Wish { name, protocol, addresses: vec![ANYWHERE], port, option };
    let dns = |name, protocol| Wish {
        name,
        protocol,
        addresses: settings.cluster_dns.clone(),
        port: DNS,
        option: Some("--cluster-dns"),
    };
    let api = |port| anywhere("port-api", Protocol::Tcp, port, Some("--https-listen-port"));
    let node = [
        anywhere("port-vxlan", Protocol::Udp, VXLAN, None),
        dns("port-dns-udp", Protocol::Udp),
        dns("port-dns-tcp", Protocol::Tcp),
    ];
    let all = settings.https_listen_port.map(api).into_iter().chain(node);
    // An agent learns from its server where DNS answers.
    all.filter(|wish| !wish.addresses.is_empty()).collect()
}

pub(super) fn check(root: &Root, settings: &Settings) -> Vec<Check> {
    let sockets = Socket::all(root);
    let check = |wish: Wish| {
        let blocking = sockets.iter().find(|socket| blocks(socket, &wish));
        judge(&wish, blocking.map(|socket| held(root, socket)))
    };
    wishes(settings).into_iter().map(check).collect()
}

fn blocks(socket: &Socket, wish: &Wish) -> bool {
    let address = || wish.addresses.iter().any(|address| socket.blocks(*address));
    socket.protocol == wish.protocol && socket.port == wish.port && address()
}

fn held(root: &Root, socket: &Socket) -> Holder {
    holder(root, socket).map_or_else(|| Holder::Kernel { device: vxlan_device(root) }, Holder::Process)
}

fn vxlan_device(root: &Root) -> Option<String> {
    let mut devices = root.names("sys/class/net").into_iter();
    devices.find(|device| {
        let event = root.text(format!("sys/class/net/{device}/uevent")).unwrap_or_default();
        event.lines().any(|line| line == "DEVTYPE=vxlan")
    })
}

fn judge(wish: &Wish, holder: Option<Holder>) -> Check {
    let place = place(wish);
    match holder {
        None => Check::pass(wish.name, format!("{place} is free")),
        Some(Holder::Process(process)) if process.name.starts_with("skiff") => {
            Check::pass(wish.name, format!("{place} is held by skiff itself"))
        }
        Some(Holder::Process(process)) => {
            let Process { name, pid } = &process;
            Check::fail(wish.name, format!("{place} is held by {name} (process {pid})"), evict(wish, name))
        }
        Some(Holder::Kernel { device: Some(device) }) if wish.port == VXLAN && device == OWN_DEVICE => {
            Check::pass(wish.name, format!("{place} is held by skiff's own {device}"))
        }
        Some(Holder::Kernel { device: Some(device) }) if wish.port == VXLAN => Check::warn(
            wish.name,
            format!("{place} is held by the VXLAN device {device}"),
            format!("stop what made it, then: ip link delete {device}"),
        ),
        Some(Holder::Kernel { .. }) => Check::fail(
            wish.name,
            format!("{place} is taken, by whom cannot be seen"),
            format!("as root, `ss -lnp` shows who has it; stop that{}", elsewhere(wish)),
        ),
    }
}

fn place(wish: &Wish) -> String {
    let protocol = match wish.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    let port = wish.port;
    if wish.addresses == [ANYWHERE] {
        return format!("{port}/{protocol}");
    }
    let addresses: Vec<String> = wish.addresses.iter().map(IpAddr::to_string).collect();
    format!("{port}/{protocol} on {}", addresses.join(" and "))
}

/// How the usual ones are stopped for good.
fn evict(wish: &Wish, name: &str) -> String {
    let unit = match name {
        "k3s-server" | "k3s" => "k3s",
        "k3s-agent" => "k3s-agent",
        "k0s" => "k0scontroller",
        "kubelite" => "snap.microk8s.daemon-kubelite",
        "systemd-resolve" => "systemd-resolved",
        "dnsmasq" | "named" | "unbound" | "pihole-FTL" => name,
        other => return format!("stop {other}{}", elsewhere(wish)),
    };
    format!("systemctl disable --now {unit}{}", elsewhere(wish))
}

fn elsewhere(wish: &Wish) -> String {
    let alone = match wish.port {
        DNS => ", or have it listen on single addresses instead of all",
        _ => "",
    };
    let moved = wish.option.map(|option| format!(", or choose another with {option}")).unwrap_or_default();
    format!("{alone}{moved}")
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st\n";

    fn judged(files: &[(&str, &str)], descriptor: Option<(&str, &str)>) -> Vec<Check> {
        let sample = Sample::of(files);
        if let Some((path, target)) = descriptor {
            let path = sample.root().path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }
        let settings = Settings {
            data_dir: "/var/lib/skiff".into(),
            https_listen_port: Some(6443),
            cluster_dns: vec![[10, 43, 0, 10].into()],
        };
        check(&sample.root(), &settings)
    }

    fn row(address: &str, port: u16, state: &str) -> String {
        format!("{HEAD}   0: {address}:{port:04X} 00000000:0000 {state} 0:0 00:0 0 0 0 777 1\n")
    }

    fn find<'a>(checks: &'a [Check], name: &str) -> &'a Check {
        checks.iter().find(|check| check.name == name).unwrap()
    }

    #[test]
    fn an_idle_machine_has_all_ports_free() {
        let checks = judged(&[("proc/net/tcp", HEAD)], None);
        let names: Vec<_> = checks.iter().map(|check| (check.name, check.outcome.word())).collect();
        let pass = |name| (name, "pass");
        assert_eq!(names, ["port-api", "port-vxlan", "port-dns-udp", "port-dns-tcp"].map(pass));
    }

    #[test]
    fn an_agent_wants_no_api_and_does_not_know_dns_yet() {
        let agent =
            Settings { data_dir: "/var/lib/skiff".into(), https_listen_port: None, cluster_dns: Vec::new() };
        let names: Vec<_> = wishes(&agent).iter().map(|wish| wish.name).collect();
        assert_eq!(names, ["port-vxlan"]);
    }

    #[test]
    fn a_running_k3s_is_named_with_the_command_that_stops_it() {
        let tcp = row("00000000", 6443, "0A");
        let files = [("proc/net/tcp", tcp.as_str()), ("proc/900/comm", "k3s-server\n")];
        let checks = judged(&files, Some(("proc/900/fd/7", "socket:[777]")));
        let api = find(&checks, "port-api");
        assert_eq!(api.outcome.word(), "fail");
        assert!(api.finding.contains("k3s-server (process 900)"), "{}", api.finding);
        assert!(api.remedy().unwrap().starts_with("systemctl disable --now k3s,"));
    }

    #[test]
    fn skiff_does_not_stand_in_its_own_way() {
        let tcp = row("00000000", 6443, "0A");
        let files = [("proc/net/tcp", tcp.as_str()), ("proc/900/comm", "skiff\n")];
        let checks = judged(&files, Some(("proc/900/fd/7", "socket:[777]")));
        assert_eq!(find(&checks, "port-api").outcome.word(), "pass");
    }

    #[test]
    fn a_resolver_on_loopback_leaves_dns_free_and_one_on_all_addresses_does_not() {
        let stub = row("3500007F", 53, "07");
        assert_eq!(find(&judged(&[("proc/net/udp", &stub)], None), "port-dns-udp").outcome.word(), "pass");
        let all = row("00000000", 53, "0A");
        assert_eq!(find(&judged(&[("proc/net/tcp", &all)], None), "port-dns-tcp").outcome.word(), "fail");
    }

    #[test]
    fn a_vxlan_device_is_named_unless_it_is_ours() {
        let udp = row("00000000", 8472, "07");
        for (device, outcome) in [("flannel.1", "warn"), (OWN_DEVICE, "pass")] {
            let path = format!("sys/class/net/{device}/uevent");
            let checks = judged(&[("proc/net/udp", &udp), (&path, "DEVTYPE=vxlan\n")], None);
            let vxlan = find(&checks, "port-vxlan");
            assert_eq!(vxlan.outcome.word(), outcome);
            assert!(vxlan.finding.contains(device));
        }
    }
}
