//! Frames on the wire.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Error;
use super::headers::Stored;

/// No frame of a peer is longer: they send 32 KiB at a time.
pub(super) const LONGEST: usize = 1 << 20;
/// The length of every frame's head.
const HEAD: usize = 8;
const LAST: u8 = 1;
const STREAM: u32 = 0x7fff_ffff;
/// The reason of a refusal.
const REFUSED: u32 = 3;

/// What a peer sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Open {
        stream: u32,
        last: bool,
        headers: Bytes,
    },
    Data {
        stream: u32,
        last: bool,
        data: Bytes,
    },
    Headers {
        headers: Bytes,
    },
    Reset {
        stream: u32,
    },
    Ping {
        number: u32,
    },
    /// Settings, windows and goodbyes: nothing follows from them here.
    Other,
}

/// What we send besides data.
#[derive(Debug)]
pub(super) enum Control {
    Accept { stream: u32 },
    Refuse { stream: u32 },
    Ping { number: u32 },
    GoAway,
}

/// Takes the first frame from `buffer`; `None` while it is not complete.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
    if buffer.len() < HEAD {
        return Ok(None);
    }
    let length = usize::from(buffer[5]) << 16 | usize::from(buffer[6]) << 8 | usize::from(buffer[7]);
    if length > LONGEST {
        return Err(Error::TooLong);
    }
    if buffer.len() < HEAD + length {
        return Ok(None);
    }
    let mut head = buffer.split_to(HEAD);
    let (word, flags) = (head.get_u32(), head.get_u8());
    let body = buffer.split_to(length).freeze();
    let last = flags & LAST != 0;
    if word & !STREAM == 0 {
        return Ok(Some(Frame::Data { stream: word, last, data: body }));
    }
    if word >> 16 != 0x8003 {
        return Err(Error::Version);
    }
    control(word & 0xffff, last, body).map(Some)
}

fn control(kind: u32, last: bool, mut body: Bytes) -> Result<Frame, Error> {
    match kind {
        1 => {
            let stream = number(&mut body, "SYN_STREAM")?;
            // The stream it belongs to, its priority and a slot.
            if body.len() < 6 {
                return Err(Error::Short("SYN_STREAM"));
            }
            body.advance(6);
            Ok(Frame::Open { stream, last, headers: body })
        }
        3 => Ok(Frame::Reset { stream: number(&mut body, "RST_STREAM")? }),
        6 => {
            let whole = body.try_get_u32();
            whole.map(|number| Frame::Ping { number }).map_err(|_| Error::Short("PING"))
        }
        // A reply to a stream of ours, which we never open, deflates headers all the same.
        2 | 8 => {
            number(&mut body, "HEADERS")?;
            Ok(Frame::Headers { headers: body })
        }
        _ => Ok(Frame::Other),
    }
}

fn number(body: &mut Bytes, kind: &'static str) -> Result<u32, Error> {
    body.try_get_u32().map(|number| number & STREAM).map_err(|_| Error::Short(kind))
}

pub(super) fn put_control(buffer: &mut BytesMut, control: &Control, stored: &mut Stored) {
    match control {
        Control::Accept { stream } => {
            let headers = stored.none();
            head(buffer, 2, 4 + headers.len());
            buffer.put_u32(*stream);
            buffer.put_slice(&headers);
        }
        Control::Refuse { stream } => {
            head(buffer, 3, 8);
            buffer.put_u32(*stream);
            buffer.put_u32(REFUSED);
        }
        Control::Ping { number } => {
            head(buffer, 6, 4);
            buffer.put_u32(*number);
        }
        Control::GoAway => {
            head(buffer, 7, 8);
            buffer.put_u64(0);
        }
    }
}

fn head(buffer: &mut BytesMut, kind: u16, length: usize) {
    buffer.put_u16(0x8003);
    buffer.put_u16(kind);
    put_length(buffer, 0, length);
}

pub(super) fn put_data(buffer: &mut BytesMut, stream: u32, last: bool, data: &[u8]) {
    buffer.put_u32(stream);
    put_length(buffer, if last { LAST } else { 0 }, data.len());
    buffer.put_slice(data);
}

/// Flags and a length of 24 bits: nothing of ours is longer than a few bytes of headers or one chunk.
fn put_length(buffer: &mut BytesMut, flags: u8, length: usize) {
    buffer.put_u8(flags);
    buffer.put_uint(length as u64, 3);
}
