//! From the table to a program.
//!
//! ```text
//! load arch ─▶ native? ─▶ calls that look at arguments ─▶ ranges of allowed numbers ─▶ EPERM
//!           └▶ compatible? ─▶ the same with its numbers
//!           └▶ ENOSYS
//! ```
//!
//! Allowed numbers are mostly neighbours: about thirty ranges instead of four hundred comparisons, and every range holds its
//! own return instructions, so that no jump needs more than the eight bits a classic BPF jump has. The kernel caches the
//! verdict of calls that never look at arguments, so a container pays for none of this at run time.

use std::ops::RangeInclusive;

use crate::capabilities::{Capabilities, Capability};

use super::profile::{Architecture, SYSCALLS, When};

// Classic BPF, in the width that an instruction has for it: `BPF_LD | BPF_W | BPF_ABS` and so on.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;

/// Offsets in `struct seccomp_data`. Arguments are 64 bits wide; all of our architectures are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// Calls of the x32 ABI carry this bit in x86-64's numbers.
const X32: u32 = 0x4000_0000;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// Linux, 32-bit Linux on a 64-bit kernel, both with uname26, and the question for the current one.
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

#[derive(Clone, Copy)]
enum Verdict {
    Allow,
    Refuse(i32),
}

pub(super) fn compile(capabilities: Capabilities) -> Vec<libc::sock_filter> {
    let mut program = vec![statement(LOAD, ARCH)];
    for architecture in Architecture::NATIVE_AND_COMPATIBLE {
        let body = for_architecture(*architecture, capabilities);
        // Over the body in one far jump: a conditional one reaches 255 instructions at most.
        program.push(jump(IF_EQUAL, architecture.audit(), 1, 0));
        program.push(statement(JUMP, count(&body)));
        program.extend(body);
    }
    program.push(verdict(Verdict::Refuse(libc::ENOSYS)));
    program
}

fn count(instructions: &[libc::sock_filter]) -> u32 {
    u32::try_from(instructions.len()).expect("a few hundred instructions")
}

fn for_architecture(architecture: Architecture, capabilities: Capabilities) -> Vec<libc::sock_filter> {
    let mut body = vec![statement(LOAD, NUMBER)];
    if architecture == Architecture::X86_64 {
        body.extend([jump(IF_AT_LEAST, X32, 0, 1), verdict(Verdict::Refuse(libc::ENOSYS))]);
    }
    let mut allowed = Vec::new();
    for (_, when, numbers) in SYSCALLS {
        let Some(number) = architecture.number(numbers) else { continue };
        match conditions(*when, capabilities) {
            Some(rule) => body.extend(guarded(number, &rule)),
            None if is_allowed(*when, capabilities) => allowed.push(number),
            None => {}
        }
    }
    body.extend(in_ranges(&ranges(allowed)));
    body
}

fn is_allowed(when: When, capabilities: Capabilities) -> bool {
    match when {
        When::With(capability) => capabilities.contains(capability),
        _ => true,
    }
}

/// What to do about a call whose verdict is not the same for everyone; the accumulator holds the first argument if asked.
fn conditions(when: When, capabilities: Capabilities) -> Option<Vec<libc::sock_filter>> {
    let may_make_namespaces = capabilities.contains(Capability::SysAdmin);
    let argument = statement(LOAD, FIRST_ARGUMENT);
    match when {
        When::ByFlags if !may_make_namespaces => Some(vec![
            argument,
            statement(AND, NEW_NAMESPACES),
            jump(IF_EQUAL, 0, 0, 1),
            verdict(Verdict::Allow),
            verdict(Verdict::Refuse(libc::EPERM)),
        ]),
        // Its flags are in memory, out of sight: C libraries fall back to clone.
        When::HiddenFlags if !may_make_namespaces => Some(vec![verdict(Verdict::Refuse(libc::ENOSYS))]),
        When::ByFamily => Some(vec![
            argument,
            jump(IF_EQUAL, libc::AF_VSOCK.cast_unsigned(), 0, 1),
            verdict(Verdict::Refuse(libc::EPERM)),
            verdict(Verdict::Allow),
        ]),
        When::ByPersonality => {
            let known = PERSONALITIES
                .into_iter()
                .flat_map(|value| [jump(IF_EQUAL, value, 0, 1), verdict(Verdict::Allow)]);
            Some([argument].into_iter().chain(known).chain([verdict(Verdict::Refuse(libc::EPERM))]).collect())
        }
        When::Always | When::With(_) | When::ByFlags | When::HiddenFlags => None,
    }
}

/// `rule` for this call, the next instruction for any other. `rule` always returns.
fn guarded(number: u32, rule: &[libc::sock_filter]) -> Vec<libc::sock_filter> {
    let skip = u8::try_from(rule.len()).expect("a rule is a dozen instructions");
    [jump(IF_EQUAL, number, 0, skip)].iter().chain(rule).copied().collect()
}

fn ranges(mut numbers: Vec<u32>) -> Vec<RangeInclusive<u32>> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 == number => *last = *last.start()..=number,
            _ => ranges.push(number..=number),
        }
    }
    ranges
}

/// In ascending order: below a range is a gap, above it is the next one's question.
fn in_ranges(ranges: &[RangeInclusive<u32>]) -> Vec<libc::sock_filter> {
    let refuse = verdict(Verdict::Refuse(libc::EPERM));
    let each = ranges.iter().flat_map(|range| {
        [
            jump(IF_AT_LEAST, *range.start(), 1, 0),
            refuse,
            jump(IF_GREATER, *range.end(), 1, 0),
            verdict(Verdict::Allow),
        ]
    });
    each.chain([refuse]).collect()
}

fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn verdict(verdict: Verdict) -> libc::sock_filter {
    let value = match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
    };
    statement(RETURN, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Capabilities = Capabilities::DEFAULT;

    /// What the kernel would answer: an interpreter for the instructions above.
    fn run(program: &[libc::sock_filter], architecture: u32, number: u32, argument: u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let instruction = &program[at];
            let holds = match instruction.code {
                LOAD => {
                    accumulator = match instruction.k {
                        NUMBER => number,
                        ARCH => architecture,
                        FIRST_ARGUMENT => argument,
                        other => panic!("reads at {other}"),
                    };
                    None
                }
                AND => {
                    accumulator &= instruction.k;
                    None
                }
                RETURN => return instruction.k,
                IF_EQUAL => Some(accumulator == instruction.k),
                IF_GREATER => Some(accumulator > instruction.k),
                IF_AT_LEAST => Some(accumulator >= instruction.k),
                _ => {
                    at += usize::try_from(instruction.k).unwrap();
                    None
                }
            };
            at += 1 + match holds {
                Some(true) => usize::from(instruction.jt),
                Some(false) => usize::from(instruction.jf),
                None => 0,
            };
        }
    }

    fn answer(capabilities: Capabilities, call: &str, argument: u32) -> [u32; 2] {
        let program = compile(capabilities);
        [0, 1].map(|index| {
            let architecture =
                Architecture::NATIVE_AND_COMPATIBLE[index % Architecture::NATIVE_AND_COMPATIBLE.len()];
            let number =
                SYSCALLS.iter().find(|(name, ..)| *name == call).and_then(|row| architecture.number(&row.2));
            run(&program, architecture.audit(), number.unwrap(), argument)
        })
    }

    const ALLOWED: [u32; 2] = [libc::SECCOMP_RET_ALLOW; 2];

    fn refused(errno: i32) -> [u32; 2] {
        [libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(); 2]
    }

    #[test]
    fn the_table_decides_for_every_call_of_both_architectures() {
        for capabilities in [DEFAULT, Capabilities::NONE, Capabilities::ALL] {
            let program = compile(capabilities);
            for architecture in Architecture::NATIVE_AND_COMPATIBLE {
                let expected = |number| {
                    SYSCALLS.iter().any(|(_, when, numbers)| {
                        architecture.number(numbers) == Some(number)
                            && is_allowed(*when, capabilities)
                            && conditions(*when, capabilities).is_none()
                    })
                };
                let looks_at_arguments = |number| {
                    SYSCALLS.iter().any(|(_, when, numbers)| {
                        architecture.number(numbers) == Some(number)
                            && conditions(*when, capabilities).is_some()
                    })
                };
                for number in (0..600).filter(|number| !looks_at_arguments(*number)) {
                    let allowed = run(&program, architecture.audit(), number, 0) == libc::SECCOMP_RET_ALLOW;
                    assert_eq!(allowed, expected(number), "{architecture:?} {number}");
                }
            }
        }
    }

    #[test]
    fn capabilities_open_calls() {
        assert_eq!(answer(DEFAULT, "mount", 0), refused(libc::EPERM));
        assert_eq!(answer(Capabilities::ALL, "mount", 0), ALLOWED);
        assert_eq!(answer(DEFAULT, "chroot", 0), ALLOWED);
        assert_eq!(answer(Capabilities::NONE, "chroot", 0), refused(libc::EPERM));
    }

    #[test]
    fn namespaces_are_not_made_without_the_right() {
        assert_eq!(answer(DEFAULT, "clone", 0x11), ALLOWED);
        assert_eq!(answer(DEFAULT, "clone", libc::CLONE_NEWUSER.cast_unsigned()), refused(libc::EPERM));
        assert_eq!(answer(DEFAULT, "clone3", 0), refused(libc::ENOSYS));
        assert_eq!(answer(Capabilities::ALL, "clone3", 0), ALLOWED);
        assert_eq!(answer(Capabilities::ALL, "clone", libc::CLONE_NEWUSER.cast_unsigned()), ALLOWED);
    }

    #[test]
    fn arguments_are_looked_at() {
        assert_eq!(answer(DEFAULT, "socket", libc::AF_INET.cast_unsigned()), ALLOWED);
        assert_eq!(answer(Capabilities::ALL, "socket", libc::AF_VSOCK.cast_unsigned()), refused(libc::EPERM));
        assert_eq!(answer(DEFAULT, "personality", 0xffff_ffff), ALLOWED);
        assert_eq!(answer(DEFAULT, "personality", 0x4_0000), refused(libc::EPERM));
    }

    #[test]
    fn a_foreign_architecture_has_no_calls() {
        assert_eq!(
            run(&compile(DEFAULT), 0x1234, 0, 0),
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()
        );
    }
}
