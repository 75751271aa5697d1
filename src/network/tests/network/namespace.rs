//! Network namespaces for tests: machines and pods without processes. Each goes when its file is closed.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};

#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// None without the right to make one: the test says so and passes.
    pub(crate) fn new() -> Option<Self> {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok::<_, nix::Error>(File::open("/proc/thread-self/ns/net").unwrap())
        };
        let made = std::thread::scope(|scope| scope.spawn(make).join().unwrap());
        made.inspect_err(|errno| eprintln!("skipped: a network namespace of its own: {errno}")).ok().map(Self)
    }

    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// Does the work on a thread in the namespace.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        std::thread::scope(|scope| {
            scope.spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Does the work on a runtime whose threads are all in the namespace.
    pub(crate) fn block_on<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        })
    }

    /// Runs a program there and returns what it prints.
    pub(crate) fn output(&self, command: &str) -> String {
        let mut words = command.split(' ');
        let mut program = Command::new(words.next().unwrap());
        program.args(words);
        let done = self.run(|| program.output().unwrap());
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

/// Joins two namespaces by a cable with these addresses at its ends.
pub(crate) fn cable(left: &Namespace, right: &Namespace, [from, to]: [&str; 2]) {
    left.output(&format!("ip link add uplink type veth peer name uplink netns {}", right.path().display()));
    for (end, address) in [(left, from), (right, to)] {
        end.output("ip link set lo up");
        end.output(&format!("ip address add {address} dev uplink nodad"));
        end.output("ip link set uplink up");
    }
}

/// Says something from one to the other, and tells whom the other saw.
pub(crate) fn say(from: &Namespace, to: &Namespace, address: IpAddr) -> IpAddr {
    let listener = to.run(|| TcpListener::bind((address, 0)).unwrap());
    let there = listener.local_addr().unwrap();
    let mut client = from.run(|| TcpStream::connect(there).unwrap());
    client.write_all(b"skiff").unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    let mut heard = [0; 5];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"skiff");
    peer.ip()
}
