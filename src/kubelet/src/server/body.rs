//! Bodies of answers: whole, or written while they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body::Frame;
use tokio::sync::mpsc;

use super::{Answer, Refusal};

/// Chunks that wait to be sent. The one who writes them waits meanwhile.
const QUEUED: usize = 4;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The body of an answer.
pub struct Body(Form);

enum Form {
    Whole(Option<Bytes>),
    /// The work that writes it moves as the body is read and ends when nobody reads any more: it needs no task.
    Written {
        work: Option<Work>,
        chunks: mpsc::Receiver<Bytes>,
    },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match &mut self.0 {
            Form::Whole(bytes) => Poll::Ready(bytes.take()),
            Form::Written { work, chunks } => {
                if work.as_mut().is_some_and(|work| work.as_mut().poll(context).is_ready()) {
                    *work = None;
                }
                chunks.poll_recv(context)
            }
        };
        chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// A body that `write` fills through the sender it is given.
pub(super) fn written<F: Future<Output = ()> + Send + 'static>(
    write: impl FnOnce(mpsc::Sender<Bytes>) -> F,
) -> Body {
    let (sender, chunks) = mpsc::channel(QUEUED);
    Body(Form::Written { work: Some(Box::pin(write(sender))), chunks })
}

pub(super) fn empty() -> Body {
    Body(Form::Whole(None))
}

pub(super) fn text(text: impl Into<Bytes>) -> Answer {
    of("text/plain; charset=utf-8", text.into())
}

pub(super) fn json(text: impl Into<Bytes>) -> Answer {
    of("application/json", text.into())
}

pub(super) fn refusal(refusal: &Refusal) -> Answer {
    let mut answer = text(refusal.message.clone());
    *answer.status_mut() = refusal.code;
    answer
}

fn of(media_type: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(Body(Form::Whole(Some(bytes))));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}
