//! Names that are not ours, asked of the node's resolvers.
//!
//! Whoever asks what is being asked already waits for the same answer. That saves questions, and it makes a resolver that
//! sends our question back to us harmless: the question meets itself, is recognised by whom it comes from, and fails at once
//! instead of going round.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::{ProtoError, serialize::binary::DecodeError};
use task::causes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::cache::{AnswerCache, Question, Response};
use crate::message::{self, Request};

/// How long one resolver is given before the next is asked.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often each is asked: with three resolvers a program that waits its usual 5 seconds twice hears of the failure.
const ROUNDS: usize = 2;
/// Questions under way at once; one more fails.
const MOST_UNDER_WAY: usize = 512;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the question cannot be written")]
    Write(#[source] ProtoError),
    #[error("the answer cannot be read")]
    Read(#[source] DecodeError),
    #[error("the resolver cannot be reached")]
    Exchange(#[source] io::Error),
}

#[derive(Debug)]
pub(crate) struct Forwarder {
    upstreams: watch::Receiver<Vec<SocketAddr>>,
    cache: Mutex<AnswerCache>,
    under_way: Mutex<HashMap<Question, Arc<Flight>>>,
    /// The resolver that answered last: asked first, so that a dead one costs its time once.
    favourite: AtomicUsize,
}

/// A question under way.
#[derive(Debug, Default)]
struct Flight {
    response: OnceCell<Option<Arc<Response>>>,
    asked: Mutex<Option<IpAddr>>,
}

/// What is known of a question without waiting.
#[derive(Debug)]
pub(crate) enum Known {
    Response(Response),
    /// It came back from the resolver it was sent to.
    Loop,
    Nothing,
}

impl Question {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            name: request.query.name().to_lowercase(),
            kind: request.query.query_type(),
            checking_disabled: request.checking_disabled,
            dnssec_ok: request.dnssec_ok,
        }
    }
}

impl Forwarder {
    pub(crate) fn new(upstreams: watch::Receiver<Vec<SocketAddr>>) -> Self {
        Self {
            upstreams,
            cache: Mutex::default(),
            under_way: Mutex::default(),
            favourite: AtomicUsize::new(0),
        }
    }

    pub(crate) fn known(&self, request: &Request, asker: IpAddr) -> Known {
        let question = Question::of(request);
        if let Some(response) = lock(&self.cache).get(&question, Instant::now()) {
            return Known::Response(response);
        }
        let flight = lock(&self.under_way).get(&question).cloned();
        match flight {
            Some(flight) if *lock(&flight.asked) == Some(asker) => {
                warn!(resolver = %asker, "a resolver of this node sends our questions back to us; see /etc/resolv.conf");
                Known::Loop
            }
            _ => Known::Nothing,
        }
    }

    /// Asks the node's resolvers; none if no answer is to be had.
    pub(crate) async fn ask(&self, request: &Request) -> Option<Arc<Response>> {
        let question = Question::of(request);
        let flight = {
            let mut under_way = lock(&self.under_way);
            if under_way.len() >= MOST_UNDER_WAY && !under_way.contains_key(&question) {
                return None;
            }
            under_way.entry(question.clone()).or_default().clone()
        };
        let response = flight.response.get_or_init(|| self.ask_all(request, &flight)).await.clone();
        let mut under_way = lock(&self.under_way);
        if under_way.get(&question).is_some_and(|current| Arc::ptr_eq(current, &flight)) {
            under_way.remove(&question);
            if let Some(response) = &response {
                lock(&self.cache).put(question, response.clone(), Instant::now());
            }
        }
        response
    }

    /// Forgets what resolvers said that are no longer ours.
    pub(crate) fn forget(&self) {
        lock(&self.cache).clear();
    }

    async fn ask_all(&self, request: &Request, flight: &Flight) -> Option<Arc<Response>> {
        let servers = self.upstreams.borrow().clone();
        let favourite = self.favourite.load(Ordering::Relaxed);
        let mut unwilling = None;
        for turn in 0..servers.len() * ROUNDS {
            let index = (favourite + turn) % servers.len();
            let server = servers[index];
            *lock(&flight.asked) = Some(server.ip());
            match timeout(PATIENCE, exchange(request, server)).await {
                Ok(Ok(response)) if is_final(response.code) => {
                    self.favourite.store(index, Ordering::Relaxed);
                    return Some(Arc::new(response));
                }
                Ok(Ok(response)) => unwilling = Some(Arc::new(response)),
                Ok(Err(error)) => debug!(%server, error = %causes(&error), "a resolver does not answer"),
                Err(_) => debug!(%server, "a resolver does not answer in time"),
            }
        }
        unwilling
    }
}

/// Whether another resolver would hardly say anything else.
fn is_final(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

async fn exchange(request: &Request, server: SocketAddr) -> Result<Response, Error> {
    let mut answer = by_udp(request, server, true).await?;
    // A resolver older than the extension.
    if answer.metadata.response_code == ResponseCode::FormErr {
        answer = by_udp(request, server, false).await?;
    }
    if answer.metadata.truncation {
        answer = by_tcp(request, server).await?;
    }
    Ok(answer.into())
}

/// The port is the system's choice and the number ours: an answer somebody made up would have to guess both.
async fn by_udp(request: &Request, server: SocketAddr, with_edns: bool) -> Result<Message, Error> {
    let id = random();
    let question = message::ask(request, id, with_edns).map_err(Error::Write)?;
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(Error::Exchange)?;
    socket.connect(server).await.map_err(Error::Exchange)?;
    socket.send(&question).await.map_err(Error::Exchange)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(Error::Exchange)?;
        let answer = Message::from_vec(&buffer[..length]).map_err(Error::Read)?;
        if answers(&answer, request, id) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(request: &Request, server: SocketAddr) -> Result<Message, Error> {
    let question = message::ask(request, random(), true).map_err(Error::Write)?;
    let mut stream = TcpStream::connect(server).await.map_err(Error::Exchange)?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), &question[..]].concat()).await.map_err(Error::Exchange)?;
    let length = stream.read_u16().await.map_err(Error::Exchange)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(Error::Exchange)?;
    Message::from_vec(&answer).map_err(Error::Read)
}

fn answers(answer: &Message, request: &Request, id: u16) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == id
        && (answer.queries.is_empty() || answer.queries.iter().all(|query| *query == request.query))
}

/// `RandomState` is seeded by the system and keyed: enough to be hard to guess.
fn random() -> u16 {
    let bytes = RandomState::new().hash_one(()).to_ne_bytes();
    u16::from_ne_bytes([bytes[0], bytes[1]])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
