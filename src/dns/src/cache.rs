//! Answers of others, kept as long as they say, so many at most: the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::time::Instant;

/// About 100 kB when full.
const MOST: usize = 256;
const LONGEST: Duration = Duration::from_secs(3600);
/// What is not there may come: looked for again sooner.
const LONGEST_ABSENT: Duration = Duration::from_secs(300);

/// What was asked, as far as it decides the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
    pub(crate) checking_disabled: bool,
    pub(crate) dnssec_ok: bool,
}

/// What others answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Response {
    pub(crate) code: ResponseCode,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

impl From<Message> for Response {
    fn from(message: Message) -> Self {
        Self {
            code: message.metadata.response_code,
            answers: message.answers,
            authorities: message.authorities,
            additionals: message.additionals,
        }
    }
}

impl Response {
    /// How long it may be kept; none if not at all.
    fn life(&self) -> Option<Duration> {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        match self.code {
            ResponseCode::NoError if !self.answers.is_empty() => {
                let shortest = self.answers.iter().map(|record| record.ttl).min()?;
                Some(seconds(shortest).min(LONGEST))
            }
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let absent = self.authorities.iter().find_map(|record| match &record.data {
                    RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                    _ => None,
                });
                Some(seconds(absent?).min(LONGEST_ABSENT))
            }
            _ => None,
        }
    }

    fn aged(&self, age: Duration) -> Self {
        let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        let mut aged = self.clone();
        for records in [&mut aged.answers, &mut aged.authorities, &mut aged.additionals] {
            records.iter_mut().for_each(|record| record.ttl = record.ttl.saturating_sub(seconds));
        }
        aged
    }
}

#[derive(Debug, Default)]
pub(crate) struct AnswerCache {
    entries: HashMap<Question, Entry>,
    /// The keys of `entries`, the oldest first.
    order: VecDeque<Question>,
}

#[derive(Debug)]
struct Entry {
    response: Arc<Response>,
    stored: Instant,
    life: Duration,
}

impl AnswerCache {
    pub(crate) fn get(&self, question: &Question, now: Instant) -> Option<Response> {
        let entry = self.entries.get(question)?;
        let age = now.duration_since(entry.stored);
        (age < entry.life).then(|| entry.response.aged(age))
    }

    pub(crate) fn put(&mut self, question: Question, response: Arc<Response>, now: Instant) {
        let Some(life) = response.life().filter(|life| !life.is_zero()) else { return };
        let entry = Entry { response, stored: now, life };
        if self.entries.insert(question.clone(), entry).is_none() {
            self.order.push_back(question);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::rdata::{A, SOA};

    use super::*;

    fn question(name: &str) -> Question {
        let name = Name::from_ascii(name).unwrap();
        Question { name, kind: RecordType::A, checking_disabled: false, dnssec_ok: false }
    }

    fn record(ttl: u32, data: RData) -> Record {
        Record::from_rdata(Name::from_ascii("a.").unwrap(), ttl, data)
    }

    fn response(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Arc<Response> {
        Arc::new(Response { code, answers, authorities, additionals: Vec::new() })
    }

    fn address(ttl: u32) -> Record {
        record(ttl, RData::A(A(Ipv4Addr::LOCALHOST)))
    }

    #[test]
    fn answers_age_and_end_with_the_shortest() {
        let (mut cache, now) = (AnswerCache::default(), Instant::now());
        cache.put(
            question("a."),
            response(ResponseCode::NoError, vec![address(60), address(10)], vec![]),
            now,
        );
        let aged = cache.get(&question("a."), now + Duration::from_secs(4)).unwrap();
        assert_eq!(aged.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [56, 6]);
        assert_eq!(cache.get(&question("a."), now + Duration::from_secs(10)), None);
        assert_eq!(cache.get(&question("b."), now), None);
    }

    #[test]
    fn absence_is_kept_as_long_as_its_zone_says_and_failure_never() {
        let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 30);
        let absent = response(ResponseCode::NXDomain, vec![], vec![record(900, RData::SOA(soa))]);
        assert_eq!(absent.life(), Some(Duration::from_secs(30)));
        assert_eq!(response(ResponseCode::NXDomain, vec![], vec![]).life(), None);
        assert_eq!(response(ResponseCode::ServFail, vec![address(60)], vec![]).life(), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut cache, now) = (AnswerCache::default(), Instant::now());
        for number in 0..=MOST {
            cache.put(
                question(&format!("n{number}.")),
                response(ResponseCode::NoError, vec![address(60)], vec![]),
                now,
            );
        }
        assert_eq!((cache.entries.len(), cache.order.len()), (MOST, MOST));
        assert!(cache.get(&question("n0."), now).is_none());
        assert!(cache.get(&question("n1."), now).is_some());
    }
}
