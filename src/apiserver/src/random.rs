//! Random bytes from the kernel.

use ring::rand::{SecureRandom, SystemRandom};

/// The letters of generated names: no vowels, nothing that looks like another.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("since Linux 3.17 the kernel always has random bytes");
    bytes
}

/// The end of a generated name.
pub(crate) fn suffix() -> String {
    bytes::<5>().iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}
