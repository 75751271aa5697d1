//! The return addresses on this thread's stack, relative to where the program was loaded.
//!
//! The release binary has no symbols, and `std`'s backtrace prints nothing for frames it cannot name. Relative addresses stay
//! the same from run to run, and the debug file that is kept with a release names them:
//! `addr2line -Cfie skiff.debug 0x1234 0x5678`.

#![expect(unsafe_code, reason = "the unwinder and the loader are asked through their C interfaces")]

use std::ffi::{c_int, c_void};
use std::fmt;
use std::ptr;

/// More frames than any sane stack of ours; bounds the report of a runaway recursion.
const MOST: usize = 64;

#[derive(Debug)]
pub(super) struct Backtrace(Vec<usize>);

pub(super) fn capture() -> Backtrace {
    let mut addresses: Vec<usize> = Vec::with_capacity(MOST);
    // SAFETY: `visit` is called during this call only, with the vector that lives around it.
    unsafe { _Unwind_Backtrace(visit, ptr::from_mut(&mut addresses).cast()) };
    let base = load_base();
    Backtrace(addresses.into_iter().map(|address| address.wrapping_sub(base)).collect())
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.0.iter().map(|address| format!("{address:#x}")).collect();
        f.write_str(&addresses.join(" "))
    }
}

// The unwinder that std links.
unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    #[cfg(not(target_arch = "arm"))]
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
    #[cfg(target_arch = "arm")]
    fn _Unwind_VRS_Get(
        frame: *mut c_void,
        class: c_int,
        register: u32,
        kind: c_int,
        value: *mut c_void,
    ) -> c_int;
}

const GO_ON: c_int = 0;
const END_OF_STACK: c_int = 5;

extern "C" fn visit(frame: *mut c_void, addresses: *mut c_void) -> c_int {
    // SAFETY: `capture` passes its vector, and nothing else uses it meanwhile.
    let addresses = unsafe { &mut *addresses.cast::<Vec<usize>>() };
    if addresses.len() == MOST {
        return END_OF_STACK;
    }
    // One less: a return address may belong to the line, or the function, after the call.
    addresses.push(instruction(frame).saturating_sub(1));
    GO_ON
}

#[cfg(not(target_arch = "arm"))]
fn instruction(frame: *mut c_void) -> usize {
    // SAFETY: the unwinder passed this frame.
    unsafe { _Unwind_GetIP(frame) }
}

/// The ARM unwinder has no `_Unwind_GetIP`: the address is in register 15, its lowest bit tells Thumb from ARM code.
#[cfg(target_arch = "arm")]
fn instruction(frame: *mut c_void) -> usize {
    const CORE: c_int = 0;
    const UINT32: c_int = 0;
    let mut address = 0_usize;
    // SAFETY: the unwinder passed this frame, and a core register fits the value.
    unsafe { _Unwind_VRS_Get(frame, CORE, 15, UINT32, ptr::from_mut(&mut address).cast()) };
    address & !1
}

/// What the loader added to the addresses in the file; 0 where it did not move the program.
fn load_base() -> usize {
    extern "C" fn first(object: *mut libc::dl_phdr_info, _: usize, base: *mut c_void) -> c_int {
        // SAFETY: the loader passes a valid object.
        let address = unsafe { (*object).dlpi_addr };
        // SAFETY: `load_base` passes a valid number.
        unsafe { *base.cast::<usize>() = usize::try_from(address).unwrap_or(0) };
        // Not 0: the program itself comes first, and it alone is asked for.
        1
    }
    let mut base = 0;
    // SAFETY: `first` is called during this call only, with the number that lives around it.
    unsafe { libc::dl_iterate_phdr(Some(first), ptr::from_mut(&mut base).cast()) };
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn named() -> Backtrace {
        let backtrace = capture();
        std::hint::black_box(backtrace)
    }

    #[test]
    fn a_frame_lies_in_the_function_that_was_called() {
        let start = (named as fn() -> Backtrace as usize).wrapping_sub(load_base());
        let Backtrace(addresses) = named();
        assert!(
            addresses.iter().any(|address| (start..start + 4096).contains(address)),
            "{start:#x}: {addresses:x?}"
        );
        // Below the base the subtraction would have wrapped to a huge number.
        assert!(addresses.iter().any(|address| *address < 1 << 30), "{addresses:x?}");
    }

    #[test]
    fn is_printed_as_addr2line_takes_it() {
        assert_eq!(Backtrace(vec![0x12, 0xab]).to_string(), "0x12 0xab");
    }
}
