//! Prints what the store costs: `cargo bench -p store`, optionally `-- DIRECTORY` on the disk to be measured.
#![expect(clippy::unwrap_used, reason = "a failed measurement is no figure")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{Config, Limits, Precondition, Store, Write};
use tokio::task::JoinSet;

const WRITERS: usize = 32;
const VALUE: usize = 1024;

/// Figures in one row share a directory.
const FIGURES: [&[&str]; 6] = [
    &["fill 1000", "open 1000"],
    &["fill 10000", "open 10000"],
    &["fill 50000", "open 50000"],
    &["throughput"],
    &["watchers"],
    &["idle"],
];

/// Each figure in a process of its own: memory that one has freed must not serve the next.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [] => run_all(&std::env::temp_dir()),
        [base] => run_all(Path::new(base)),
        [directory, figure, ..] => print(figure, Path::new(directory)),
    }
}

fn run_all(base: &Path) {
    for row in FIGURES {
        let directory = tempfile::tempdir_in(base).unwrap();
        for figure in row {
            let mut this = Command::new(std::env::current_exe().unwrap());
            assert!(this.arg(directory.path()).arg(figure).status().unwrap().success());
        }
    }
}

fn print(figure: &str, directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match figure.split_once(' ') {
        Some(("fill", count)) => runtime.block_on(filling(directory, count.parse().unwrap())),
        Some((_, count)) => opening(directory, count.parse().unwrap()),
        None if figure == "throughput" => runtime.block_on(throughput(directory)),
        None if figure == "watchers" => runtime.block_on(watchers(directory)),
        None => runtime.block_on(idle(directory)),
    }
}

async fn filling(directory: &Path, count: usize) {
    println!("{count} entries of {VALUE} bytes");
    let (store, _) = Store::open(&Config::new(directory)).unwrap();
    let before = resident();
    let start = Instant::now();
    fill(&store, count).await;
    let took = start.elapsed();
    println!("  filled in {took:.1?}; resident {} bytes per entry", (resident() - before) / count);
    let start = Instant::now();
    store.stop().await.unwrap();
    println!("  clean stop with backup in {:.1?}", start.elapsed());
    for (name, bytes) in sizes(directory) {
        println!("  {name}: {} KiB", bytes / 1024);
    }
}

fn opening(directory: &Path, count: usize) {
    let before = resident();
    let start = Instant::now();
    let (store, _) = Store::open(&Config::new(directory)).unwrap();
    println!("  opened in {:.1?}, from the page cache", start.elapsed());
    println!("  resident {} bytes per entry after a restart", (resident() - before) / count);
    let start = Instant::now();
    let listed =
        store.snapshot("/registry/configmaps/").iter().map(|entry| entry.value().len()).sum::<usize>();
    println!("  listed {listed} bytes in {:.1?}", start.elapsed());
}

async fn fill(store: &Store, count: usize) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for n in (writer..count).step_by(WRITERS) {
                store.write(Write::create(key(n), value())).await.unwrap();
            }
        });
    }
    writers.join_all().await;
}

fn key(n: usize) -> String {
    format!("/registry/configmaps/namespace-{}/configuration-{n}", n % 20)
}

/// A buffer of its own each time, as the API server makes one.
fn value() -> Bytes {
    Bytes::from(vec![b'x'; VALUE])
}

async fn throughput(directory: &Path) {
    let (store, _) = Store::open(&Config::new(directory)).unwrap();
    println!("{WRITERS} concurrent clients, {VALUE}-byte values");
    let written = written_bytes();
    per_second("durable creates", &store, |store, n| async move {
        store.write(Write::create(key(n), value())).await.unwrap();
    })
    .await;
    let entries = store.snapshot("/").iter().count() as u64;
    println!("  bytes to the disk per create: {}", (written_bytes() - written) / entries);
    per_second("durable updates", &store, |store, n| async move {
        store.write(Write::update(key(n % 1000), value(), Precondition::Exists)).await.unwrap();
    })
    .await;
    per_second("soft updates", &store, |store, n| async move {
        store.write(Write::update(key(n % 1000), value(), Precondition::Exists).soft()).await.unwrap();
    })
    .await;
    per_second("gets", &store, |store, n| async move {
        for n in n * 100..(n + 1) * 100 {
            std::hint::black_box(store.get(&key(n % 1000)));
        }
    })
    .await;
    println!("    (each get counted is 100)");
}

async fn per_second<Work, Done>(what: &str, store: &Store, work: Work)
where
    Work: Fn(Store, usize) -> Done + Copy + Send + 'static,
    Done: Future<Output = ()> + Send,
{
    let length = Duration::from_secs(3);
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..WRITERS {
        let store = store.clone();
        clients.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < length {
                let begun = Instant::now();
                work(store.clone(), client + latencies.len() * WRITERS).await;
                latencies.push(begun.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<Duration> = clients.join_all().await.into_iter().flatten().collect();
    latencies.sort_unstable();
    let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
    let at = |share: usize| latencies[latencies.len() * share / 100];
    println!("  {what}: {rate:.0}/s, p50 {:.2?}, p99 {:.2?}", at(50), at(99));
}

/// A thousand watchers of one scope while it changes 500 times a second for five seconds.
async fn watchers(directory: &Path) {
    const CHANGES: usize = 2500;
    let (store, _) = Store::open(&Config::new(directory)).unwrap();
    store.write(Write::create(key(0), value())).await.unwrap();
    let start = store.revision();
    let mut watching = JoinSet::new();
    for _ in 0..1000 {
        let mut watch = store.watch("/registry/configmaps/", start).unwrap();
        watching.spawn(async move {
            let mut seen = 0;
            while seen < CHANGES {
                seen += watch.next().await.unwrap().len();
            }
        });
    }
    let before = processor_time();
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    for _ in 0..CHANGES {
        tick.tick().await;
        store.write(Write::update(key(0), value(), Precondition::Exists).soft()).await.unwrap();
    }
    watching.join_all().await;
    let share = (processor_time() - before).as_secs_f64() / 5.0 * 100.0;
    println!("1000 watchers, 500 changes/s: {share:.0} % of a core");
}

/// One minute of an idle node, twelve times as fast: a lease renewed sixty times.
async fn idle(directory: &Path) {
    let config = Config { limits: Limits::default(), ..Config::new(directory) };
    let (store, _) = Store::open(&config).unwrap();
    store.write(Write::create("/registry/leases/node", value())).await.unwrap();
    let before = written_bytes();
    let mut tick = tokio::time::interval(Duration::from_millis(80));
    for _ in 0..60 {
        tick.tick().await;
        store
            .write(Write::update("/registry/leases/node", value(), Precondition::Exists).soft())
            .await
            .unwrap();
    }
    println!("idle, 60 lease renewals: {} bytes written", written_bytes() - before);
}

fn sizes(directory: &Path) -> Vec<(String, u64)> {
    let file = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().len())
    };
    let mut sizes: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| file(entry.unwrap())).collect();
    sizes.sort();
    sizes
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn written_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap()
}
