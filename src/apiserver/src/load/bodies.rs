//! Room for the bodies of requests that are larger than most, and the patience with who sends them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::status::Status;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout_at};

use super::SMALL;
use super::turns::{Place, Turns};
use crate::body::{Cause, Incoming};

/// The largest body that is read, as upstream.
const LARGEST: usize = 3 << 20;
/// The largest bodies that there is room for at once.
const AT_ONCE: usize = 5;
/// What a sender has to begin with.
const START: Duration = Duration::from_secs(5);
/// Bytes a second that a sender with room comes up to: the largest body is there after half a minute.
const PACE: u64 = 128 * 1024;

/// Room for large bodies, taken before they are read and given back after the answer.
///
/// It is handed out in turns as places are, and each client has one large body in it at a time: it takes five to make the others
/// wait, and who stops sending loses its room after [`START`].
#[derive(Debug)]
pub(crate) struct Bodies(Arc<Turns>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Turns::new(AT_ONCE, 1))
    }
}

impl Bodies {
    /// A body, and the room that it takes. Small ones take none, nor do those of our own components, which are no `client`.
    pub(crate) async fn read<B: Incoming>(
        &self,
        body: B,
        client: Option<&str>,
    ) -> Result<(Bytes, Option<Place>), Status> {
        let size = body.size_hint();
        if size.lower() > LARGEST as u64 {
            return Err(too_large());
        }
        match client.filter(|_| size.upper().is_none_or(|size| size > SMALL)) {
            Some(client) => {
                let room = self.0.take(client).await?;
                Ok((in_time(body).await?, Some(room)))
            }
            None => Ok((whole(body).await?, None)),
        }
    }
}

async fn whole<B: Incoming>(body: B) -> Result<Bytes, Status> {
    let body = Limited::new(body, LARGEST).collect().await;
    Ok(body.map_err(|error| refused(&error))?.to_bytes())
}

/// The same, of a sender that keeps up the pace.
async fn in_time<B: Incoming>(body: B) -> Result<Bytes, Status> {
    let (began, said) = (Instant::now(), usize::try_from(body.size_hint().lower()).unwrap_or(LARGEST));
    let mut bytes = BytesMut::with_capacity(said.min(LARGEST));
    let mut body = pin!(Limited::new(body, LARGEST));
    loop {
        let earned = Duration::from_millis(bytes.len() as u64 * 1000 / PACE);
        let frame = timeout_at(began + START + earned, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame.transpose().map_err(|error| refused(&error))? else {
            return Ok(bytes.freeze());
        };
        if let Ok(mut data) = frame.into_data() {
            bytes.put(data.copy_to_bytes(data.remaining()));
        }
    }
}

fn refused(error: &Cause) -> Status {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    Status::bad_request(format!("the body of the request broke off: {error}"))
}

fn too_large() -> Status {
    Status::request_entity_too_large(&format!("limit is {LARGEST}"))
}

fn too_slow() -> Status {
    Status::timeout("the body of the request comes too slowly", 0)
}
