//! A resolver of the node's, that knows what it is told to know.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use task::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

pub(crate) struct Upstream {
    asked: Arc<AtomicUsize>,
    _tasks: Tasks<()>,
}

impl Upstream {
    /// Answers `name` with that many addresses, 198.51.100.0 and following, and denies everything else.
    pub(crate) async fn start(address: &str, name: &'static str, addresses: u8) -> Self {
        let address: SocketAddr = SocketAddr::new(address.parse().unwrap(), 53);
        let asked = Arc::new(AtomicUsize::new(0));
        let (udp, tcp) = (UdpSocket::bind(address).await.unwrap(), TcpListener::bind(address).await.unwrap());
        let mut tasks = Tasks::new();
        let count = asked.clone();
        tasks.spawn("udp", async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, asker) = udp.recv_from(&mut buffer).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut answer = answer(&buffer[..length], name, addresses);
                if answer.answers.len() > 30 {
                    answer.answers.clear();
                    answer.metadata.truncation = true;
                }
                udp.send_to(&answer.to_vec().unwrap(), asker).await.unwrap();
            }
        });
        tasks.spawn("tcp", async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.unwrap();
                let answer = answer(&question, name, addresses).to_vec().unwrap();
                stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        Self { asked, _tasks: tasks }
    }

    /// How many questions it has heard.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(question: &[u8], name: &str, addresses: u8) -> Message {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    let (asked, kind) = (message.queries[0].name().clone(), message.queries[0].query_type());
    if asked.to_lowercase() != Name::from_ascii(name).unwrap() {
        message.metadata.response_code = ResponseCode::NXDomain;
        return message;
    }
    if kind == RecordType::A {
        let record =
            |last| Record::from_rdata(asked.clone(), 60, RData::A(A(Ipv4Addr::new(198, 51, 100, last))));
        message.add_answers((0..addresses).map(record).collect::<Vec<_>>());
    }
    message
}
