//! The lab's images, by the judgement of other people's tools: skopeo, umoci, Debian's registry, and the kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lab::images::{GUEST, Image, Layout, Platform, docker_archive};
use lab::registry::{Access, PASSWORD, USER};
use lab::{Daemon, Host, Lab, PATIENCE, Registry};
use serde_json::Value;
use tempfile::TempDir;

/// A tool on this machine, in a directory.
fn run(directory: &TempDir, command: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(command).args(args).current_dir(directory).output()?;
    let (said, complained) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command} {args:?}: {}\n{said}{complained}", output.status);
    Ok(said)
}

fn skopeo_config(directory: &TempDir, image: &str) -> Result<Value> {
    Ok(serde_json::from_str(&run(directory, "skopeo", &["inspect", "--config", image])?)?)
}

/// The root file system that umoci makes of a layout, of which there is one in the directory `layout`.
fn unpack(directory: &TempDir, tag: &str) -> Result<PathBuf> {
    run(directory, "umoci", &["unpack", "--image", &format!("layout:{tag}"), "bundle"])?;
    Ok(directory.path().join("bundle/rootfs"))
}

fn unpack_image(directory: &TempDir, image: &Image) -> Result<PathBuf> {
    image.build()?.write_dir(&directory.path().join("layout"))?;
    unpack(directory, "latest")
}

fn layered() -> Image {
    Image::new("layered")
        .dir("/kept", 0o750)
        .file("/kept/data", "lower", 0o640)
        .file("/gone", "lower", 0o644)
        .file("/hidden/lower", "lower", 0o644)
        .uncompressed()
        .layer()
        .whiteout("/gone")
        .opaque("/hidden")
        .file("/hidden/upper", "upper", 0o644)
        .symlink("/link", "kept/data")
        .file("/set-user-id", "", 0o4755)
}

#[test]
fn the_same_image_has_the_same_digest() -> Result<()> {
    let image = || Image::new("web").base_busybox().map(|image| image.label("b", "2").label("a", "1"));
    let digest = |image: Image| image.build().map(|layout| layout.digest().clone());
    assert_eq!(digest(image()?)?, digest(image()?)?);
    assert_ne!(digest(image()?)?, digest(image()?.file("/more", "", 0o644))?);
    assert_ne!(digest(layered().gzip())?, digest(layered().zstd())?);
    assert_eq!(docker_archive(&[&image()?])?, docker_archive(&[&image()?])?);
    Ok(())
}

/// Of all years and machines. Change it when images change on purpose.
#[test]
fn an_image_has_the_digest_that_it_always_had() -> Result<()> {
    let image =
        layered().uncompressed().platform(Platform::Arm64).env("A", "1").label("b", "2").label("a", "1");
    let digest = "sha256:be53d527ec87cb3f050c56f1c350745722ac77279d0d806919d9eab051ea1af6";
    assert_eq!(image.build()?.digest().to_string(), digest);
    Ok(())
}

#[test]
fn skopeo_reads_the_configuration_and_checks_every_digest() -> Result<()> {
    let directory = TempDir::new()?;
    let image = layered().entrypoint(["/a"]).cmd(["b", "c"]).env("K", "v").user("1000:1000").workdir("/kept");
    let image = image.label("l", "x").stop_signal("SIGUSR1").tag("1.2");
    image.build()?.write_dir(&directory.path().join("layout"))?;
    let config = skopeo_config(&directory, "oci:layout:1.2")?;
    let expected = serde_json::json!({
        "Entrypoint": ["/a"], "Cmd": ["b", "c"], "Env": ["K=v"], "User": "1000:1000", "WorkingDir": "/kept",
        "Labels": { "l": "x" }, "StopSignal": "SIGUSR1",
    });
    assert_eq!(config["config"], expected);
    run(&directory, "skopeo", &["--insecure-policy", "copy", "oci:layout:1.2", "dir:copy"])?;
    Ok(())
}

#[test]
fn umoci_unpacks_layers_and_whiteouts() -> Result<()> {
    let directory = TempDir::new()?;
    let root = unpack_image(&directory, &layered())?;
    let names = |path: &Path| -> Result<Vec<_>> {
        let mut names =
            fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let mode =
        |path: &str| -> Result<u32> { Ok(fs::metadata(root.join(path))?.permissions().mode() & 0o7777) };
    assert_eq!(names(&root)?, ["hidden", "kept", "link", "set-user-id"]);
    assert_eq!(names(&root.join("hidden"))?, ["upper"]);
    assert_eq!(fs::read_to_string(root.join("link"))?, "lower");
    assert_eq!([mode("kept")?, mode("kept/data")?, mode("set-user-id")?], [0o750, 0o640, 0o4755]);
    Ok(())
}

#[test]
fn every_compression_holds_the_same_files() -> Result<()> {
    for image in [layered().gzip(), layered().zstd(), layered().uncompressed()] {
        let directory = TempDir::new()?;
        fs::write(directory.path().join("image.tar"), Layout::archive(&[&image.build()?])?)?;
        let copy = ["--insecure-policy", "copy", "--dest-decompress", "oci-archive:image.tar", "dir:copy"];
        run(&directory, "skopeo", &copy)?;
        for layer in strings(&skopeo_config(&directory, "oci-archive:image.tar")?["rootfs"]["diff_ids"])? {
            let file = format!("copy/{}", layer.trim_start_matches("sha256:"));
            run(&directory, "tar", &["-tf", &file]).with_context(|| format!("decompressed {layer}"))?;
        }
    }
    Ok(())
}

fn strings(array: &Value) -> Result<Vec<String>> {
    Ok(serde_json::from_value(array.clone())?)
}

#[test]
fn docker_archives_hold_several_images() -> Result<()> {
    let directory = TempDir::new()?;
    let (one, two) = (layered(), Image::new("example.test/two").tag("2").file("/two", "2", 0o644));
    fs::write(directory.path().join("images.tar"), docker_archive(&[&one, &two])?)?;
    let copy = ["--insecure-policy", "copy", "docker-archive:images.tar:example.test/two:2", "oci:layout:2"];
    run(&directory, "skopeo", &copy)?;
    assert_eq!(fs::read_to_string(unpack(&directory, "2")?.join("two"))?, "2");
    skopeo_config(&directory, "docker-archive:images.tar:docker.io/library/layered:latest")?;
    Ok(())
}

#[test]
fn oci_archives_hold_several_images() -> Result<()> {
    let directory = TempDir::new()?;
    let (one, two) = (layered().tag("one").build()?, layered().tag("two").cmd(["two"]).build()?);
    fs::write(directory.path().join("images.tar"), Layout::archive(&[&one, &two])?)?;
    assert_eq!(skopeo_config(&directory, "oci-archive:images.tar:one")?["config"]["Cmd"], Value::Null);
    assert_eq!(skopeo_config(&directory, "oci-archive:images.tar:two")?["config"]["Cmd"][0], "two");
    Ok(())
}

#[test]
fn an_index_has_an_image_for_each_platform() -> Result<()> {
    let directory = TempDir::new()?;
    let image = |platform| Image::new("many").platform(platform).file("/x", format!("{platform:?}"), 0o644);
    let index = Layout::index(&image(Platform::Amd64), [&image(Platform::Arm64), &image(Platform::Armv7)])?;
    index.write_dir(&directory.path().join("layout"))?;
    for (arch, variant, content) in [("amd64", "", "Amd64"), ("arm64", "", "Arm64"), ("arm", "v7", "Armv7")] {
        let choose = [&format!("--override-arch={arch}"), &format!("--override-variant={variant}")];
        let copy = ["--insecure-policy", choose[0], choose[1], "copy", "oci:layout:latest"];
        let target = format!("dir:{arch}");
        run(&directory, "skopeo", &[&copy[..], &[&target]].concat())?;
        let manifest: Value =
            serde_json::from_slice(&fs::read(directory.path().join(arch).join("manifest.json"))?)?;
        let layer =
            manifest["layers"][0]["digest"].as_str().context("a layer")?.trim_start_matches("sha256:");
        let files = run(&directory, "tar", &["-xzOf", &format!("{arch}/{layer}"), "x"])?;
        assert_eq!(files, content);
    }
    Ok(())
}

/// In a root directory with nothing else: static is what the kernel starts without an interpreter.
#[test]
fn guest_and_busybox_images_run_without_libraries() -> Result<()> {
    let directory = TempDir::new()?;
    let image = Image::new("both").base_busybox()?.guest_programs()?;
    let root = unpack_image(&directory, &image)?;
    let script = "guest exit 7; echo \"code $?\"; id -un web; stat -c %a /tmp";
    let chroot =
        [root.to_str().context("a path in UTF-8")?, "/usr/bin/env", "PATH=/bin:/usr/bin", "sh", "-c", script];
    assert_eq!(run(&directory, "chroot", &chroot)?, "code 7\nweb\n1777\n");
    Ok(())
}

#[test]
fn nginx_serves_its_page_from_its_image() -> Result<()> {
    let directory = TempDir::new()?;
    let root = unpack_image(&directory, &Image::nginx()?)?;
    fs::write(root.join("usr/share/nginx/html/index.html"), "the page\n")?;
    run(&directory, "tar", &["-cf", "root.tar", "-C", "bundle/rootfs", "."])?;
    let lab = Lab::new()?;
    let (server, client) = (lab.host("server")?, lab.host("client")?);
    server
        .command("tar")
        .args(["-x", "-C", "/srv"])
        .stdin(fs::read(directory.path().join("root.tar"))?)
        .ok()?;
    server.command("mkdir").args(["-p", "/srv/dev", "/srv/proc"]).ok()?;
    server.command("mount").args(["--rbind", "/dev", "/srv/dev"]).ok()?;
    server.command("mount").args(["--rbind", "/proc", "/srv/proc"]).ok()?;
    server.command("chroot").args(["/srv", "/usr/sbin/nginx", "-t"]).ok()?;
    let nginx = server.command("chroot").args([
        "/srv",
        "/usr/sbin/nginx",
        "-g",
        "daemon off; error_log stderr notice;",
    ]);
    let nginx = nginx.daemon("nginx")?;
    nginx.wait_line(|line| line.contains("start worker processes"), PATIENCE)?;
    assert_eq!(get(&client, &format!("{}/", server.ip()))?, "the page\n");
    nginx.wait_line(|line| line.contains("GET / HTTP/1.1\" 200"), PATIENCE)?;
    Ok(())
}

fn get(client: &Host, url: &str) -> Result<String> {
    client.command("busybox").args(["wget", "-q", "-O-", &format!("http://{url}")]).ok()
}

fn guest<const N: usize>(host: &Host, args: [&str; N]) -> lab::Command {
    host.command(GUEST).args(args)
}

/// Started, and as far as its first line.
fn started<const N: usize>(host: &Host, args: [&str; N]) -> Result<Daemon> {
    let daemon = guest(host, args).env("POD_NAME", "pod-1").daemon(args[0])?;
    daemon.wait_line(|_| true, PATIENCE)?;
    Ok(daemon)
}

#[test]
fn the_echo_server_says_who_answers_whom() -> Result<()> {
    let lab = Lab::new()?;
    let (server, client) = (lab.host("server")?, lab.host("client")?);
    let echo = started(&server, ["echo", "--http", "80", "--tcp", "7", "--fail-first", "1"])?;
    echo.wait_line(|line| line.starts_with("tcp on"), PATIENCE)?;
    let url = |path: &str| format!("{}{path}", server.ip());
    let answer = get(&client, &url("/some/path"))?;
    for part in [
        "hostname: server\n",
        "pod: pod-1\n",
        &format!("peer: {}:", client.ip()),
        "GET /some/path HTTP/1.1\n",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(get(&client, &url("/healthz")).is_err_and(|error| format!("{error:#}").contains("503")));
    assert_eq!(get(&client, &url("/healthz"))?, "200\n");
    get(&client, &url("/healthz/500"))?;
    assert!(get(&client, &url("/healthz")).is_err_and(|error| format!("{error:#}").contains("500")));
    assert!(get(&client, &url("/slow/1"))?.contains("GET /slow/1"));
    let tcp =
        client.command("busybox").args(["nc", &server.ip().to_string(), "7"]).stdin("there and back").ok()?;
    assert_eq!(tcp, "there and back");
    assert!(echo.stop()?.success());
    Ok(())
}

#[test]
fn what_the_writer_calls_synced_survives_a_pulled_plug() -> Result<()> {
    const FILE: &str = "/var/lib/skiff/lines";
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    guest(&host, ["write", FILE, "--lines", "3"]).ok()?;
    host.pull_plug()?;
    host.boot()?;
    assert_eq!(host.read(FILE)?, "1\n2\n3\n");
    host.write(FILE, "1\n2\n3 torn")?;
    assert_eq!(guest(&host, ["write", FILE, "--lines", "1"]).ok()?, "synced 3\n");
    assert_eq!(host.read(FILE)?, "1\n2\n3\n");
    Ok(())
}

#[test]
fn the_signal_logger_ends_when_and_as_it_was_told() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let signals = started(&host, ["signals", "--exit", "9", "--ignore", "TERM"])?;
    for (signal, name) in [(rustix::process::Signal::TERM, "TERM"), (rustix::process::Signal::USR1, "USR1")] {
        signals.signal(signal)?;
        signals.wait_line(|line| line == name, PATIENCE)?;
    }
    signals.signal(rustix::process::Signal::INT)?;
    assert_eq!(signals.wait_exit(PATIENCE)?.code(), Some(9));
    assert_eq!(signals.logs(), "ready\nTERM\nUSR1\nINT\n");
    Ok(())
}

/// PID 1 of a namespace, as in a container: the kernel drops a TERM that it does not wait for.
#[test]
fn guests_end_on_term_as_pid_1() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let command = host.command("unshare").args(["--pid", "--fork", "--kill-child", GUEST, "memory", "1"]);
    let unshare = command.daemon("memory")?;
    unshare.wait_line(|line| line == "holding 1 MiB", PATIENCE)?;
    host.command("pkill").args(["-TERM", "-x", "-f", &format!("{GUEST} memory 1")]).ok()?;
    assert_eq!(unshare.wait_exit(PATIENCE)?.code(), Some(0));
    Ok(())
}

#[test]
fn eaters_eat_what_they_say() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let memory = started(&host, ["memory", "64"])?;
    let status = fs::read_to_string(format!("/proc/{}/status", memory.pid()?))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse()?;
    assert!((64 << 10..80 << 10).contains(&kib), "{kib} KiB");
    let cpu = started(&host, ["cpu", "--threads", "2"])?;
    let threads = fs::read_dir(format!("/proc/{}/task", cpu.pid()?))?.count();
    assert_eq!(threads, 1 + 2, "two that burn, one that waits for TERM");
    assert!(memory.stop()?.success() && cpu.stop()?.success());
    Ok(())
}

#[test]
fn jobs_fail_twice_and_then_succeed() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let codes = (0..4).map(|_| Ok(guest(&host, ["fail-until", "/tmp/failures", "2"]).run()?.status.code()));
    assert_eq!(codes.collect::<Result<Vec<_>>>()?, [Some(1), Some(1), Some(0), Some(0)]);
    assert_eq!(guest(&host, ["exit", "42"]).run()?.status.code(), Some(42));
    assert_eq!(guest(&host, ["exit", "now"]).run()?.status.code(), Some(2), "usage");
    Ok(())
}

/// As another machine sees it: the digest of what `skopeo` copied, with all platforms.
fn pulled_digest(host: &Host, options: &[&str], reference: &str) -> Result<String> {
    let source = format!("docker://{reference}");
    let copy = host
        .command("skopeo")
        .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
        .args(options.to_vec());
    copy.args([source.as_str(), "oci:/pulled:x"]).ok()?;
    let index: Value = serde_json::from_str(&host.read("/pulled/index.json")?)?;
    Ok(index["manifests"][0]["digest"].as_str().context("a digest")?.to_string())
}

#[test]
fn a_registry_serves_another_machine_what_was_pushed() -> Result<()> {
    let lab = Lab::new()?;
    let (server, client) = (lab.host("registry")?, lab.host("client")?);
    let registry = Registry::start(&server)?;
    let (amd64, arm64) = (layered().platform(Platform::Amd64), layered().zstd().platform(Platform::Arm64));
    let index = Layout::index(&amd64, [&arm64])?;
    let reference = registry.push(&index)?;
    assert_eq!(reference, format!("{}:5000/layered:latest", server.ip()));
    let pull = || pulled_digest(&client, &["--src-tls-verify=false"], &reference);
    assert_eq!(pull()?, index.digest().to_string());
    registry.stop()?;
    assert!(pull().is_err());
    registry.restart()?;
    assert_eq!(pull()?, index.digest().to_string());
    assert!(registry.logs().contains("GET /v2/layered/manifests/latest"));
    Ok(())
}

#[test]
fn a_registry_can_ask_for_trust_and_a_password() -> Result<()> {
    let lab = Lab::new()?;
    let (server, client) = (lab.host("registry")?, lab.host("client")?);
    let registry = Registry::start_with(&server, Access { tls: true, password: true })?;
    let image = Image::guest("library/web", ["echo", "--http", "80"])?.build()?;
    let reference = registry.push(&image)?;
    client.write("/trusted/authority.crt", registry.authority().context("an authority")?)?;
    let (trust, password) = ("--src-cert-dir=/trusted", format!("--src-creds={USER}:{PASSWORD}"));
    let refused = |options: &[&str], why: &str| {
        let result = pulled_digest(&client, options, &reference);
        assert!(result.is_err_and(|error| format!("{error:#}").contains(why)), "{options:?}: {why}");
    };
    refused(&[&password], "certificate signed by unknown authority");
    refused(&[trust], "authentication required");
    refused(&[trust, "--src-creds=lab:guess"], "authentication required");
    assert_eq!(pulled_digest(&client, &[trust, &password], &reference)?, image.digest().to_string());
    Ok(())
}
