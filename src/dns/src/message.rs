//! Questions off the wire and answers onto it.

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record};
use tracing::debug;

/// What we tell others we take by UDP, and ask of resolvers: what passes everywhere without being cut into fragments.
pub(crate) const PAYLOAD: u16 = 1232;
/// The most that is sent by UDP, to who says he takes it: we are asked from this node, where fragments do no harm.
const LARGEST_PAYLOAD: u16 = 4096;
const SMALLEST_PAYLOAD: u16 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A question somebody asked, and how he wants it answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    id: u16,
    op_code: OpCode,
    pub(crate) query: Query,
    recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    edns: bool,
    pub(crate) dnssec_ok: bool,
    largest: u16,
}

/// What to answer.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) code: Option<ResponseCode>,
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

impl Reply {
    pub(crate) fn failure(code: ResponseCode) -> Self {
        Self { code: Some(code), ..Self::default() }
    }
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Received {
    Request(Request),
    /// Answered by what it is.
    Refused(Vec<u8>),
    /// Nothing to answer: no DNS, or itself an answer.
    Noise,
}

impl Request {
    pub(crate) fn read(bytes: &[u8], transport: Transport) -> Received {
        let message = match Message::from_vec(bytes) {
            Ok(message) => message,
            Err(error) => {
                debug!(%error, "no DNS message");
                return malformed(bytes);
            }
        };
        if message.metadata.message_type == MessageType::Response {
            return Received::Noise;
        }
        let [query] = &message.queries[..] else { return malformed(bytes) };
        let edns = message.edns.as_ref();
        let payload =
            edns.map_or(SMALLEST_PAYLOAD, |edns| edns.max_payload().clamp(SMALLEST_PAYLOAD, LARGEST_PAYLOAD));
        let request = Self {
            id: message.metadata.id,
            op_code: message.metadata.op_code,
            query: query.clone(),
            recursion_desired: message.metadata.recursion_desired,
            checking_disabled: message.metadata.checking_disabled,
            edns: edns.is_some(),
            dnssec_ok: edns.is_some_and(|edns| edns.flags().dnssec_ok),
            largest: if transport == Transport::Tcp { u16::MAX } else { payload },
        };
        let refused = |code| Received::Refused(request.encode(&Reply::failure(code)));
        match (request.op_code, query.query_class(), edns.map_or(0, Edns::version)) {
            (OpCode::Query, DNSClass::IN, 0) => Received::Request(request),
            (OpCode::Query, DNSClass::IN, _) => refused(ResponseCode::BADVERS),
            (OpCode::Query, _, _) => refused(ResponseCode::Refused),
            _ => refused(ResponseCode::NotImp),
        }
    }

    /// The answer in bytes; by UDP only as many as were asked for, and nothing but the wish to be asked by TCP if it is more.
    pub(crate) fn encode(&self, reply: &Reply) -> Vec<u8> {
        let whole = self.message(reply).to_vec();
        match whole {
            Ok(bytes) if bytes.len() <= usize::from(self.largest) => bytes,
            Ok(_) => self.truncated(reply),
            Err(error) => {
                debug!(%error, name = %self.query.name(), "an answer that cannot be written");
                self.message(&Reply::failure(ResponseCode::ServFail)).to_vec().unwrap_or_default()
            }
        }
    }

    fn truncated(&self, reply: &Reply) -> Vec<u8> {
        let empty = Reply { code: reply.code, authoritative: reply.authoritative, ..Reply::default() };
        let mut message = self.message(&empty);
        message.metadata.truncation = true;
        message.to_vec().unwrap_or_default()
    }

    fn message(&self, reply: &Reply) -> Message {
        let mut message = Message::response(self.id, self.op_code);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.metadata.authoritative = reply.authoritative;
        message.metadata.response_code = reply.code.unwrap_or(ResponseCode::NoError);
        message.add_query(self.query.clone());
        message.answers.clone_from(&reply.answers);
        message.authorities.clone_from(&reply.authorities);
        message.additionals.clone_from(&reply.additionals);
        message.edns = self.edns.then(|| edns(self.dnssec_ok));
        message
    }
}

/// A question as we ask it of a resolver.
pub(crate) fn ask(request: &Request, id: u16, with_edns: bool) -> Result<Vec<u8>, ProtoError> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = request.checking_disabled;
    message.add_query(request.query.clone());
    message.edns = with_edns.then(|| edns(request.dnssec_ok));
    message.to_vec()
}

fn edns(dnssec_ok: bool) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD).set_dnssec_ok(dnssec_ok);
    edns
}

/// A header is enough to tell somebody that the rest made no sense.
fn malformed(bytes: &[u8]) -> Received {
    let [high, low, flags, ..] = bytes else { return Received::Noise };
    let is_response = flags & 0x80 != 0;
    if is_response || bytes.len() < 12 {
        return Received::Noise;
    }
    let message = Message::error_msg(u16::from_be_bytes([*high, *low]), OpCode::Query, ResponseCode::FormErr);
    message.to_vec().map_or(Received::Noise, Received::Refused)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, RData, RecordType};

    use super::*;

    fn question(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii("Web.Shop.").unwrap(), RecordType::A));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn request(bytes: &[u8], transport: Transport) -> Request {
        match Request::read(bytes, transport) {
            Received::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(bytes: &[u8]) -> ResponseCode {
        match Request::read(bytes, Transport::Udp) {
            Received::Refused(bytes) => Message::from_vec(&bytes).unwrap().metadata.response_code,
            other => panic!("{other:?}"),
        }
    }

    fn many(count: u8) -> Reply {
        let name = Name::from_ascii("web.shop.").unwrap();
        let record = |last| Record::from_rdata(name.clone(), 5, RData::A(A(Ipv4Addr::new(10, 42, 0, last))));
        Reply { answers: (0..count).map(record).collect(), ..Reply::default() }
    }

    #[test]
    fn an_answer_is_as_long_as_the_asker_takes() {
        let plain = question(|_| ());
        let answered = |bytes: &[u8], transport| {
            let bytes = request(bytes, transport).encode(&many(100));
            let message = Message::from_vec(&bytes).unwrap();
            (message.metadata.truncation, message.answers.len(), message.edns.is_some())
        };
        assert_eq!(answered(&plain, Transport::Udp), (true, 0, false));
        assert_eq!(answered(&plain, Transport::Tcp), (false, 100, false));
        let extended = question(|message| message.edns = Some(edns(false)));
        assert_eq!(answered(&extended, Transport::Udp), (true, 0, true));
        let large = question(|message| {
            message.edns = Some(edns(false));
            message.edns.as_mut().unwrap().set_max_payload(8000);
        });
        assert_eq!(answered(&large, Transport::Udp), (false, 100, true));
    }

    #[test]
    fn the_question_is_repeated_as_it_was_written() {
        let bytes = request(&question(|_| ()), Transport::Udp).encode(&many(1));
        assert_eq!(Message::from_vec(&bytes).unwrap().queries[0].name().to_ascii(), "Web.Shop.");
    }

    #[test]
    fn what_makes_no_sense_is_refused_or_ignored() {
        assert_eq!(
            refusal(&question(|message| message.metadata.op_code = OpCode::Notify)),
            ResponseCode::NotImp
        );
        assert_eq!(refusal(&question(|message| message.queries.clear())), ResponseCode::FormErr);
        assert_eq!(
            refusal(&question(|message| message.queries[0].query_class = DNSClass::CH)),
            ResponseCode::Refused
        );
        let version = question(|message| {
            message.edns = Some(Edns::new());
            message.edns.as_mut().unwrap().set_version(1);
        });
        assert_eq!(u16::from(refusal(&version)), 16, "BADVERS: BADSIG has the same number");
        let mut cut = question(|_| ());
        cut.truncate(15);
        assert_eq!(refusal(&cut), ResponseCode::FormErr);
        let answer = question(|message| message.metadata.message_type = MessageType::Response);
        assert!(matches!(Request::read(&answer, Transport::Udp), Received::Noise));
        assert!(matches!(Request::read(b"GET / HTTP", Transport::Udp), Received::Noise));
    }
}
