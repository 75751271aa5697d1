//! What was told before, and so whether the next report is new, a repeat, one of many alike, or one too many.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

use super::{Report, Severity};
use crate::Key;

/// Objects and reasons remembered; the longest unused goes when there are more.
const REMEMBERED: usize = 1024;
/// What was not told for so long is forgotten: the server has dropped the event itself by then.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
/// Different messages of one reason about one object from which on they are folded into one event.
const ALIKE: usize = 10;
const ALIKE_WITHIN: Duration = Duration::from_secs(600);
/// Events one object may cause at once, and then per second.
const BURST: f64 = 25.0;
const REFILL: f64 = 1.0 / 300.0;

/// How to write one report.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub(super) message: String,
    /// The event that is there already, and the count it gets.
    pub(super) repeats: Option<(Key, u32)>,
    alike: Alike,
    exact: Exact,
}

/// One message of a series, by its hash: texts would be most of what is remembered. `None` for the event that many are folded
/// into.
type Exact = Option<u64>;

#[derive(Debug, Default)]
pub(super) struct History {
    hashes: RandomState,
    series: Remembered<Alike, Series>,
    budgets: Remembered<Subject, Budget>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    field: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alike {
    subject: Subject,
    severity: Severity,
    reason: String,
}

#[derive(Debug, Default)]
struct Series {
    messages: HashSet<u64>,
    last: Option<Instant>,
    written: HashMap<Exact, (Key, u32)>,
}

#[derive(Debug)]
struct Budget {
    tokens: f64,
    at: Instant,
}

impl History {
    /// What to do about a report at `now`; nothing if its object has used up what it may cause.
    pub(super) fn step(&mut self, report: &Report, now: Instant) -> Option<Step> {
        let subject = Subject::of(&report.about);
        if !self.budgets.entry(subject.clone(), now, || Budget { tokens: BURST, at: now }).take(now) {
            return None;
        }
        let alike = Alike { subject, severity: report.severity, reason: report.reason.clone() };
        let series = self.series.entry(alike.clone(), now, Series::default);
        let message = self.hashes.hash_one(&report.message);
        let folded = series.hear(message, now);
        let exact = (!folded).then_some(message);
        let repeats = series.written.get(&exact).map(|(key, count)| (key.clone(), count + 1));
        let message = match folded {
            true => format!("(combined from similar events): {}", report.message),
            false => report.message.clone(),
        };
        Some(Step { message, repeats, alike, exact })
    }

    /// A step was carried out: the event is stored under `key`.
    pub(super) fn written(&mut self, step: &Step, key: Key) {
        let Some((series, _)) = self.series.entries.get_mut(&step.alike) else {
            return;
        };
        let count = match &step.repeats {
            Some((repeated, count)) if *repeated == key => *count,
            _ => 1,
        };
        series.written.insert(step.exact, (key, count));
    }
}

impl Series {
    /// Takes note of a message; whether it is one of so many that they are folded.
    fn hear(&mut self, message: u64, now: Instant) -> bool {
        if self.last.replace(now).is_some_and(|last| now - last > ALIKE_WITHIN) {
            self.messages.clear();
            self.written.clear();
        }
        let known = self.messages.contains(&message);
        if !known && self.messages.len() + 1 >= ALIKE {
            return true;
        }
        self.messages.insert(message);
        false
    }
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * REFILL).min(BURST);
        self.at = now;
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

impl Subject {
    fn of(about: &ObjectReference) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            kind: text(&about.kind),
            namespace: text(&about.namespace),
            name: text(&about.name),
            uid: text(&about.uid),
            field: text(&about.field_path),
        }
    }
}

/// A map that forgets what was not used for long, and when it is full what was not used for the longest time.
#[derive(Debug)]
struct Remembered<T, V> {
    entries: HashMap<T, (V, Instant)>,
    swept: Option<Instant>,
}

impl<T, V> Default for Remembered<T, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), swept: None }
    }
}

impl<T: Clone + Eq + Hash, V> Remembered<T, V> {
    fn entry(&mut self, key: T, now: Instant, new: impl FnOnce() -> V) -> &mut V {
        if now - *self.swept.get_or_insert(now) > FORGOTTEN_AFTER {
            self.swept = Some(now);
            self.entries.retain(|_, (_, used)| now - *used <= FORGOTTEN_AFTER);
            self.entries.shrink_to_fit();
        }
        if self.entries.len() >= REMEMBERED && !self.entries.contains_key(&key) {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.entries.remove(&oldest));
        }
        let (value, used) = self.entries.entry(key).or_insert_with(|| (new(), now));
        *used = now;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(pod: &str, message: &str) -> Report {
        let about = ObjectReference { name: Some(pod.into()), ..ObjectReference::default() };
        Report { about, severity: Severity::Warning, reason: "BackOff".into(), message: message.into() }
    }

    /// Carries a report out as the writer does; what it would have written.
    fn tell(history: &mut History, report: &Report, now: Instant) -> Option<(String, u32)> {
        let step = history.step(report, now)?;
        let key =
            step.repeats.as_ref().map_or_else(|| Key::new("default", &step.message), |(key, _)| key.clone());
        history.written(&step, key);
        Some((step.message, step.repeats.map_or(1, |(_, count)| count)))
    }

    #[tokio::test]
    async fn a_repeat_raises_the_count() {
        let (mut history, now) = (History::default(), Instant::now());
        let counts: Vec<_> = (0..3).filter_map(|_| tell(&mut history, &report("a", "x"), now)).collect();
        assert_eq!(counts, [("x".to_string(), 1), ("x".to_string(), 2), ("x".to_string(), 3)]);
    }

    #[tokio::test]
    async fn many_alike_are_folded_until_ten_minutes_are_quiet() {
        let (mut history, now) = (History::default(), Instant::now());
        let told: Vec<_> =
            (0..11).filter_map(|n| tell(&mut history, &report("a", &n.to_string()), now)).collect();
        assert_eq!(told[8], ("8".to_string(), 1));
        assert_eq!(told[9], ("(combined from similar events): 9".to_string(), 1));
        assert_eq!(told[10], ("(combined from similar events): 10".to_string(), 2));
        let later = now + ALIKE_WITHIN + Duration::from_secs(1);
        assert_eq!(tell(&mut history, &report("a", "11"), later), Some(("11".to_string(), 1)));
    }

    #[tokio::test]
    async fn one_object_cannot_flood() {
        let (mut history, now) = (History::default(), Instant::now());
        let told = (0..100).filter(|_| tell(&mut history, &report("a", "x"), now).is_some()).count();
        assert_eq!(told, 25);
        assert!(tell(&mut history, &report("b", "x"), now).is_some(), "another object has its own budget");
        let later = now + Duration::from_secs(301);
        assert!(tell(&mut history, &report("a", "x"), later).is_some(), "one more every five minutes");
        assert!(tell(&mut history, &report("a", "x"), later).is_none());
    }

    #[tokio::test]
    async fn history_is_bounded() {
        let (mut history, now) = (History::default(), Instant::now());
        for n in 0..REMEMBERED + 50 {
            tell(&mut history, &report(&n.to_string(), "x"), now);
        }
        assert_eq!(history.series.entries.len(), REMEMBERED);
        assert_eq!(history.budgets.entries.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn what_is_long_ago_is_forgotten() {
        let (mut history, now) = (History::default(), Instant::now());
        tell(&mut history, &report("a", "x"), now);
        let minute = Duration::from_secs(60);
        tell(&mut history, &report("b", "x"), now + FORGOTTEN_AFTER - minute);
        tell(&mut history, &report("c", "x"), now + FORGOTTEN_AFTER + minute);
        let subjects = history.series.entries.keys().map(|alike| alike.subject.name.as_str());
        assert_eq!(subjects.collect::<HashSet<_>>(), HashSet::from(["b", "c"]));
        assert_eq!(history.budgets.entries.len(), 2);
    }
}
