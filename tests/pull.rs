//! Pulling and mounting images on a machine, from Debian's registry and from other people's archives.

use anyhow::{Context, Result, ensure};
use lab::images::{Image, Layout, Platform, docker_archive};
use lab::registry::{Access, PASSWORD, USER};
use lab::{Command, Host, Lab, PATIENCE, Registry};

const REGISTRIES: &str = "/etc/skiff/registries.yaml";
const LAYERS: &str = "/var/lib/skiff/agent/images/layers";

fn image<const N: usize>(host: &Host, arguments: [&str; N]) -> Command {
    host.command("image").args(arguments)
}

/// What the tool says of the image in the end: its id and names.
fn shown(output: &str) -> Result<&str> {
    output.lines().find_map(|line| line.strip_prefix("image ")).context("no image shown")
}

/// The registry, and a machine that knows it speaks plain HTTP.
fn registry_and_client(lab: &Lab) -> Result<(Registry, Host)> {
    let (server, client) = (lab.host("registry")?, lab.host("client")?);
    let registry = Registry::start(&server)?;
    let address = registry.address();
    client.write(REGISTRIES, format!("mirrors: {{'{address}': {{endpoint: ['http://{address}']}}}}"))?;
    Ok((registry, client))
}

/// Every compression, a deletion, an opaque folder, a link, a mode.
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
        .zstd()
        .layer()
        .symlink("/link", "kept/data")
        .file("/set-user-id", "", 0o4755)
}

/// What a container would see, as `find` tells it.
fn contents(host: &Host, name: &str) -> Result<String> {
    let root = image(host, ["mount", name, "c"]).ok()?;
    let found =
        host.command("find").args([".", "-mindepth", "1", "-printf", "%p %m %l\n"]).cwd(root.trim()).ok()?;
    let mut lines: Vec<&str> = found.lines().map(str::trim_end).collect();
    lines.sort_unstable();
    ensure!(host.read(format!("{}/link", root.trim()))? == "lower", "through the link");
    image(host, ["unmount", "c"]).ok()?;
    let mounts = host.command("cat").arg("/proc/self/mountinfo").ok()?;
    ensure!(!mounts.contains("images/containers"), "a mount is left");
    Ok(lines.join("\n"))
}

const CONTENTS: &str = "\
./hidden 755
./hidden/upper 644
./kept 750
./kept/data 640
./link 777 kept/data
./set-user-id 4755";

#[test]
fn a_machine_pulls_its_own_variant_from_a_real_registry() -> Result<()> {
    let lab = Lab::new()?;
    let (registry, client) = registry_and_client(&lab)?;
    let other = if Platform::HERE == Platform::Arm64 { Platform::Amd64 } else { Platform::Arm64 };
    let foreign = Image::new("layered").platform(other).file("/foreign", "", 0o644);
    let index = Layout::index(&foreign, [&layered()])?;
    let reference = registry.push(&index)?;
    let pulled = image(&client, ["pull", &reference]).ok()?;
    let digest = format!("{}/layered@{}", registry.address(), index.digest());
    assert!(shown(&pulled)?.ends_with(&format!(" {reference} {digest}")), "{pulled}");
    assert_eq!(contents(&client, &reference)?, CONTENTS);
    assert_eq!(contents(&client, &digest)?, CONTENTS);
    assert!(image(&client, ["pull", &digest]).ok()?.contains(shown(&pulled)?));
    let elsewhere = registry.push(&foreign.tag("foreign").build()?)?;
    let refused = image(&client, ["pull", &elsewhere]).run()?;
    assert!(refused.stderr.contains("there is no variant of it for linux/"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn a_machine_shows_a_registry_its_password_and_trusts_who_it_is_told_to() -> Result<()> {
    let lab = Lab::new()?;
    let (server, client) = (lab.host("registry")?, lab.host("client")?);
    let registry = Registry::start_with(&server, Access { tls: true, password: true })?;
    let reference = registry.push(&layered().build()?)?;
    let refused = |arguments: &[&str], why: &str| -> Result<()> {
        let output = client.command("image").arg("pull").args(arguments.to_vec()).run()?;
        ensure!(!output.status.success() && output.stderr.contains(why), "{why}: {}", output.stderr);
        Ok(())
    };
    refused(&[&reference, USER, PASSWORD], "name it as ca_file in registries.yaml")?;
    client.write("/etc/authority.pem", registry.authority().context("an authority")?)?;
    let trust = format!("configs: {{'{}': {{tls: {{ca_file: /etc/authority.pem}}}}}}", registry.address());
    client.write(REGISTRIES, trust)?;
    refused(&[&reference], "401 Unauthorized")?;
    refused(&[&reference, USER, "guess"], "401 Unauthorized")?;
    image(&client, ["pull", &reference, USER, PASSWORD]).ok()?;
    assert_eq!(contents(&client, &reference)?, CONTENTS);
    Ok(())
}

#[test]
fn archives_of_all_kinds_are_imported() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    host.write("/oci.tar", Layout::archive(&[&layered().tag("oci").build()?])?)?;
    host.write("/docker.tar", docker_archive(&[&layered().tag("docker")])?)?;
    let copy = ["copy", "docker-archive:/docker.tar", "docker-archive:/skopeo.tar:layered:skopeo"];
    host.command("skopeo").arg("--insecure-policy").args(copy).ok()?;
    host.command("gzip").arg("/skopeo.tar").ok()?;
    for (archive, tag) in [("/oci.tar", "oci"), ("/docker.tar", "docker"), ("/skopeo.tar.gz", "skopeo")] {
        let imported = image(&host, ["import", archive]).ok()?;
        let name = format!("docker.io/library/layered:{tag}");
        assert!(shown(&imported)?.contains(&name), "{imported}");
        assert_eq!(contents(&host, &name)?, CONTENTS);
    }
    Ok(())
}

/// A hundred megabytes that compression makes no smaller. The limit is far from what it takes, and as far from what a layer
/// held in memory would take.
#[test]
fn a_large_layer_takes_little_memory() -> Result<()> {
    let lab = Lab::new()?;
    let (registry, client) = registry_and_client(&lab)?;
    let reference = registry.push(&Image::new("large").file("/large", noise(100 << 20), 0o644).build()?)?;
    let pulled = image(&client, ["pull", &reference]).ok()?;
    let took =
        pulled.lines().find_map(|line| line.strip_prefix("took ")?.strip_suffix(" KiB")).context("took")?;
    println!("pulling a layer of 100 MiB took {took} KiB");
    assert!(took.parse::<u64>()? < 24 << 10, "{took} KiB");
    Ok(())
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    let block: Vec<u8> = (0..1 << 20).map(next).collect();
    block.into_iter().cycle().take(length).collect()
}

const COUNT: usize = 8;
const FILES: usize = 20;
const SIZE: usize = 512 << 10;

/// The plug is pulled when some layers are whole and others under way.
#[test]
fn after_a_power_cut_a_layer_is_whole_or_not_there() -> Result<()> {
    let lab = Lab::new()?;
    let (registry, client) = registry_and_client(&lab)?;
    let reference = registry.push(&numbered().build()?)?;
    for wanted in 1..4 {
        let pull = image(&client, ["pull", &reference]).daemon("pull")?;
        let said = pull.wait_line(|line| done(line).is_some_and(|done| done >= wanted), PATIENCE)?;
        client.pull_plug()?;
        client.boot()?;
        let (said, there) = (done(&said).context("a number")?, whole_layers(&client)?);
        assert!(there >= said, "{said} layers were said to be done, {there} are there");
    }
    image(&client, ["pull", &reference]).ok()?;
    assert_eq!(whole_layers(&client)?, COUNT);
    Ok(())
}

fn done(line: &str) -> Option<usize> {
    line.strip_prefix("layer ")?.split(' ').next()?.parse().ok()
}

fn numbered() -> Image {
    let content = noise(SIZE);
    (0..COUNT).fold(Image::new("numbered"), |image, layer| {
        let add = |image: Image, file| image.file(format!("/layer-{layer}/{file}"), content.clone(), 0o644);
        (0..FILES).fold(image, add).layer()
    })
}

/// How many there are, each of which must hold all of its files.
fn whole_layers(host: &Host) -> Result<usize> {
    image(host, ["list"]).ok()?;
    let find = |options: &[&str]| host.command("find").arg(LAYERS).args(options.to_vec()).ok();
    let (size, layer) = (format!("{SIZE}c"), ["-mindepth", "1", "-maxdepth", "1", "-printf", "%P\n"]);
    let (files, layers) = (find(&["-type", "f", "-size", &size, "-printf", "%P\n"])?, find(&layer)?);
    for layer in layers.lines() {
        assert_eq!(
            files.lines().filter(|file| file.starts_with(layer)).count(),
            FILES,
            "files of layer {layer}"
        );
    }
    Ok(layers.lines().count())
}
