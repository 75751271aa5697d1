//! Bodies as they travel, in both directions.

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};

pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The body of any answer: whole, as it comes, or as another server sends it.
pub type Body = UnsyncBoxBody<Bytes, Broken>;

#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
pub struct Broken(#[source] pub(crate) Cause);

/// The body of a request, whoever sends it.
pub(crate) trait Incoming: http_body::Body<Data: Send, Error: Into<Cause>> + Send + 'static {}

impl<B> Incoming for B where B: http_body::Body<Data: Send, Error: Into<Cause>> + Send + 'static {}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is passed on.
pub(crate) fn passed<B: Incoming>(body: B) -> Body {
    let copied = |mut data: B::Data| data.copy_to_bytes(data.remaining());
    body.map_frame(move |frame| frame.map_data(copied)).map_err(|error| Broken(error.into())).boxed_unsync()
}

/// A body that keeps something for as long as it is sent.
pub(crate) fn held(body: Body, kept: impl Send + 'static) -> Body {
    body.map_frame(move |frame| {
        let _kept = &kept;
        frame
    })
    .boxed_unsync()
}

/// A body that ends, as if it were complete, when something else does.
pub(crate) fn until(body: Body, end: impl Future<Output = ()> + Send + 'static) -> Body {
    StreamBody::new(BodyStream::new(body).take_until(end)).boxed_unsync()
}
