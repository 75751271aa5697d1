//! Answers made smaller for clients that ask for it: gzip, from the size on at which it pays.
//!
//! A body is looked at until it has shown that it is large; what is small goes out as it is. A large one is compressed chunk
//! by chunk as the client takes it, at the fastest level: a board has more network than processor.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};

use crate::answer::Answer;
use crate::body::{Body, Broken, Cause, whole};
use crate::request::accept::thousandths;

/// As upstream.
const WORTH_IT: usize = 128 * 1024;

/// Whether the client reads gzip.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(is_gzip)
}

/// A coding with its quality, of which none at all is a refusal.
fn is_gzip(coding: &str) -> bool {
    let mut parts = coding.split(';').map(str::trim);
    let refused = |part: &str| part.strip_prefix("q=").is_some_and(|quality| thousandths(quality) == 0);
    parts.next() == Some("gzip") && !parts.any(refused)
}

/// The answer for a client that reads gzip.
pub(crate) async fn compressed(answer: Answer) -> Answer {
    let small = answer.body().size_hint().upper().is_some_and(|size| size <= WORTH_IT as u64);
    if small || answer.headers().contains_key(header::CONTENT_ENCODING) {
        return answer;
    }
    let (mut parts, mut body) = answer.into_parts();
    match beginning(&mut body).await {
        Ok(Beginning::All(all)) => Answer::from_parts(parts, whole(all)),
        Ok(Beginning::Part(part)) => {
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            parts.headers.remove(header::CONTENT_LENGTH);
            Answer::from_parts(parts, rest(part, body))
        }
        // The client learns of it as it would have without us: where the body breaks off.
        Err(broken) => Answer::from_parts(parts, StreamBody::new(stream::iter([Err(broken)])).boxed_unsync()),
    }
}

enum Beginning {
    /// The body ended before it was large.
    All(Bytes),
    Part(Bytes),
}

async fn beginning(body: &mut Body) -> Result<Beginning, Broken> {
    let mut begun = BytesMut::new();
    while begun.len() <= WORTH_IT {
        match body.frame().await.transpose()?.map(Frame::into_data) {
            Some(Ok(data)) if begun.is_empty() && data.len() > WORTH_IT => return Ok(Beginning::Part(data)),
            Some(Ok(data)) => begun.extend_from_slice(&data),
            // Trailers: none of our answers has any.
            Some(Err(_)) => {}
            None => return Ok(Beginning::All(begun.freeze())),
        }
    }
    Ok(Beginning::Part(begun.freeze()))
}

/// What was read, and what is still to come.
struct Squeezed {
    encoder: GzEncoder<Vec<u8>>,
    next: Option<Bytes>,
    body: Body,
}

fn rest(part: Bytes, body: Body) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let state = Squeezed { encoder, next: Some(part), body };
    let chunks = stream::try_unfold(Some(state), |state| async move {
        let Some(mut state) = state else { return Ok(None) };
        loop {
            let next = match state.next.take() {
                Some(next) => Some(next),
                None => {
                    state.body.frame().await.transpose()?.map(|frame| frame.into_data().unwrap_or_default())
                }
            };
            let ended = next.is_none();
            let chunk = state.squeeze(next).map_err(|error| Broken(Cause::from(error)))?;
            if ended {
                return Ok(Some((Frame::data(chunk), None)));
            }
            if !chunk.is_empty() {
                return Ok(Some((Frame::data(chunk), Some(state))));
            }
        }
    });
    StreamBody::new(chunks).boxed_unsync()
}

impl Squeezed {
    /// What came out of the encoder for this data, or for its end.
    fn squeeze(&mut self, data: Option<Bytes>) -> io::Result<Bytes> {
        match data {
            Some(data) => self.encoder.write_all(&data)?,
            None => self.encoder.try_finish()?,
        }
        Ok(std::mem::take(self.encoder.get_mut()).into())
    }
}
