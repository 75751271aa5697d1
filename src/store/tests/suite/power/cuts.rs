//! A thousand power cuts: while the store is made, opened, written by several at once, backed up, stopped and restored.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use store::{Config, OpenError, Revision, Store};
use tokio::task::JoinSet;

use super::disk::Dice;
use super::mount::{Plan, Power};
use super::writer::Writer;
use crate::apart::{directory, is_root, run};

/// More by hand: `STORE_POWER_CUTS=100000 STORE_POWER_SEED=7 cargo test -p store --test suite power`.
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

fn apart(child: &str) {
    if is_root() {
        run(&["unshare", "--mount"], "true", &format!("power::cuts::{child}"));
    }
}

/// Two folders deep, neither of which is there at first.
fn config(disk: &Path) -> Config {
    let backup_every = Duration::from_millis(20);
    Config { backup_every, ..Config::new(disk.join("server/db")) }
}

/// Early cuts hit the opening, late ones everything else.
fn cut(dice: &mut Dice) -> Plan {
    let reach = [6, 40, 200][usize::try_from(dice.roll(3)).unwrap()];
    Plan::Cut(1 + dice.roll(reach))
}

/// How far the rounds came before the power went.
#[derive(Debug, Default)]
struct Reached {
    opening: u64,
    writing: u64,
    stopping: u64,
    idle: u64,
    backups: u64,
}

struct Rounds {
    disk: PathBuf,
    power: Power,
    dice: Dice,
    writers: Vec<Writer>,
    reached: Reached,
}

impl Rounds {
    async fn round(&mut self) {
        self.power.plan(cut(&mut self.dice));
        match Store::open(&config(&self.disk)) {
            Ok((store, restored)) => {
                assert!(restored.is_none(), "nothing was damaged: {restored:?}");
                self.check(&store);
                self.write(&store).await;
            }
            Err(error) => {
                assert!(self.power.is_off(), "{error:?}");
                self.reached.opening += 1;
            }
        }
        self.power.cycle();
    }

    fn check(&mut self, store: &Store) {
        let newest = self.writers.iter().map(|writer| writer.newest).max().unwrap();
        assert!(store.revision() >= newest, "{} was given out, this is {}", newest, store.revision());
        self.writers.iter_mut().for_each(|writer| writer.check(store));
    }

    /// Until the power goes or each has written some; then the store is stopped, which may be cut off too.
    async fn write(&mut self, store: &Store) {
        let mut running = JoinSet::new();
        for writer in self.writers.drain(..) {
            running.spawn(writer.write(store.clone(), self.dice.roll(5)));
        }
        let (writers, results): (Vec<_>, Vec<_>) = running.join_all().await.into_iter().unzip();
        let refused = results.into_iter().find_map(Result::err);
        assert!(refused.is_none() || self.power.is_off(), "{refused:?}");
        self.writers = writers;
        let dark = self.power.is_off();
        let stopped = store.stop().await;
        assert!(stopped.is_ok() || self.power.is_off(), "{stopped:?}");
        match (dark, self.power.is_off()) {
            (true, _) => self.reached.writing += 1,
            (false, true) => self.reached.stopping += 1,
            (false, false) => self.reached.idle += 1,
        }
    }

    /// Every backup that has its name is whole; once there was one, there is one.
    fn check_backups(&mut self) {
        let folder = config(&self.disk).directory;
        let backups = ["backup.db", "backup.old.db"].map(|name| folder.join(name));
        let mut found = 0;
        for backup in backups.iter().filter(|path| path.exists()) {
            let copy = tempfile::tempdir().unwrap();
            fs::copy(backup, copy.path().join("store.db")).unwrap();
            let (store, _) = Store::open(&Config::new(copy.path())).unwrap();
            self.writers.iter().for_each(|writer| writer.check_backup(&store));
            found += 1;
        }
        assert!(found > 0 || self.reached.backups == 0, "all backups are lost");
        self.reached.backups += found;
    }
}

#[test]
fn a_thousand_power_cuts_lose_nothing_that_was_answered() {
    apart("cut_a_thousand_times");
}

#[tokio::test]
#[ignore = "started by the test of power cuts, where it may mount"]
async fn cut_a_thousand_times() {
    let seed = setting("STORE_POWER_SEED", 1);
    let power = Power::mount(&directory(), seed);
    let (writers, reached) = (Writer::all(), Reached::default());
    let mut rounds = Rounds { disk: directory(), power, dice: Dice(seed), writers, reached };
    for round in 0..setting("STORE_POWER_CUTS", 1000) {
        println!("seed {seed} round {round}");
        rounds.round().await;
        if round % 8 == 0 {
            rounds.check_backups();
        }
    }
    let Reached { opening, writing, stopping, idle, backups } = rounds.reached;
    println!("{opening} opening, {writing} writing, {stopping} stopping, {idle} idle, {backups} backups");
    assert!(opening.min(writing).min(stopping).min(idle).min(backups) > 20, "one was hardly met");
}

#[test]
fn a_power_cut_while_the_store_is_made_leaves_one_that_opens() {
    apart("cut_while_it_is_made");
}

/// At each of its steps, some times each.
#[tokio::test]
#[ignore = "started by the test of the first start, where it may mount"]
async fn cut_while_it_is_made() {
    let power = Power::mount(&directory(), 1);
    let steps = steps_of_making(&power).await;
    for at in (1..=steps).flat_map(|at| [at; 3]) {
        power.format();
        power.plan(Plan::Cut(at));
        let mut writers = Writer::all();
        let mut writer = writers.remove(0);
        if let Ok((store, _)) = Store::open(&config(&directory())) {
            (writer, _) = writer.write(store.clone(), 3).await;
            drop(store.stop().await);
        }
        power.cycle();
        let (store, restored) = Store::open(&config(&directory())).unwrap_or_else(|e| panic!("{at}: {e:?}"));
        assert!(restored.is_none(), "cut at step {at}: {restored:?}");
        writer.check(&store);
        store.stop().await.unwrap();
    }
}

async fn steps_of_making(power: &Power) -> u64 {
    power.plan(Plan::Nothing);
    let (store, _) = Store::open(&config(&directory())).unwrap();
    let (_, done) = Writer::all().remove(0).write(store.clone(), 3).await;
    done.unwrap();
    store.stop().await.unwrap();
    power.steps()
}

#[test]
fn a_power_cut_during_a_restore_is_restored_again() {
    apart("cut_during_a_restore");
}

/// A cleanly stopped store, so that the backup holds everything, whose file is damaged then.
async fn damaged(power: &Power) -> (Writer, Revision) {
    power.format();
    let (store, _) = Store::open(&config(&directory())).unwrap();
    let (writer, done) = Writer::all().remove(0).write(store.clone(), 5).await;
    done.unwrap();
    store.stop().await.unwrap();
    let newest = store.revision();
    // Or the log that the stop removed may come back, and with it everything that is damaged here.
    fs::File::open(config(&directory()).directory).unwrap().sync_all().unwrap();
    let database = fs::File::create(config(&directory()).directory.join("store.db")).unwrap();
    database.write_all_at(&[0x55; 9000], 0).and_then(|()| database.sync_all()).unwrap();
    power.plan(Plan::Nothing);
    (writer, newest)
}

#[tokio::test]
#[ignore = "started by the test of restores, where it may mount"]
async fn cut_during_a_restore() {
    let power = Power::mount(&directory(), 1);
    damaged(&power).await;
    let (store, _) = Store::open(&config(&directory())).unwrap();
    let steps = power.steps();
    store.stop().await.unwrap();
    for at in (1..=steps).flat_map(|at| [at; 4]) {
        let (mut writer, newest) = damaged(&power).await;
        power.plan(Plan::Cut(at));
        let cut = Store::open(&config(&directory())).map(drop);
        let Err(error) = cut else { panic!("step {at} of {steps} was not reached") };
        assert!(!matches!(error, OpenError::Damaged { .. }), "{error:?}");
        power.cycle();
        let (store, _) = Store::open(&config(&directory())).unwrap_or_else(|e| panic!("{at}: {e:?}"));
        assert!(store.revision() > newest, "a revision could come twice");
        writer.check(&store);
        store.stop().await.unwrap();
    }
}
