//! Each operation of a store's life fails once: it is told, nothing is lost, and the next try succeeds.

use store::{Config, OpenError, StorageError, Store, WriteError};

use super::mount::{Fault, Plan, Power};
use super::writer::Writer;
use crate::apart::{directory, is_root, run};

#[test]
fn a_disk_that_fails_once_anywhere_is_told_and_recovered_from() {
    if is_root() {
        run(&["unshare", "--mount"], "true", "power::faults::fail_everywhere");
    }
}

#[tokio::test]
#[ignore = "started by the test of faults, where it may mount"]
async fn fail_everywhere() {
    let power = Power::mount(&directory(), 1);
    live(&power, Plan::Nothing).await;
    let calls = power.calls();
    let mut told = 0;
    for at in 1..=calls {
        let fault = if at % 2 == 0 { Fault::Io } else { Fault::Full };
        power.format();
        let (mut writer, complaints) = live(&power, Plan::Fail(at, fault)).await;
        told += complaints;
        power.cycle();
        let (store, restored) = Store::open(&config()).unwrap_or_else(|e| panic!("operation {at}: {e:?}"));
        assert!(restored.is_none(), "operation {at}: {restored:?}");
        writer.check(&store);
        store.stop().await.unwrap();
    }
    println!("{calls} operations, {told} told");
    assert!(told > calls / 4, "only {told} of {calls} faults were told");
}

fn config() -> Config {
    Config::new(directory().join("server/db"))
}

/// Two lives of a store, each with writes and a clean stop. Answers how many complaints there were.
async fn live(power: &Power, plan: Plan) -> (Writer, u64) {
    power.plan(plan);
    let (mut writer, mut complaints) = (Writer::all().remove(0), 0);
    for _life in 0..2 {
        let store = match Store::open(&config()) {
            Ok((store, _)) => store,
            Err(error) => {
                assert!(!matches!(error, OpenError::Damaged { .. }), "{error:?}");
                complaints += 1;
                Store::open(&config()).unwrap().0
            }
        };
        writer.check(&store);
        for _write in 0..4 {
            let (again, done) = writer.write(store.clone(), 1).await;
            writer = again;
            if let Err(refused) = done {
                check_told(&refused);
                complaints += 1;
                let (again, done) = writer.write(store.clone(), 1).await;
                done.unwrap();
                writer = again;
            }
        }
        complaints += u64::from(store.stop().await.is_err());
    }
    (writer, complaints)
}

fn check_told(refused: &WriteError) {
    let WriteError::Storage(cause) = refused else { panic!("{refused:?}") };
    assert!(matches!(**cause, StorageError::Io(_) | StorageError::Full(_)), "{cause:?}");
}
