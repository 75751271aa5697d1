//! Sockets that are bound, from `/proc/net`, and the processes behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::root::Root;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) protocol: Protocol,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    inode: u64,
}

impl Socket {
    /// The listening TCP sockets and all unconnected UDP ones of this network namespace.
    pub(super) fn all(root: &Root) -> Vec<Self> {
        let files = [
            ("proc/net/tcp", Protocol::Tcp),
            ("proc/net/tcp6", Protocol::Tcp),
            ("proc/net/udp", Protocol::Udp),
            ("proc/net/udp6", Protocol::Udp),
        ];
        let read = |(path, protocol)| parse(&root.text(path).unwrap_or_default(), protocol);
        files.into_iter().flat_map(read).collect()
    }

    /// Whether nobody else can bind this address while the socket is there. Of IPv6 sockets the wildcard counts for IPv4
    /// too: one that is IPv6 only cannot be told from here, and is rare.
    pub(super) fn blocks(&self, address: IpAddr) -> bool {
        let mapped = self.address.to_canonical();
        mapped.is_unspecified() || address.is_unspecified() || mapped == address
    }
}

fn parse(text: &str, protocol: Protocol) -> Vec<Socket> {
    text.lines().skip(1).filter_map(|line| socket(line, protocol)).collect()
}

/// `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 1 …`
fn socket(line: &str, protocol: Protocol) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let waiting = match protocol {
        Protocol::Tcp => "0A", // TCP_LISTEN
        Protocol::Udp => "07", // TCP_CLOSE, which unconnected UDP is shown as
    };
    let (address, port) = fields.get(1)?.split_once(':')?;
    let inode = fields.get(9)?.parse().ok()?;
    let bound = Socket { protocol, address: ip(address)?, port: u16::from_str_radix(port, 16).ok()?, inode };
    (*fields.get(3)? == waiting).then_some(bound)
}

/// The kernel prints 32-bit words as it has them in memory.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = hex.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into())
        }
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// The process that holds a socket. None: the kernel itself, or a process that we may not look into.
pub(super) fn holder(root: &Root, socket: &Socket) -> Option<Process> {
    let link = format!("socket:[{}]", socket.inode);
    let mut pids = root.names("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    let pid = pids.find(|pid| holds(root, *pid, &link))?;
    Some(Process { pid, name: root.word(format!("proc/{pid}/comm"))? })
}

fn holds(root: &Root, pid: u32, link: &str) -> bool {
    let folder = format!("proc/{pid}/fd");
    let target = |name: &String| std::fs::read_link(root.path(&folder).join(name)).ok();
    root.names(&folder).iter().filter_map(target).any(|target| target.as_os_str() == link)
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const TCP: &str = "   0: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 20111 1 0000 100 0 0 10 5
   1: 0100007F:192B 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 20112 1 0000 20 4 30 10 -1
";
    const TCP6: &str = "   0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28123 1 0000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28124 1 0000 100 0 0 10 0
";
    const UDP: &str = "  417: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 30001 2 0000 0\n";

    fn sample() -> Sample {
        let file = |rows: &str| format!("{HEAD}{rows}");
        let (tcp, tcp6, udp) = (file(TCP), file(TCP6), file(UDP));
        Sample::of(&[("proc/net/tcp", &tcp), ("proc/net/tcp6", &tcp6), ("proc/net/udp", &udp)])
    }

    #[test]
    fn sockets_that_wait_are_read_and_connections_are_not() {
        let sockets = Socket::all(&sample().root());
        let seen: Vec<String> = sockets
            .iter()
            .map(|socket| format!("{:?} {} {}", socket.protocol, socket.address, socket.port))
            .collect();
        assert_eq!(
            seen,
            ["Tcp 127.0.0.53 53", "Tcp :: 6443", "Tcp ::ffff:127.0.0.1 8080", "Udp 0.0.0.0 8472"]
        );
    }

    #[test]
    fn an_address_is_blocked_by_itself_and_by_the_wildcard() {
        let sockets = Socket::all(&sample().root());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(!sockets[0].blocks(address("10.43.0.10")));
        assert!(sockets[0].blocks(address("0.0.0.0")));
        assert!(sockets[1].blocks(address("10.43.0.10")));
        assert!(sockets[2].blocks(address("127.0.0.1")));
    }

    #[test]
    fn the_holder_is_found_by_its_descriptor() {
        let sample = sample();
        let root = sample.root();
        let listener = &Socket::all(&root)[1];
        assert_eq!(holder(&root, listener), None);
        sample.add("proc/812/comm", b"k3s-server\n");
        std::fs::create_dir_all(root.path("proc/812/fd")).unwrap();
        std::os::unix::fs::symlink("socket:[28123]", root.path("proc/812/fd/9")).unwrap();
        assert_eq!(holder(&root, listener), Some(Process { pid: 812, name: "k3s-server".into() }));
    }
}
