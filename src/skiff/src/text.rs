//! The program's own code, in memory.
//!
//! A start runs much that never runs again, and the kernel maps the neighbours of each page that is touched: soon most of the
//! program counts as memory of this process. Once the process has settled, its code is unmapped. It stays in the page cache,
//! which is the kernel's to reclaim, and what runs again is mapped again, at a fault per 64 kB. Measured with a control plane
//! without nodes: PSS of 30.5 MB before and 16.6 after; 9.9 MB of code come back under requests.

#![expect(unsafe_code, reason = "the pages of the program are named by symbols of the linker")]

use std::ffi::c_void;
use std::ptr::addr_of;
use std::time::Duration;

/// After the start: then the first lists are read, and the pods of a node run.
pub(crate) const SETTLED: Duration = Duration::from_secs(5);

unsafe extern "C" {
    // Of every linker: where the program begins in memory, and where its code ends. Nothing in between is ever written to.
    static __executable_start: u8;
    static etext: u8;
}

/// Unmaps the code until it is used again.
pub(crate) fn unmap() {
    let (start, end) = (addr_of!(__executable_start), addr_of!(etext));
    let length = end.addr().saturating_sub(start.addr());
    // SAFETY: pages of a file that are mapped privately and were not written to are read from the file again.
    let result = unsafe { libc::madvise(start.cast_mut().cast::<c_void>(), length, libc::MADV_DONTNEED) };
    if result != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "the program's code stays mapped");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::hint::black_box;
    use std::process::Command;

    use super::*;

    /// In a process of its own: code that other tests run meanwhile would count.
    #[test]
    fn code_is_unmapped_and_runs_again() {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "text::tests::unmaps", "--ignored"])
            .output()
            .unwrap();
        assert!(process.status.success(), "{}", String::from_utf8_lossy(&process.stdout));
    }

    #[test]
    #[ignore = "is run by the test above, in a process of its own"]
    fn unmaps() {
        touch();
        let before = resident();
        unmap();
        let after = resident();
        assert!(after * 2 < before, "{after} kB of {before} kB are still mapped");
        touch();
    }

    /// Reads a byte of each page of the code.
    fn touch() {
        let (start, end) = (addr_of!(__executable_start), addr_of!(etext));
        let pages = (0..end.addr() - start.addr()).step_by(4096);
        // SAFETY: all of it is mapped and readable.
        black_box(pages.map(|at| u64::from(unsafe { start.add(at).read_volatile() })).sum::<u64>());
    }

    /// How much of the code is mapped, in kB.
    fn resident() -> usize {
        let program = std::env::current_exe().unwrap();
        let mappings = fs::read_to_string("/proc/self/smaps").unwrap();
        let is_code = |line: &str| line.contains(" r-xp ") && line.ends_with(program.to_str().unwrap());
        let mut lines = mappings.lines().skip_while(|line| !is_code(line));
        let resident = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
