//! Somebody who asks, by UDP or TCP.

use std::net::SocketAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, Record, RecordType};

use crate::cluster::DNS;

pub(crate) struct Asked {
    pub(crate) message: Message,
}

impl Asked {
    pub(crate) fn code(&self) -> String {
        format!("{:?}", self.message.metadata.response_code)
    }

    pub(crate) fn answers(&self) -> Vec<String> {
        sorted(&self.message.answers)
    }

    pub(crate) fn additionals(&self) -> Vec<String> {
        sorted(&self.message.additionals)
    }

    /// Whether it is denied or empty with the word of the zone that says so.
    pub(crate) fn has_soa(&self) -> bool {
        self.message.authorities.iter().any(|record| record.record_type() == RecordType::SOA)
    }
}

fn sorted(records: &[Record]) -> Vec<String> {
    let mut all: Vec<String> = records
        .iter()
        .map(|record| format!("{} {} {}", record.name, record.record_type(), record.data))
        .collect();
    all.sort();
    all
}

pub(crate) fn question(name: &str, kind: RecordType, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(4242, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.edns = payload.map(|payload| {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        edns
    });
    message.to_vec().unwrap()
}

fn server() -> SocketAddr {
    SocketAddr::new(DNS.parse().unwrap(), 53)
}

pub(crate) async fn ask(name: &str, kind: RecordType) -> Asked {
    exchange(question(name, kind, None)).await
}

/// By UDP.
pub(crate) async fn exchange(question: Vec<u8>) -> Asked {
    let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
    socket.connect(server()).await.unwrap();
    socket.send(&question).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).await.unwrap();
    Asked { message: Message::from_vec(&buffer[..length]).unwrap() }
}

/// By TCP, several questions on one connection.
pub(crate) async fn ask_by_tcp(questions: Vec<Vec<u8>>) -> Vec<Asked> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server()).await.unwrap();
    let mut answers = Vec::new();
    for question in questions {
        stream.write_all(&u16::try_from(question.len()).unwrap().to_be_bytes()).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.unwrap();
        answers.push(Asked { message: Message::from_vec(&answer).unwrap() });
    }
    answers
}
