//! From a question to its answer: ours at once, others' as soon as they are there.

use std::net::IpAddr;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};

use crate::cache::Response;
use crate::forward::{Forwarder, Known};
use crate::message::{Received, Reply, Request, Transport};
use crate::zone::{Answer, Zone};

/// Names that may stand for names that stand for names.
const LONGEST_CHAIN: usize = 8;

#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) zone: Zone,
    pub(crate) forwarder: Forwarder,
}

/// What can be done without waiting.
#[derive(Debug)]
pub(crate) enum Step {
    Answer(Vec<u8>),
    Silence,
    /// Others must be asked.
    Ask(Box<Pending>),
}

/// A question that others must answer, wholly or to its end.
#[derive(Debug)]
pub(crate) struct Pending {
    request: Request,
    /// What the name stands for, and is asked in its place.
    target: Request,
    chain: Vec<Record>,
}

impl Resolver {
    pub(crate) fn begin(&self, bytes: &[u8], asker: IpAddr, transport: Transport) -> Step {
        match Request::read(bytes, transport) {
            Received::Request(request) => self.resolve(request, asker),
            Received::Refused(answer) => Step::Answer(answer),
            Received::Noise => Step::Silence,
        }
    }

    /// Follows names of ours as far as they lead.
    fn resolve(&self, request: Request, asker: IpAddr) -> Step {
        let mut pending = Pending { target: request.clone(), request, chain: Vec::new() };
        let kind = pending.request.query.query_type();
        while pending.chain.len() <= LONGEST_CHAIN {
            match self.zone.lookup(pending.target.query.name(), kind) {
                Answer::Foreign => return self.recall(pending, asker),
                Answer::Alias { record, target } => {
                    pending.chain.push(record);
                    if kind == RecordType::CNAME {
                        return Step::Answer(pending.ours(Vec::new(), Vec::new()));
                    }
                    pending.target.query = Query::query(target, kind);
                }
                Answer::Found { answers, additionals } => {
                    return Step::Answer(pending.ours(answers, additionals));
                }
                Answer::Empty { soa } => return Step::Answer(pending.nothing(ResponseCode::NoError, soa)),
                Answer::Absent { soa } => return Step::Answer(pending.nothing(ResponseCode::NXDomain, soa)),
                Answer::Unknown => break,
            }
        }
        Step::Answer(pending.failed())
    }

    /// Answers from what others have said before.
    fn recall(&self, pending: Pending, asker: IpAddr) -> Step {
        match self.forwarder.known(&pending.target, asker) {
            Known::Response(response) => Step::Answer(pending.theirs(&response)),
            Known::Loop => Step::Answer(pending.failed()),
            Known::Nothing => Step::Ask(Box::new(pending)),
        }
    }

    pub(crate) async fn finish(&self, pending: &Pending) -> Vec<u8> {
        match self.forwarder.ask(&pending.target).await {
            Some(response) => pending.theirs(&response),
            None => pending.failed(),
        }
    }
}

impl Pending {
    fn ours(&self, answers: Vec<Record>, additionals: Vec<Record>) -> Vec<u8> {
        let answers = self.chain.iter().cloned().chain(answers).collect();
        self.request.encode(&Reply { authoritative: true, answers, additionals, ..Reply::default() })
    }

    fn nothing(&self, code: ResponseCode, soa: Record) -> Vec<u8> {
        let answers = self.chain.clone();
        let reply = Reply {
            code: Some(code),
            authoritative: true,
            answers,
            authorities: vec![soa],
            ..Reply::default()
        };
        self.request.encode(&reply)
    }

    fn theirs(&self, response: &Response) -> Vec<u8> {
        self.request.encode(&Reply {
            code: Some(response.code),
            authoritative: false,
            answers: self.chain.iter().chain(&response.answers).cloned().collect(),
            authorities: response.authorities.clone(),
            additionals: response.additionals.clone(),
        })
    }

    fn failed(&self) -> Vec<u8> {
        self.request.encode(&Reply::failure(ResponseCode::ServFail))
    }
}
