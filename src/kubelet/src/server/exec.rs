//! Commands in containers, and the containers' own streams.

use oci::{ExecSpec, Input, Output, Size, Streams};
use tokio::io::{AsyncWriteExt, copy};
use transport::{Incoming, Outgoing};

use super::session::{Ends, Resizes, Wanted};
use super::status::Outcome;
use super::{Container, Running};

/// A terminal's size until the peer tells its own.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Runs a command, connects it, and tells how it ended.
pub(super) async fn exec(running: Running, command: Vec<String>, wanted: Wanted, mut ends: Ends) {
    let Running { container, mut process } = running;
    process.args = command;
    process.terminal = wanted.terminal.then_some(USUAL);
    let outcome = match run(&container, ExecSpec { process }, wanted, &mut ends).await {
        Ok(0) => Outcome::Success,
        Ok(code) => Outcome::Exit(code),
        Err(error) => Outcome::Failed(format!("error executing command in container: {error}")),
    };
    ends.report(&outcome).await;
}

async fn run(
    container: &Container,
    spec: ExecSpec,
    wanted: Wanted,
    ends: &mut Ends,
) -> Result<i32, oci::Error> {
    let mut exec = container.pod.exec(&container.id, &spec, wanted.streams()).await?;
    let Streams { stdin, stdout, stderr } = exec.take_streams();
    let feed = feed(ends.stdin.take(), stdin);
    tokio::pin!(feed);
    {
        let resize = resizes(ends.resize.as_mut(), |size| {
            // The terminal may be gone already; its end is told elsewhere.
            let _gone = exec.resize(size);
            std::future::ready(())
        });
        let outputs = outputs(ends.stdout.as_mut(), stdout, ends.stderr.as_mut(), stderr);
        tokio::select! {
            () = outputs => {}
            never = &mut feed => match never {},
            never = resize => match never {},
        }
    }
    tokio::select! {
        code = exec.wait() => code,
        never = &mut feed => match never {},
    }
}

/// Connects to what the container runs already, until that ends.
pub(super) async fn attach(running: Running, wanted: Wanted, mut ends: Ends) {
    let outcome = match join(&running.container, wanted, &mut ends).await {
        Ok(()) => Outcome::Success,
        Err(error) => Outcome::Failed(format!("error attaching to container: {error}")),
    };
    ends.report(&outcome).await;
}

async fn join(container: &Container, wanted: Wanted, ends: &mut Ends) -> Result<(), oci::Error> {
    let Streams { stdin, stdout, stderr } = container.pod.attach(&container.id, wanted.streams()).await?;
    let resize = resizes(ends.resize.as_mut(), |size| async move {
        let _gone = container.pod.resize(&container.id, size).await;
    });
    let input = ends.stdin.take();
    let feed = async {
        let given = input.is_some();
        if let (Some(mut from), Some(mut to)) = (input, stdin) {
            let _either_end_is_gone = copy(&mut from, &mut to).await;
        }
        if given {
            // Ends the input of a container that takes one attachment only.
            let _gone = container.pod.close_stdin(&container.id).await;
        }
        std::future::pending::<Never>().await
    };
    let outputs = async {
        outputs(ends.stdout.as_mut(), stdout, ends.stderr.as_mut(), stderr).await;
        if !(wanted.stdout || wanted.stderr) {
            let _however_it_ended = container.pod.wait(&container.id).await;
        }
    };
    tokio::select! {
        () = outputs => {}
        never = feed => match never {},
        never = resize => match never {},
    }
    Ok(())
}

/// After an attachment, however it ended: a peer that went away gives no more input.
pub(super) async fn detach(container: Container, wanted: Wanted) {
    if wanted.stdin {
        let _gone = container.pod.close_stdin(&container.id).await;
    }
}

/// What work yields that goes on until it is dropped.
enum Never {}

/// Gives a process its input, and lets it end where the peer's ends.
async fn feed(from: Option<Incoming>, to: Option<Input>) -> Never {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        let _either_end_is_gone = copy(&mut from, &mut to).await;
    }
    std::future::pending().await
}

async fn resizes<F: Future<Output = ()>>(
    resizes: Option<&mut Resizes>,
    mut apply: impl FnMut(Size) -> F,
) -> Never {
    if let Some(resizes) = resizes {
        while let Some(size) = resizes.next().await {
            apply(size).await;
        }
    }
    std::future::pending().await
}

/// Until both have ended.
async fn outputs(
    stdout: Option<&mut Outgoing>,
    from_stdout: Option<Output>,
    stderr: Option<&mut Outgoing>,
    from_stderr: Option<Output>,
) {
    tokio::join!(output(stdout, from_stdout), output(stderr, from_stderr));
}

async fn output(to: Option<&mut Outgoing>, from: Option<Output>) {
    let Some(to) = to else { return };
    if let Some(mut from) = from {
        let _either_end_is_gone = copy(&mut from, to).await;
    }
    let _gone = to.shutdown().await;
}
