//! `cpu [--threads N]`: keeps N (1) processors busy.

use std::hint::black_box;
use std::thread;

use crate::Outcome;
use crate::arguments::Arguments;

pub fn run(mut args: Arguments) -> Outcome {
    let threads: u64 = args.option("--threads")?.unwrap_or(1);
    args.end()?;
    for seed in 1..threads {
        thread::spawn(move || burn(seed));
    }
    println!("burning with {threads} threads");
    burn(0)
}

fn burn(mut value: u64) -> ! {
    loop {
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
