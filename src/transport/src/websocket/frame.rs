//! Frames on the wire (RFC 6455, section 5).

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// No message is longer: the API's own peers send 32 KiB at a time.
pub(super) const LONGEST: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: Opcode,
    /// The last one of its message.
    pub(super) last: bool,
    pub(super) data: Bytes,
}

/// Which end we are: what clients send is masked, what servers send is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("a frame with reserved bits")]
    Reserved,
    #[error("a frame of unknown kind {0}")]
    Opcode(u8),
    #[error("a frame that should be masked and is not, or is and should not be")]
    Mask,
    #[error("a control frame in parts or of more than 125 bytes")]
    Control,
    #[error("a message of more than {LONGEST} bytes")]
    TooLong,
    #[error("a continuation of nothing, or a message within a message")]
    Order,
}

/// Takes the first frame from `buffer`; `None` while it is not complete.
pub(super) fn take(buffer: &mut BytesMut, role: Role) -> Result<Option<Frame>, Error> {
    let Some((head, length)) = head(buffer, role)? else { return Ok(None) };
    let masked = role == Role::Server;
    let begin = head + if masked { 4 } else { 0 };
    if buffer.len() < begin + length {
        return Ok(None);
    }
    let (opcode, last) = (opcode(buffer[0])?, buffer[0] & 0x80 != 0);
    buffer.advance(head);
    let mask = masked.then(|| buffer.split_to(4));
    let mut data = buffer.split_to(length);
    if let Some(mask) = mask {
        apply(&mask, &mut data);
    }
    Ok(Some(Frame { opcode, last, data: data.freeze() }))
}

/// The length of a frame's head without its mask, and of its data.
fn head(buffer: &[u8], role: Role) -> Result<Option<(usize, usize)>, Error> {
    let [first, second, rest @ ..] = buffer else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Error::Reserved);
    }
    if (second & 0x80 != 0) != (role == Role::Server) {
        return Err(Error::Mask);
    }
    let control = opcode(*first)? as u8 >= Opcode::Close as u8;
    if control && (first & 0x80 == 0 || second & 0x7f > 125) {
        return Err(Error::Control);
    }
    let (head, length) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        (126 | 127, _) => return Ok(None),
        (length, _) => (2, u64::from(length)),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST).ok_or(Error::TooLong)?;
    Ok(Some((head, length)))
}

fn opcode(first: u8) -> Result<Opcode, Error> {
    match first & 0x0f {
        0 => Ok(Opcode::Continuation),
        1 => Ok(Opcode::Text),
        2 => Ok(Opcode::Binary),
        8 => Ok(Opcode::Close),
        9 => Ok(Opcode::Ping),
        10 => Ok(Opcode::Pong),
        other => Err(Error::Opcode(other)),
    }
}

/// A whole message in one frame. `mask` is what a client makes up for each.
pub(super) fn put(buffer: &mut BytesMut, opcode: Opcode, data: &[u8], mask: Option<[u8; 4]>) {
    let code = match opcode {
        Opcode::Continuation => 0,
        Opcode::Text => 1,
        Opcode::Binary => 2,
        Opcode::Close => 8,
        Opcode::Ping => 9,
        Opcode::Pong => 10,
    };
    buffer.put_u8(0x80 | code);
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match (u8::try_from(data.len()), u16::try_from(data.len())) {
        (Ok(length @ 0..=125), _) => buffer.put_u8(masked | length),
        (_, Ok(length)) => {
            buffer.put_u8(masked | 126);
            buffer.put_u16(length);
        }
        _ => {
            buffer.put_u8(masked | 127);
            buffer.put_u64(data.len() as u64);
        }
    }
    if let Some(mask) = mask {
        buffer.put_slice(&mask);
        let begin = buffer.len();
        buffer.put_slice(data);
        apply(&mask, &mut buffer[begin..]);
    } else {
        buffer.put_slice(data);
    }
}

fn apply(mask: &[u8], data: &mut [u8]) {
    data.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_sends_the_other_reads() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, LONGEST] {
            for (role, mask) in [(Role::Client, None), (Role::Server, Some([1, 2, 3, 4]))] {
                let data = vec![7; length];
                let mut buffer = BytesMut::new();
                put(&mut buffer, Opcode::Binary, &data, mask);
                buffer.put_u8(0x89);
                let frame = take(&mut buffer, role).unwrap().unwrap();
                assert_eq!((frame.opcode, frame.last, frame.data.len()), (Opcode::Binary, true, length));
                assert!(frame.data == data, "{length}");
                assert_eq!(take(&mut buffer, role), Ok(None));
                assert_eq!(&buffer[..], [0x89], "the next frame is left as it is");
            }
        }
    }

    #[test]
    fn a_frame_may_come_byte_by_byte() {
        let mut whole = BytesMut::new();
        put(&mut whole, Opcode::Text, &[b'x'; 300], Some([9, 8, 7, 6]));
        let mut buffer = BytesMut::new();
        for byte in &whole[..whole.len() - 1] {
            buffer.put_u8(*byte);
            assert_eq!(take(&mut buffer, Role::Server), Ok(None));
        }
        buffer.put_u8(whole[whole.len() - 1]);
        assert_eq!(take(&mut buffer, Role::Server).unwrap().unwrap().data, [b'x'; 300].as_slice());
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let refused = |bytes: &[u8], role| take(&mut BytesMut::from(bytes), role).unwrap_err();
        assert_eq!(refused(&[0xC2, 0x80], Role::Server), Error::Reserved);
        assert_eq!(refused(&[0x83, 0x80], Role::Server), Error::Opcode(3));
        assert_eq!(refused(&[0x82, 0x00], Role::Server), Error::Mask);
        assert_eq!(refused(&[0x82, 0x80], Role::Client), Error::Mask);
        assert_eq!(refused(&[0x09, 0x80], Role::Server), Error::Control);
        assert_eq!(refused(&[0x89, 0xFE], Role::Server), Error::Control);
        assert_eq!(refused(&[0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0], Role::Server), Error::TooLong);
    }
}
