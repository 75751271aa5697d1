//! The life of `skiff server` and `skiff agent` after configuration: build → run → drain.
//!
//! Components are built, started together and supervised here. The first that ends by itself ends the whole: a
//! supervisor restarts it, and pods live in their shims meanwhile. SIGTERM and SIGINT begin the drain; after [`DRAIN`] what
//! is left is dropped; a second signal ends the process at once, even if every thread of the runtime is stuck.

mod component;
mod notify;
mod signals;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::thread::available_parallelism;
use std::time::Duration;

use task::{Ended, Ready, Shutdown, ShutdownTrigger, Tasks};
use tokio::runtime::{Builder, Runtime};

use crate::exit::Exit;
use crate::text;
pub(crate) use component::Component;
use notify::Notifier;
use signals::Signals;

/// Long enough for open requests and a last flush to a slow card, well below the 90 s after which systemd kills.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    #[error("listen for signals")]
    Signals(#[source] io::Error),
    #[error("reach the service manager at NOTIFY_SOCKET")]
    Notify(#[source] io::Error),
    #[error(transparent)]
    Build(anyhow::Error),
}

/// Builds components, runs them until the first ends or a signal asks, and drains them. `build` is called in the
/// runtime, so that it may bind sockets; it may wait, and a signal ends that.
pub(crate) fn run(build: impl AsyncFnOnce() -> anyhow::Result<Vec<Component>>) -> Result<Exit, Error> {
    let notifier = Notifier::from_environment().map_err(Error::Notify)?;
    let runtime = runtime().map_err(Error::Runtime)?;
    let exit = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(Error::Signals)?;
        let components = tokio::select! {
            built = build() => built.map_err(Error::Build)?,
            signal = signals.next() => {
                tracing::info!(%signal, "stopping before anything was started");
                return Ok(Exit::Success);
            }
        };
        Ok(supervise(components, signals, notifier).await)
    });
    // Not dropped: that would wait for blocking work, which the drain has waited for long enough.
    runtime.shutdown_background();
    exit
}

/// Small boards have few cores and little memory for stacks; two workers even on one core, so that a slow task
/// does not hold up the watchdog.
fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 4))
        .max_blocking_threads(16)
        .thread_name("skiff")
        .enable_all()
        .build()
}

type Parts = Tasks<anyhow::Result<()>>;

async fn supervise(components: Vec<Component>, mut signals: Signals, notifier: Notifier) -> Exit {
    let (trigger, shutdown) = task::shutdown();
    let mut service = Tasks::new();
    service.spawn("watchdog", notifier.clone().keep_alive());
    let mut parts = Parts::new();
    let ready = start(components, &mut parts, &shutdown);
    let by_itself = tokio::select! {
        signal = signals.next() => {
            tracing::info!(%signal, "stopping");
            None
        }
        Some(ended) = parts.next() => Some(ended),
        never = announce(ready, &notifier) => match never {},
    };
    notifier.stopping();
    drain(parts, by_itself, &trigger, &shutdown).await
}

fn start(components: Vec<Component>, parts: &mut Parts, shutdown: &Shutdown) -> Vec<(&'static str, Ready)> {
    let mut ready = Vec::with_capacity(components.len());
    for component in components {
        ready.push((component.name, component.ready));
        parts.spawn(component.name, (component.run)(shutdown.clone()));
    }
    ready
}

/// Tells the service manager when all components are ready. One that ends before is noticed by its end, not here.
async fn announce(ready: Vec<(&'static str, Ready)>, notifier: &Notifier) -> Infallible {
    for (name, mut ready) in ready {
        notifier.status(&format!("waiting for {name}"));
        if ready.wait().await.is_err() {
            return pending().await;
        }
    }
    tracing::info!("ready");
    notifier.ready();
    tokio::time::sleep(text::SETTLED).await;
    text::unmap();
    pending().await
}

async fn drain(
    parts: Parts,
    by_itself: Option<Ended<anyhow::Result<()>>>,
    trigger: &ShutdownTrigger,
    shutdown: &Shutdown,
) -> Exit {
    let mut failed = by_itself.is_some();
    if let Some(Ended { name, output: Ok(()) }) = &by_itself {
        tracing::error!(component = name, "ended without being asked to");
    }
    trigger.begin(DRAIN);
    let (ended, left) = parts.drain(shutdown).await;
    for Ended { name, output } in by_itself.into_iter().chain(ended) {
        if let Err(error) = output {
            tracing::error!(component = name, "{error:#}");
            failed = true;
        }
    }
    match (left.is_empty(), failed) {
        (false, _) => {
            tracing::error!(components = left.join(","), "did not end in {} s", DRAIN.as_secs());
            Exit::NotDrained
        }
        (true, true) => Exit::Failed,
        (true, false) => Exit::Success,
    }
}
