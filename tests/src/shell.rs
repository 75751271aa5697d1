//! Labs for people, and one for the test that nothing leaks.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::host::Host;
use crate::images::Image;
use crate::lab::Lab;
use crate::program::{self, SYSTEM_PATH};

/// Starts a cluster of this many nodes and a shell at the switch, from where all machines can be reached. Everything ends with
/// the shell.
pub fn shell(nodes: u16) -> Result<ExitStatus> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, usize::from(nodes).saturating_sub(1))?;
    let hosts: Vec<Host> = cluster.nodes().map(|node| node.host.clone()).collect();
    let commands = lab.directory().join("bin");
    install_commands(&hosts, &commands)?;
    install_kubectl(&cluster, &commands)?;
    let image = cluster.push(&Image::new("busybox").base_busybox()?.build()?)?;
    greet(&hosts, &image);
    let mut shell = Command::new("bash");
    shell.arg("--norc").arg("-i");
    shell.env(
        "PATH",
        format!("{}:{}:{SYSTEM_PATH}", commands.display(), program::build_directory()?.display()),
    );
    shell.env("PS1", "lab# ");
    leave_interrupts_to_others();
    lab.floor().switch.spawn(shell)?.wait().context("waiting for the shell")
}

/// By a handler, not by ignoring them: what is ignored stays so in every program that is started from here.
fn leave_interrupts_to_others() {
    extern "C" fn nothing(_signal: libc::c_int) {}
    // SAFETY: a handler that does nothing can interrupt anything.
    unsafe { libc::signal(libc::SIGINT, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
}

fn greet(hosts: &[Host], image: &str) {
    println!(
        "A cluster, with a command for each of its machines (`server ip route`, or without more for a shell there):"
    );
    for host in hosts {
        println!("  {:10} {}", host.name(), host.ip());
    }
    println!(
        "`kubectl` is its administrator's. Nothing reaches the world outside; there is one image to begin with:"
    );
    println!("  kubectl create deployment hello --image={image} --replicas=2 -- sleep infinity");
    println!("`exit` ends it all.");
}

/// kubectl on the server's machine, by its usual name.
fn install_kubectl(cluster: &Cluster, directory: &Path) -> Result<()> {
    let line = cluster.command::<String>([])?.line();
    let server = directory.join(cluster.server.host.name());
    write_script(
        &directory.join("kubectl"),
        &format!("#!/bin/sh\nexec {} env {line} \"$@\"\n", server.display()),
    )
}

/// One command per machine: with arguments it runs those there, without it gives a shell.
pub(crate) fn install_commands(hosts: &[Host], directory: &Path) -> Result<()> {
    fs::create_dir(directory).with_context(|| format!("making {}", directory.display()))?;
    for host in hosts {
        write_script(&directory.join(host.name()), &way_to(host)?)?;
    }
    Ok(())
}

fn write_script(path: &Path, script: &str) -> Result<()> {
    fs::write(path, script).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} a program", path.display()))
}

fn way_to(host: &Host) -> Result<String> {
    let groups: String =
        host.machine().cgroup.later_members().map(|path| format!("echo $$ > {}\n", path.display())).collect();
    Ok(format!(
        "#!/bin/bash\n\
         [ $# -gt 0 ] || set -- env PS1='{}# ' bash --norc -i\n\
         {groups}\
         exec nsenter --all --target {} \"$@\"\n",
        host.name(),
        host.pid()?
    ))
}

/// A lab with a busy machine, which says where it leaves traces and waits for its fate.
pub fn hold() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("held")?;
    let daemon =
        host.command("sh").args(["-c", "while :; do echo x >> /var/lib/skiff/log; done"]).daemon("busy")?;
    println!("directory {}", lab.directory().display());
    println!("init {}", host.pid()?);
    println!("daemon {}", daemon.pid()?);
    for group in lab.floor().ground.cgroup.directories() {
        println!("cgroup {}", group.display());
    }
    println!("held");
    io::stdout().flush().context("reporting")?;
    match io::stdin().lock().lines().next().transpose().context("waiting for a word")?.as_deref() {
        Some("panic") => panic!("as asked"),
        Some("fail") => bail!("as asked"),
        _ => Ok(()),
    }
}
