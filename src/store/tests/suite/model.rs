//! Random histories against a model that keeps every state there ever was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{Entry, Precondition, Revision, Snapshot, Store, Write, WriteError};

use crate::place::{Place, bytes, text};

const KEYS: [&str; 6] = ["/a/x/1", "/a/x/2", "/a/x-y/1", "/a/y/1", "/ab/1", "/b/1"];
const SCOPES: [&str; 7] = ["/", "/a/", "/a/x/", "/a/x-y/", "/ab/", "/b/1", "/none/"];

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<Attempt>),
    CleanRestart,
    Crash,
}

#[derive(Debug, Clone)]
struct Attempt {
    key: usize,
    action: Action,
    soft: bool,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Create,
    Update(Guess),
    Delete(Guess),
}

/// The revision that the writer believes the key to be at.
#[derive(Debug, Clone, Copy)]
enum Guess {
    None,
    Right,
    Wrong,
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![2 => Just(Guess::None), 3 => Just(Guess::Right), 1 => Just(Guess::Wrong)]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let action = prop_oneof![
        3 => Just(Action::Create),
        3 => guess().prop_map(Action::Update),
        2 => guess().prop_map(Action::Delete),
    ];
    (0..KEYS.len(), action, any::<bool>()).prop_map(|(key, action, soft)| Attempt { key, action, soft })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => prop::collection::vec(attempt(), 1..4).prop_map(Step::Write),
        1 => Just(Step::CleanRestart),
        1 => Just(Step::Crash),
    ]
}

type State = BTreeMap<String, (String, Revision)>;

#[derive(Default)]
struct Model {
    now: State,
    /// What a crash would leave.
    durable: State,
    /// Every state since the store was opened.
    history: BTreeMap<Revision, State>,
    writes: usize,
}

impl Model {
    /// The writes to try, and what they must lead to if all of them are allowed.
    fn plan(&mut self, attempts: &[Attempt], from: Revision) -> (Vec<Write>, Option<Vec<State>>) {
        let (mut state, mut states, mut allowed) = (self.now.clone(), Vec::new(), true);
        let mut revision = from;
        let mut writes = Vec::new();
        for attempt in attempts {
            self.writes += 1;
            revision = Revision::new(revision.get() + 1);
            let (key, value) = (KEYS[attempt.key], self.writes.to_string());
            let current = state.get(key).map(|(_, modified)| *modified);
            writes.push(attempt.write(current, &value));
            allowed &= attempt.is_allowed(current);
            match attempt.action {
                Action::Delete(_) => drop(state.remove(key)),
                _ => drop(state.insert(key.into(), (value, revision))),
            }
            states.push(state.clone());
        }
        (writes, allowed.then_some(states))
    }

    fn accept(&mut self, attempts: &[Attempt], states: Vec<State>, from: Revision) {
        for ((attempt, state), n) in attempts.iter().zip(states).zip(1..) {
            let key = KEYS[attempt.key];
            if !attempt.soft {
                match state.get(key) {
                    Some(entry) => drop(self.durable.insert(key.into(), entry.clone())),
                    None => drop(self.durable.remove(key)),
                }
            }
            self.now = state.clone();
            self.history.insert(Revision::new(from.get() + n), state);
        }
    }

    fn restart(&mut self, state: State, at: Revision) {
        self.now = state.clone();
        self.durable = state.clone();
        self.history = BTreeMap::from([(at, state)]);
    }
}

impl Attempt {
    fn write(&self, current: Option<Revision>, value: &str) -> Write {
        let precondition = |guess| match (guess, current) {
            (Guess::None, _) => Precondition::Exists,
            (Guess::Right, Some(revision)) => Precondition::Unchanged(revision),
            (Guess::Right | Guess::Wrong, _) => Precondition::Unchanged(Revision::new(u64::MAX)),
        };
        let key = KEYS[self.key];
        let write = match self.action {
            Action::Create => Write::create(key, bytes(value)),
            Action::Update(guess) => Write::update(key, bytes(value), precondition(guess)),
            Action::Delete(guess) => Write::delete(key, precondition(guess)),
        };
        if self.soft { write.soft() } else { write }
    }

    fn is_allowed(&self, current: Option<Revision>) -> bool {
        match self.action {
            Action::Create => current.is_none(),
            Action::Update(guess) | Action::Delete(guess) => {
                current.is_some() && !matches!(guess, Guess::Wrong)
            }
        }
    }
}

fn shown<'a>(entries: impl Iterator<Item = &'a Entry>) -> State {
    entries.map(|entry| (entry.key().to_owned(), (text(entry), entry.modified()))).collect()
}

fn in_scope(state: &State, scope: &str) -> State {
    let inside = |key: &&String| if scope.ends_with('/') { key.starts_with(scope) } else { *key == scope };
    state.iter().filter(|(key, _)| inside(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn check_snapshot(snapshot: &Snapshot, state: &State, scope: &str) {
    let expected = in_scope(state, scope);
    assert_eq!(shown(snapshot.iter()), expected);
    for key in KEYS {
        let rest: State = expected.range(key.to_owned()..).filter(|(k, _)| *k != key).map(clone).collect();
        assert_eq!(shown(snapshot.iter_after(key)), rest, "after {key}");
    }
}

fn clone((key, value): (&String, &(String, Revision))) -> (String, (String, Revision)) {
    (key.clone(), value.clone())
}

/// Every past state can be listed, and watching from it leads to the present one.
async fn check(store: &Store, model: &Model) {
    let (newest, now) = model.history.last_key_value().unwrap();
    assert_eq!(store.revision(), *newest);
    for (revision, state) in &model.history {
        for scope in SCOPES {
            check_snapshot(&store.snapshot_at(scope, *revision).unwrap(), state, scope);
            let mut replayed = in_scope(state, scope);
            if replayed != in_scope(now, scope) {
                replay(store, scope, *revision, &mut replayed).await;
            }
            assert_eq!(replayed, in_scope(now, scope), "watching {scope} after {revision}");
        }
    }
}

async fn replay(store: &Store, scope: &str, after: Revision, state: &mut State) {
    for event in store.watch(scope, after).unwrap().next().await.unwrap() {
        let before = match event.entry() {
            Some(entry) => state.insert(entry.key().into(), (text(entry), entry.modified())),
            None => state.remove(event.key()),
        };
        assert_eq!(before, event.previous().map(|entry| (text(entry), entry.modified())));
    }
}

async fn run(steps: Vec<Step>) {
    let mut place = Place::on_disk();
    let mut store = place.open();
    let mut model = Model::default();
    model.restart(State::new(), store.revision());
    for step in steps {
        match step {
            Step::Write(attempts) => write(&store, &mut model, &attempts).await,
            Step::CleanRestart => {
                let before = store.revision();
                store.stop().await.unwrap();
                store = place.open();
                assert_eq!(store.revision(), before);
                model.restart(model.now.clone(), before);
            }
            Step::Crash => {
                let before = store.revision();
                place = place.crashed();
                store = place.open();
                assert!(store.revision() >= before);
                model.restart(model.durable.clone(), store.revision());
            }
        }
        check(&store, &model).await;
    }
}

async fn write(store: &Store, model: &mut Model, attempts: &[Attempt]) {
    let from = store.revision();
    let (writes, states) = model.plan(attempts, from);
    match (store.write_all(writes).await, states) {
        (Ok(events), Some(states)) => {
            assert_eq!(events.len(), attempts.len());
            model.accept(attempts, states, from);
        }
        (
            Err(WriteError::Exists { .. } | WriteError::NotFound { .. } | WriteError::Conflict { .. }),
            None,
        ) => {}
        (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_as_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(steps));
    }
}
