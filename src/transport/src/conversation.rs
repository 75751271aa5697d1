//! HTTP over one connection: until the peer ends it, nobody uses it, or the server stops.
//!
//! A connection that is asked to end finishes what is under way. HTTP/2 asks its peer whether anything else is: a peer that
//! does not answer, or does not take what is sent to it, is waited for only while something moves. Else strangers could hold
//! all connections.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::debug;

use crate::activity::{Activity, Noted, Used};

/// A peer gets this long for its handshake, for the head of a request, and to take anything of what it is sent at the end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// A connection over which nobody asks anything is closed after this long, as upstream.
const IDLE: Duration = Duration::from_secs(90);
/// A peer that does nothing for this long when the server stops is gone: a restart must not wait for a node without power.
const FAREWELL: Duration = Duration::from_secs(2);
/// Streams of one HTTP/2 connection: a node's watches and requests share one. Each can make us hold a window of its request
/// and a chunk of its answer.
const MOST_STREAMS: u32 = 250;
/// Streams that are reset before they were looked at: a peer that only opens and resets is cut off.
const MOST_RESETS: usize = 20;
/// What a peer may send ahead on one stream, and on all streams of a connection: most objects fit into the first.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What waits to be sent on one stream: a slow reader holds no more.
const MOST_UNSENT: usize = 128 * 1024;
/// The head of a request: a token, a certificate's worth of impersonation, a long query.
const LARGEST_HEAD: u32 = 64 * 1024;

/// Who is at the other end: an extension of each request.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The certificate that was shown, found good when the connection began; `None` if none was.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
}

/// Answers what `peer` asks over `stream`, to the end of it.
pub(crate) async fn hold<IO, S, B>(stream: IO, peer: Peer, service: S, stopping: &CancellationToken)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (address, activity, requests) = (peer.address, Activity::new(), Requests::default());
    let stream = TokioIo::new(Noted::new(stream, activity.clone()));
    let service = TowerToHyperService::new(Tended { service, peer, activity: activity.clone() });
    let http = http(requests.clone());
    let connection = http.serve_connection_with_upgrades(stream, service).into_owned();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = driven(connection.as_mut(), &requests) => ended,
        patience = until_asked(stopping, &activity) => {
            // What is under way is finished, and nothing new begun.
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = driven(connection.as_mut(), &requests) => ended,
                () = activity.stuck_for(patience) => return debug!(%address, "cut off: it does not let go"),
            }
        }
    };
    if let Err(error) = ended {
        debug!(%address, %error, "connection ended");
    }
}

/// Ends when the connection should: the server stops, or nobody uses it. Gives how long a peer may then do nothing.
async fn until_asked(stopping: &CancellationToken, activity: &Activity) -> Duration {
    tokio::select! {
        () = stopping.cancelled() => FAREWELL,
        () = activity.idle_for(IDLE) => PATIENCE,
    }
}

/// The connection to its end, and its requests with it.
async fn driven<C: Future>(connection: Pin<&mut C>, requests: &Requests) -> C::Output {
    tokio::select! {
        // First: requests that it begins are waited for from there on.
        biased;
        ended = connection => ended,
        never = requests.reap() => match never {},
    }
}

/// The tasks of one HTTP/2 connection, a request each. They end with it.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<Mutex<JoinSet<()>>>);

impl<W: Future<Output = ()> + Send + 'static> Executor<W> for Requests {
    fn execute(&self, work: W) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(work);
    }
}

impl Requests {
    /// Lets go of those that are over.
    async fn reap(&self) -> Infallible {
        poll_fn(|context| {
            let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            while let Poll::Ready(Some(_)) = tasks.poll_join_next(context) {}
            Poll::Pending
        })
        .await
    }
}

/// A service that knows its peer, and whose use is noted.
#[derive(Clone)]
struct Tended<S> {
    service: S,
    peer: Peer,
    activity: Activity,
}

impl<S, B> Service<Request<Incoming>> for Tended<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Used<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let (activity, in_use) = (self.activity.clone(), self.activity.begin());
        request.extensions_mut().insert(self.peer.clone());
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(in_use);
            Ok(answer?.map(|body| Used::new(body, activity)))
        })
    }
}

fn http(requests: Requests) -> auto::Builder<Requests> {
    let mut http = auto::Builder::new(requests);
    http.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MOST_UNSENT)
        .max_header_list_size(LARGEST_HEAD);
    http
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use bytes::Bytes;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    /// More than anybody's patience. Time is made up: it passes when nothing else happens.
    const FOR_EVER: Duration = Duration::from_secs(24 * 3600);
    const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    /// Settings by which the peer takes no bytes of any answer.
    const TAKES_NOTHING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    /// `GET https:/`, complete.
    const ASK: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x87\x84";
    const SETTINGS: u8 = 4;
    const GOODBYE: u8 = 7;

    /// A server over the other end, which answers with `size` bytes after a while.
    fn serve(buffer: usize, size: usize, after: Duration) -> (DuplexStream, impl Future<Output = ()>) {
        let (client, ours) = duplex(buffer);
        let service = tower::service_fn(move |_: Request<Incoming>| async move {
            sleep(after).await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; size]))))
        });
        (client, async move { hold(ours, peer(), service, &CancellationToken::new()).await })
    }

    fn peer() -> Peer {
        Peer { address: ([127, 0, 0, 1], 1).into(), certificate: None }
    }

    /// The type of the next frame.
    async fn frame(client: &mut DuplexStream) -> u8 {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.unwrap();
        let mut rest = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        client.read_exact(&mut rest).await.unwrap();
        head[3]
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_no_more_than_hello_does_not_keep_the_connection() {
        let (mut client, serving) = serve(64 * 1024, 1, Duration::ZERO);
        client.write_all(HELLO).await.unwrap();
        assert!(timeout(FOR_EVER, serving).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_the_answer_does_not_keep_the_connection() {
        let (mut client, serving) = serve(64 * 1024, 100, Duration::ZERO);
        client.write_all(&[TAKES_NOTHING, ASK].concat()).await.unwrap();
        assert!(timeout(FOR_EVER, serving).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_while_we_say_goodbye_is_answered() {
        let (mut client, serving) = serve(64 * 1024, 100, 3 * PATIENCE);
        let asking = async {
            client.write_all(HELLO).await.unwrap();
            while frame(&mut client).await != GOODBYE {}
            client.write_all(ASK).await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let talk = async { tokio::join!(asking, serving).0 };
        let rest = timeout(FOR_EVER, talk).await.unwrap();
        assert!(rest.windows(100).any(|window| window == [b'x'; 100]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_reads_to_the_end() {
        let (mut client, serving) = serve(1000, 300_000, Duration::ZERO);
        let asking = async {
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut read = 0;
            let mut some = [0; 1000];
            loop {
                match client.read(&mut some).await.unwrap() {
                    0 => return read,
                    more => read += more,
                }
                sleep(PATIENCE * 9 / 10).await;
            }
        };
        let (read, ()) = tokio::join!(asking, serving);
        assert!(read > 300_000, "a head and all of the body, not {read} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_answers_and_not_for_the_silent() {
        let service = tower::service_fn(|_: Request<Incoming>| async {
            sleep(3 * PATIENCE).await;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"late"))))
        });
        for (said, needed) in [(HELLO.to_vec(), FAREWELL), ([HELLO, ASK].concat(), 3 * PATIENCE + FAREWELL)] {
            let (mut client, ours) = duplex(64 * 1024);
            client.write_all(&said).await.unwrap();
            let (stopping, begun) = (CancellationToken::new(), Instant::now());
            let stop = async {
                while frame(&mut client).await != SETTINGS {}
                stopping.cancel();
            };
            tokio::join!(hold(ours, peer(), service, &stopping), stop);
            // What is sent meanwhile begins the wait anew.
            assert!((needed..needed + 2 * FAREWELL).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_end_with_their_connection_and_are_forgotten_when_over() {
        let requests = Requests::default();
        requests.execute(ready(()));
        let (sender, gone) = tokio::sync::oneshot::channel::<()>();
        requests.execute(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        assert!(timeout(PATIENCE, requests.reap()).await.is_err());
        assert_eq!(requests.0.lock().unwrap().len(), 1);
        drop(requests);
        assert!(gone.await.is_err());
    }
}
