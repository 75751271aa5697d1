//! The program's own code, in memory.
//!
//! A start runs much that never runs again, and the kernel maps the neighbours of each page that is touched: soon most of the
//! program counts as memory of this process. Once the process has settled, its code is unmapped. It stays in the page cache,
//! which is the kernel's to reclaim, and what runs again is mapped again, at a fault per 64 kB. Measured with a control plane
//! without nodes: PSS of 30.5 MB before and 16.6 after; 9.9 MB of code come back under requests.

#![expect(unsafe_code, reason = "where the program lies in memory is told by the C library")]

use std::ffi::{c_int, c_void};
use std::io;
use std::time::Duration;

/// After the start: then the first lists are read, and the pods of a node run.
pub(crate) const SETTLED: Duration = Duration::from_secs(5);

/// Unmaps the program's code and constants until they are used again.
pub(crate) fn unmap() {
    // SAFETY: `unmap_program` takes what it is given as the C library describes it, and is not called after this.
    unsafe { libc::dl_iterate_phdr(Some(unmap_program), std::ptr::null_mut()) };
}

/// Called for the program first; one that is linked statically has nothing else.
unsafe extern "C" fn unmap_program(program: *mut libc::dl_phdr_info, _: usize, _: *mut c_void) -> c_int {
    // SAFETY: the C library holds both for the length of the call.
    let (base, segments) = unsafe {
        let libc::dl_phdr_info { dlpi_addr, dlpi_phdr, dlpi_phnum, .. } = *program;
        (dlpi_addr, std::slice::from_raw_parts(dlpi_phdr, usize::from(dlpi_phnum)))
    };
    for segment in segments {
        let is_read_only = segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0;
        let place = (usize::try_from(base + segment.p_vaddr), usize::try_from(segment.p_memsz));
        if let (true, (Ok(start), Ok(size))) = (is_read_only, place) {
            unmap_segment(start, size);
        }
    }
    // Other than zero: that was enough.
    1
}

fn unmap_segment(start: usize, size: usize) {
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let into_page = start % page;
    let first: *mut c_void = std::ptr::with_exposed_provenance_mut(start - into_page);
    // SAFETY: pages of a file that are mapped privately and cannot be written to are read from the file again.
    if unsafe { libc::madvise(first, size + into_page, libc::MADV_DONTNEED) } != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "the program's code stays mapped");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
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
        let before = resident();
        unmap();
        let after = resident();
        assert!(after < before, "{after} kB of {before} kB are still mapped");
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
