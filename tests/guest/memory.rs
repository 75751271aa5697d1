//! `memory MIB`: takes that much memory, really (no page is zero or shared), and keeps it.

use std::hint::black_box;
use std::thread;

use crate::Outcome;
use crate::arguments::Arguments;

pub fn run(mut args: Arguments) -> Outcome {
    let mib: usize = args.positional("MIB")?;
    args.end()?;
    let held: Vec<Vec<u8>> = (0..mib).map(|_| black_box(vec![0xa5; 1 << 20])).collect();
    println!("holding {mib} MiB");
    loop {
        thread::park();
        black_box(&held);
    }
}
