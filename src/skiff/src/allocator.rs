//! The memory allocator: mimalloc, told to return memory at once.
//!
//! Chosen by a load like an API server's, on two cores: 4 threads decode, clone and encode 72 000 Pods and free half of them on
//! another thread, then all but 2 MB is freed. BENCHMARKS.md has the figures of all that were tried.
//!
//! jemalloc is a little better but fixes the page size when it is compiled: a binary for 4 KiB pages does not start on the
//! 16 KiB pages of a Raspberry Pi 5. With a delay, memory is returned by a later call of the same thread, and on an idle
//! board that call never comes.
//!
//! Huge pages are refused, before the allocator maps its first arena: where the kernel gives them to all or to who asks (mimalloc
//! asks), a shim that holds 100 kB would own 4 MB. It is inherited; what starts containers takes it back (`oci`).

#![expect(
    unsafe_code,
    reason = "mimalloc's options are set through its C interface; a place among what runs before main"
)]

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay`, which the crate does not name; the test sees its effect.
const PURGE_DELAY: mi_option_t = 15;

/// Lower numbers run first, and C constructors without a number, as mimalloc's, last.
#[used]
#[unsafe(link_section = ".init_array.00101")]
static BEFORE_MAIN: extern "C" fn() = refuse_huge_pages;

extern "C" fn refuse_huge_pages() {
    // A kernel without huge pages need not be asked.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Gives freed memory back to the kernel as soon as its page is empty.
pub(crate) fn return_memory_at_once() {
    // SAFETY: sets one number; the option exists in this version of mimalloc.
    unsafe { mi_option_set(PURGE_DELAY, 0) };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::hint::black_box;
    use std::process::Command;

    use super::*;

    /// In a process of its own: what other tests allocate meanwhile would count.
    #[test]
    fn what_is_freed_goes_back_to_the_kernel() {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "allocator::tests::frees_much", "--ignored"])
            .output()
            .unwrap();
        assert!(process.status.success(), "{}", String::from_utf8_lossy(&process.stdout));
    }

    #[test]
    #[ignore = "is run by the test above, in a process of its own"]
    fn frees_much() {
        return_memory_at_once();
        let before = resident();
        let much: Vec<String> =
            (0..300_000_u32).map(|number| format!("an object with the number {number}")).collect();
        let meanwhile = resident();
        drop(black_box(much));
        let held = resident() - before;
        let used = meanwhile - before;
        assert!(held * 4 < used, "{held} kB of {used} kB are still held");
    }

    #[test]
    fn huge_pages_are_refused() {
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }

    /// The resident memory of this process in kB.
    fn resident() -> usize {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
