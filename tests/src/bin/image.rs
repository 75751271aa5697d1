//! Images on a machine of the lab, by our own hand: what the node agent does with them, without a node agent.
//!
//! Reads `/etc/skiff/registries.yaml` where there is one. `pull` says how far it is, a line for each layer.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use oci::image::{Credentials, Image, Images, Login, Progress, Reference, Registries};
use tokio::sync::watch;

const ROOT: &str = "/var/lib/skiff/agent/images";
const REGISTRIES: &str = "/etc/skiff/registries.yaml";
const USAGE: &str =
    "usage: image pull NAME [USER PASSWORD] | import FILE | list | mount NAME ID | unmount ID";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let images = open()?;
    match arguments[..] {
        ["pull", name] => pull(&images, name, &[]).await?,
        ["pull", name, username, password] => {
            let registry = Reference::parse(name)?.registry().to_owned();
            let login = Login::Password { username: username.to_owned(), password: password.to_owned() };
            pull(&images, name, &[Credentials { registry, login }]).await?;
        }
        ["import", file] => {
            images.import(Path::new(file)).await?.iter().for_each(|image| show(image));
        }
        ["list"] => images.list().iter().for_each(|image| show(image)),
        ["mount", name, id] => {
            let image = images.get(name).context("no such image")?;
            println!("{}", images.mount(&image, id).await?.display());
        }
        ["unmount", id] => images.unmount(id).await?,
        _ => bail!(USAGE),
    }
    Ok(())
}

fn open() -> Result<Images> {
    let registries = match fs::read_to_string(REGISTRIES) {
        Ok(yaml) => Registries::parse(&yaml)?,
        Err(_) => Registries::default(),
    };
    Ok(Images::open_with(ROOT, registries)?)
}

async fn pull(images: &Images, name: &str, credentials: &[Credentials]) -> Result<()> {
    let (progress, mut seen) = watch::channel(Progress::default());
    let name = Reference::parse(name)?;
    let before = peak_memory()?;
    let tell = async {
        let mut layers = 0;
        while let Ok(now) = seen.wait_for(|progress| progress.layers_done > layers).await {
            layers = now.layers_done;
            println!("layer {layers} of {}", now.layers_total);
        }
    };
    let image = tokio::select! {
        image = images.pull(&name, credentials, &progress) => image?,
        () = tell => bail!("nobody pulls"),
    };
    println!("took {} KiB", peak_memory()? - before);
    show(&image);
    Ok(())
}

fn show(image: &Image) {
    println!("image {} {}", image.id, [image.tags.as_slice(), &image.digests].concat().join(" "));
}

/// The most memory that this process ever had, in KiB.
fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
