//! One battery over all backends.

use std::collections::BTreeSet;
use std::time::Duration;

use store::{
    Change, Limits, Precondition, Revision, RevisionError, Store, Value, WatchError, Write, WriteError,
};

use crate::place::{Place, bytes, keys, text};

macro_rules! battery {
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(#[tokio::test] async fn $name() { super::$name(super::Place::in_memory()).await })* }
        mod on_disk { $(#[tokio::test] async fn $name() { super::$name(super::Place::on_disk()).await })* }
    };
}

battery![
    a_key_is_created_once,
    an_update_compares_revisions,
    a_delete_compares_revisions,
    several_writes_are_one,
    a_snapshot_stays_as_it_was,
    any_revision_of_the_window_can_be_listed,
    a_list_goes_on_after_a_key,
    a_watch_resumes_in_the_past_and_goes_on,
    a_watch_sees_its_scope_only,
    a_slow_watch_is_told_and_a_quiet_one_is_not,
    a_watch_knows_how_far_it_is,
    racing_increments_all_count,
    more_than_the_queue_holds_gets_through,
    a_stopped_store_still_reads,
    a_clean_stop_keeps_everything,
    a_crash_keeps_what_is_durable,
    soft_deletes_survive_a_clean_stop_only,
    revisions_never_repeat_across_crashes,
    time_removes_what_is_due,
    a_renewed_value_outlives_its_first_deadline,
    a_deadline_survives_a_restart,
];

async fn create(store: &Store, key: &str, value: &str) -> Revision {
    store.write(Write::create(key, bytes(value))).await.unwrap().revision()
}

async fn update(store: &Store, key: &str, value: &str) -> Revision {
    store.write(Write::update(key, bytes(value), Precondition::Exists)).await.unwrap().revision()
}

async fn delete(store: &Store, key: &str) -> Revision {
    store.write(Write::delete(key, Precondition::Exists)).await.unwrap().revision()
}

async fn a_key_is_created_once(place: Place) {
    let store = place.open();
    let event = store.write(Write::create("/a/1", bytes("one"))).await.unwrap();
    assert!(matches!(event.change(), Change::Created(entry) if text(entry) == "one"));
    let refused = store.write(Write::create("/a/1", bytes("two"))).await.unwrap_err();
    let WriteError::Exists { current } = refused else { panic!("{refused}") };
    assert_eq!((text(&current), current.modified()), ("one".into(), event.revision()));
    assert_eq!(text(&store.get("/a/1").unwrap()), "one");
    assert_eq!(store.revision(), event.revision());
    assert!(store.get("/a/2").is_none());
}

async fn an_update_compares_revisions(place: Place) {
    let store = place.open();
    let first = create(&store, "/a/1", "one").await;
    let swap = |value, at| Write::update("/a/1", bytes(value), Precondition::Unchanged(at));
    let event = store.write(swap("two", first)).await.unwrap();
    assert_eq!(event.previous().map(text).as_deref(), Some("one"));
    let refused = store.write(swap("three", first)).await.unwrap_err();
    assert!(matches!(refused, WriteError::Conflict { current } if text(&current) == "two"));
    let entry = store.get("/a/1").unwrap();
    assert_eq!((entry.created(), entry.modified()), (first, event.revision()));
    let absent = Write::update("/a/2", bytes(""), Precondition::Exists);
    assert!(matches!(store.write(absent).await, Err(WriteError::NotFound { key }) if &*key == "/a/2"));
}

async fn a_delete_compares_revisions(place: Place) {
    let store = place.open();
    let first = create(&store, "/a/1", "one").await;
    let second = update(&store, "/a/1", "two").await;
    let stale = Write::delete("/a/1", Precondition::Unchanged(first));
    assert!(matches!(store.write(stale).await, Err(WriteError::Conflict { .. })));
    let event = store.write(Write::delete("/a/1", Precondition::Unchanged(second))).await.unwrap();
    assert!(event.revision() > second && event.entry().is_none());
    assert!(store.get("/a/1").is_none());
    let gone = Write::delete("/a/1", Precondition::Exists);
    assert!(matches!(store.write(gone).await, Err(WriteError::NotFound { .. })));
    let again = create(&store, "/a/1", "three").await;
    assert_eq!(store.get("/a/1").unwrap().created(), again);
}

async fn several_writes_are_one(place: Place) {
    let store = place.open();
    let before = store.revision();
    let half = vec![Write::create("/a/1", bytes("")), Write::delete("/a/2", Precondition::Exists)];
    assert!(matches!(store.write_all(half).await, Err(WriteError::NotFound { .. })));
    assert!(store.get("/a/1").is_none());
    assert_eq!(store.revision(), before);
    let whole = vec![
        Write::create("/a/1", bytes("one")),
        Write::update("/a/1", bytes("two"), Precondition::Exists),
        Write::create("/a/2", bytes("")),
    ];
    let events = store.write_all(whole).await.unwrap();
    assert!(events.is_sorted_by(|a, b| a.revision() < b.revision()));
    assert_eq!(store.revision(), events[2].revision());
    assert_eq!(text(&store.get("/a/1").unwrap()), "two");
    let between = store.snapshot_at("/a/", events[0].revision()).unwrap();
    assert_eq!(between.iter().map(text).collect::<Vec<_>>(), ["one"]);
}

async fn a_snapshot_stays_as_it_was(place: Place) {
    let store = place.open();
    create(&store, "/a/1", "one").await;
    let snapshot = store.snapshot("/a/");
    update(&store, "/a/1", "two").await;
    create(&store, "/a/2", "").await;
    assert_eq!(snapshot.iter().map(text).collect::<Vec<_>>(), ["one"]);
    assert!(snapshot.revision() < store.revision());
}

async fn any_revision_of_the_window_can_be_listed(place: Place) {
    let store = place.open_with(Limits { events: 4, ..Limits::default() });
    let mut history = vec![(create(&store, "/a/1", "one").await, vec!["one"])];
    history.push((create(&store, "/a/2", "two").await, vec!["one", "two"]));
    history.push((update(&store, "/a/1", "ONE").await, vec!["ONE", "two"]));
    history.push((delete(&store, "/a/2").await, vec!["ONE"]));
    create(&store, "/b/1", "elsewhere").await;
    for (revision, values) in history {
        let snapshot = store.snapshot_at("/a/", revision).unwrap();
        assert_eq!(snapshot.iter().map(text).collect::<Vec<_>>(), values);
        assert_eq!(snapshot.revision(), revision);
    }
    let oldest = create(&store, "/b/2", "").await;
    let refused = store.snapshot_at("/a/", Revision::FIRST).unwrap_err();
    assert!(matches!(refused, RevisionError::Compacted { oldest } if oldest > Revision::FIRST));
    let future = store.snapshot_at("/a/", Revision::new(oldest.get() + 1)).unwrap_err();
    assert_eq!(future, RevisionError::Future { current: oldest });
}

async fn a_list_goes_on_after_a_key(place: Place) {
    let store = place.open();
    for key in ["/pods/a/1", "/pods/a/2", "/pods/a/3", "/pods/a-b/1", "/pods/b/1", "/podsets/a/1", "/pods"] {
        create(&store, key, "").await;
    }
    let all = store.snapshot("/pods/");
    assert_eq!(keys(&all), ["/pods/a-b/1", "/pods/a/1", "/pods/a/2", "/pods/a/3", "/pods/b/1"]);
    let namespace = store.snapshot("/pods/a/");
    let after = |key| namespace.iter_after(key).map(|entry| entry.key().to_owned()).collect::<Vec<_>>();
    assert_eq!(after("/pods/a/1"), ["/pods/a/2", "/pods/a/3"]);
    assert_eq!(after("/pods/a/2x"), ["/pods/a/3"]);
    assert_eq!(after(""), ["/pods/a/1", "/pods/a/2", "/pods/a/3"]);
    assert!(after("/pods/b/1").is_empty() && after("/pods/a0").is_empty() && after("~").is_empty());
    assert_eq!(keys(&store.snapshot("/pods/a/2")), ["/pods/a/2"]);
    assert!(keys(&store.snapshot("/pods/a/4")).is_empty());
}

async fn a_watch_resumes_in_the_past_and_goes_on(place: Place) {
    let store = place.open();
    let first = create(&store, "/a/1", "one").await;
    update(&store, "/a/1", "two").await;
    delete(&store, "/a/1").await;
    let mut watch = store.watch("/a/", first).unwrap();
    let past = watch.next().await.unwrap();
    assert!(matches!(past[0].change(), Change::Updated { entry, previous }
        if text(entry) == "two" && text(previous) == "one"));
    assert!(matches!(past[1].change(), Change::Deleted { previous, .. } if text(previous) == "two"));
    assert_eq!(past.len(), 2);
    let (event, written) = tokio::join!(watch.next(), create(&store, "/a/2", ""));
    assert_eq!(event.unwrap()[0].revision(), written);
    let future = Revision::new(written.get() + 1);
    assert_eq!(store.watch("/a/", future).unwrap_err(), RevisionError::Future { current: written });
}

async fn a_watch_sees_its_scope_only(place: Place) {
    let store = place.open();
    let start = store.revision();
    let mut kind = store.watch("/pods/", start).unwrap();
    let mut namespace = store.watch("/pods/a/", start).unwrap();
    let mut single = store.watch("/pods/a/1", start).unwrap();
    for key in ["/pods/b/1", "/nodes/1", "/pods/a/10", "/pods/a-b/1", "/pods/a/1"] {
        create(&store, key, "").await;
    }
    let seen = |events: Vec<store::Event>| events.iter().map(|e| e.key().to_owned()).collect::<Vec<_>>();
    let kind = seen(kind.next().await.unwrap());
    assert_eq!(kind, ["/pods/b/1", "/pods/a/10", "/pods/a-b/1", "/pods/a/1"]);
    assert_eq!(seen(namespace.next().await.unwrap()), ["/pods/a/10", "/pods/a/1"]);
    assert_eq!(seen(single.next().await.unwrap()), ["/pods/a/1"]);
}

async fn a_slow_watch_is_told_and_a_quiet_one_is_not(place: Place) {
    let store = place.open_with(Limits { events: 3, ..Limits::default() });
    let start = store.revision();
    let mut slow = store.watch("/busy/", start).unwrap();
    let mut quiet = store.watch("/quiet/", start).unwrap();
    for n in 0..5 {
        create(&store, &format!("/busy/{n}"), "").await;
    }
    let told = slow.next().await.unwrap_err();
    let WatchError::Compacted { oldest } = told else { panic!("{told}") };
    assert!(store.watch("/busy/", oldest).unwrap().next().await.is_ok_and(|events| events.len() == 3));
    assert!(matches!(store.watch("/busy/", start), Err(RevisionError::Compacted { .. })));
    let (event, written) = tokio::join!(quiet.next(), create(&store, "/quiet/1", ""));
    assert_eq!(event.unwrap()[0].revision(), written);
}

async fn a_watch_knows_how_far_it_is(place: Place) {
    let store = place.open();
    let start = store.revision();
    let mut watch = store.watch("/a/", start).unwrap();
    let elsewhere = create(&store, "/b/1", "").await;
    assert_eq!(watch.progress(), elsewhere);
    let here = create(&store, "/a/1", "").await;
    assert_eq!(watch.progress(), elsewhere, "an event that was not handed out is not passed over");
    watch.next().await.unwrap();
    assert_eq!(watch.progress(), here);
}

async fn racing_increments_all_count(place: Place) {
    let store = place.open();
    create(&store, "/counter", "0").await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        racers.spawn(async move {
            for _ in 0..20 {
                increment(&store).await;
            }
        });
    }
    racers.join_all().await;
    assert_eq!(text(&store.get("/counter").unwrap()), "320");
}

async fn increment(store: &Store) {
    let mut current = store.get("/counter").unwrap();
    loop {
        let next = (text(&current).parse::<u32>().unwrap() + 1).to_string();
        let swap = Write::update("/counter", bytes(&next), Precondition::Unchanged(current.modified()));
        match store.write(swap).await {
            Ok(_) => return,
            Err(WriteError::Conflict { current: newer }) => current = newer,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn more_than_the_queue_holds_gets_through(place: Place) {
    let store = place.open();
    let mut writers = tokio::task::JoinSet::new();
    let large = bytes(&"x".repeat(3 << 20));
    for n in 0..8 {
        let (store, large) = (store.clone(), large.clone());
        writers.spawn(async move { store.write(Write::create(format!("/large/{n}"), large)).await.unwrap() });
    }
    let huge = Write::create("/large/huge", bytes(&"x".repeat(9 << 20)));
    assert!(store.write(huge).await.is_ok());
    writers.join_all().await;
    assert_eq!(store.snapshot("/large/").iter().count(), 9);
}

async fn a_stopped_store_still_reads(place: Place) {
    let store = place.open();
    create(&store, "/a/1", "one").await;
    let mut watch = store.watch("/a/", store.revision()).unwrap();
    let (ended, stopped) = tokio::join!(watch.next(), store.stop());
    assert_eq!(ended.unwrap_err(), WatchError::Stopped);
    stopped.unwrap();
    assert!(matches!(store.write(Write::create("/a/2", bytes(""))).await, Err(WriteError::Stopped)));
    assert_eq!(text(&store.get("/a/1").unwrap()), "one");
    let mut late = store.watch("/a/", store.revision()).unwrap();
    assert_eq!(late.next().await.unwrap_err(), WatchError::Stopped);
    store.stop().await.unwrap();
}

async fn a_clean_stop_keeps_everything(place: Place) {
    let store = place.open();
    create(&store, "/a/1", "durable").await;
    store.write(Write::create("/a/2", bytes("soft")).soft()).await.unwrap();
    update(&store, "/a/1", "again").await;
    let before = store.snapshot("/a/");
    store.stop().await.unwrap();
    let store = place.open();
    assert!(store.snapshot("/a/").iter().eq(before.iter()));
    assert_eq!(store.revision(), before.revision());
    assert!(store.watch("/a/", before.revision()).is_ok(), "a client resumes as if nothing had happened");
}

async fn a_crash_keeps_what_is_durable(place: Place) {
    let store = place.open();
    create(&store, "/a/1", "one").await;
    store.write(Write::update("/a/1", bytes("soft"), Precondition::Exists).soft()).await.unwrap();
    store.write(Write::create("/a/2", bytes("soft")).soft()).await.unwrap();
    store.write(Write::create("/a/3", bytes("soft")).soft()).await.unwrap();
    update(&store, "/a/3", "durable").await;
    create(&store, "/a/4", "").await;
    delete(&store, "/a/4").await;
    let restarted = place.crashed().open();
    let values: Vec<String> = restarted.snapshot("/a/").iter().map(text).collect();
    assert_eq!(values, ["one", "durable"]);
}

async fn soft_deletes_survive_a_clean_stop_only(place: Place) {
    let store = place.open();
    create(&store, "/a/1", "one").await;
    store.write(Write::delete("/a/1", Precondition::Exists).soft()).await.unwrap();
    assert_eq!(keys(&place.crashed().open().snapshot("/a/")), ["/a/1"]);
    store.stop().await.unwrap();
    assert!(keys(&place.open().snapshot("/a/")).is_empty());
}

async fn revisions_never_repeat_across_crashes(mut place: Place) {
    let mut given = BTreeSet::new();
    for round in 0..4 {
        let store = place.open();
        assert!(given.last().is_none_or(|last| *last <= store.revision()));
        for n in 0..3 {
            let write = Write::create(format!("/soft/{round}/{n}"), bytes("")).soft();
            assert!(given.insert(store.write(write).await.unwrap().revision()));
        }
        assert!(given.insert(create(&store, &format!("/durable/{round}"), "").await));
        place = place.crashed();
    }
    assert_eq!(place.open().snapshot("/durable/").iter().count(), 4);
}

fn good_for(seconds: u64) -> Value {
    Value::expiring(bytes("short"), Duration::from_secs(seconds))
}

async fn time_removes_what_is_due(place: Place) {
    let store = place.open();
    // From the beginning: a slow disk may take longer for a write than the values last.
    let mut watch = store.watch("/a/", store.revision()).unwrap();
    store.write(Write::create("/a/long", good_for(3600))).await.unwrap();
    store.write(Write::create("/a/1", good_for(1)).soft()).await.unwrap();
    store.write(Write::create("/a/2", good_for(1))).await.unwrap();
    let mut gone = Vec::new();
    while gone.len() < 2 {
        let events = watch.next().await.unwrap().into_iter();
        let removed = events.filter(|event| event.entry().is_none());
        gone.extend(removed.map(|event| event.key().to_owned()));
    }
    assert_eq!(gone, ["/a/1", "/a/2"]);
    assert_eq!(keys(&store.snapshot("/a/")), ["/a/long"]);
}

async fn a_renewed_value_outlives_its_first_deadline(place: Place) {
    let store = place.open();
    // Renewed in the same transaction, or a slow disk may let them end before.
    let renewed =
        |key: &str, value| [Write::create(key, good_for(1)), Write::update(key, value, Precondition::Exists)];
    let both = [renewed("/a/renewed", good_for(3600)), renewed("/a/unlimited", bytes("").into())];
    store.write_all(both.into_iter().flatten().collect()).await.unwrap();
    let witness = store.write(Write::create("/b/witness", good_for(1))).await.unwrap();
    store.watch("/b/", witness.revision()).unwrap().next().await.unwrap();
    assert_eq!(keys(&store.snapshot("/a/")), ["/a/renewed", "/a/unlimited"]);
}

async fn a_deadline_survives_a_restart(place: Place) {
    // With more time where a disk is so slow that it ends before the store is open again.
    for seconds in [1, 8, 64] {
        let store = place.open();
        store.write(Write::create("/a/1", good_for(seconds)).soft()).await.unwrap();
        store.stop().await.unwrap();
        let store = place.open();
        let mut watch = store.watch("/a/", store.revision()).unwrap();
        if store.get("/a/1").is_some() {
            assert_eq!(watch.next().await.unwrap()[0].key(), "/a/1");
            return assert!(store.get("/a/1").is_none());
        }
        store.stop().await.unwrap();
    }
    panic!("it was lost");
}
