//! How far a pull has come, for whoever reads the node's log meanwhile.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use oci::image::Progress;
use tokio::sync::watch;
use tokio::time::sleep;

/// Between two lines about one pull; one that is done sooner has none.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says it again and again, until it is dropped. Woken by what arrives: a pull that stands still says nothing new.
pub(super) async fn tell(mut progress: watch::Receiver<Progress>, mut say: impl FnMut(String)) -> Infallible {
    loop {
        sleep(INTERVAL).await;
        if progress.changed().await.is_err() {
            return pending().await;
        }
        say(line(*progress.borrow_and_update()));
    }
}

fn line(progress: Progress) -> String {
    let Progress { layers_total, layers_done, bytes_total, bytes_done } = progress;
    let percent = bytes_done.saturating_mul(100).checked_div(bytes_total).unwrap_or(100);
    let (done, total) = (megabytes(bytes_done), megabytes(bytes_total));
    format!("{done} of {total} MB ({percent} %), {layers_done} of {layers_total} layers")
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people() {
        let progress =
            Progress { layers_total: 5, layers_done: 2, bytes_total: 40_150_000, bytes_done: 12_345_678 };
        assert_eq!(line(progress), "12.3 of 40.1 MB (30 %), 2 of 5 layers");
        assert_eq!(line(Progress::default()), "0.0 of 0.0 MB (100 %), 0 of 0 layers");
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_is_told_of_now_and_then_and_silence_is_not() {
        let (sender, receiver) = watch::channel(Progress { bytes_total: 8_000_000, ..Progress::default() });
        let said = std::cell::RefCell::new(Vec::new());
        let arriving = async {
            for _ in 0..8 {
                sleep(INTERVAL / 5).await;
                sender.send_modify(|progress| progress.bytes_done += 1_000_000);
            }
            sleep(INTERVAL * 20).await;
        };
        tokio::select! {
            () = arriving => {}
            never = tell(receiver, |line| said.borrow_mut().push(line)) => match never {},
        }
        let said = said.into_inner();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].starts_with("8.0 of 8.0 MB"), "{said:?}");
    }
}
