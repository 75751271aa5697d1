//! Which devices a group may open: lists in version 1, a small program of our own in version 2.
//!
//! Version 2 has no files for devices. The kernel asks a BPF program attached to the group instead, with three numbers:
//! the access asked for and the kind of device in one word, the major and the minor number. The program here compares them
//! with each rule in turn and says yes at the first that fits.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Cgroup, Error, write};

/// Devices that may be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `c`, `b`, or `a` for both.
    pub kind: char,
    /// `None` is any.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    /// Of `r`, `w` and `m`.
    pub access: String,
}

pub(super) fn apply(cgroup: &Cgroup<'_>, rules: &[DeviceRule]) -> Result<(), Error> {
    let Some(folder) = cgroup.folder("devices") else { return Ok(()) };
    if cgroup.is_v2() {
        return attach(&folder, &program(rules)).map_err(|source| Error::Devices { path: folder, source });
    }
    write(&folder.join("devices.deny"), "a")?;
    rules.iter().try_for_each(|rule| write(&folder.join("devices.allow"), &line(rule)))
}

fn line(rule: &DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    match rule.kind {
        'a' => "a".to_owned(),
        kind => format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access),
    }
}

/// `struct bpf_insn`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb4;
const COPY: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const IF_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// Registers: 1 holds the question; 2 the kind, 3 the access, 4 the major and 5 the minor number are unpacked from it.
const QUESTION: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;
const ANSWER: u8 = 0;

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | from << 4, offset, immediate }
}

const YES: [Instruction; 2] = [instruction(MOVE, ANSWER, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)];
const NO: [Instruction; 2] = [instruction(MOVE, ANSWER, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)];

fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, QUESTION, 0, 0),
        instruction(COPY, ACCESS, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, QUESTION, 4, 0),
        instruction(LOAD_WORD, MINOR, QUESTION, 8, 0),
    ];
    for rule in rules {
        let mut tests = tests(rule);
        if tests.is_empty() {
            // Everything fits, and the kernel takes no program with instructions that are never reached.
            program.extend(YES);
            return program;
        }
        // Each test jumps past the rule's own "yes", which comes after the last test.
        let (last, width) = (tests.len(), YES.len());
        for (position, test) in tests.iter_mut().enumerate() {
            if test.code == IF_NOT_EQUAL {
                test.offset =
                    i16::try_from(last - position - 1 + width).expect("a rule is a few instructions");
            }
        }
        program.extend(tests);
        program.extend(YES);
    }
    program.extend(NO);
    program
}

fn tests(rule: &DeviceRule) -> Vec<Instruction> {
    let unless = |register, value: u32| instruction(IF_NOT_EQUAL, register, 0, 0, value.cast_signed());
    let mut tests = Vec::new();
    match rule.kind {
        'b' => tests.push(unless(KIND, 1)),
        'c' => tests.push(unless(KIND, 2)),
        _ => {}
    }
    let refused = !access(&rule.access) & 0b111;
    if refused != 0 && rule.kind != 'a' {
        tests.extend([
            instruction(COPY, SCRATCH, ACCESS, 0, 0),
            instruction(AND, SCRATCH, 0, 0, refused.cast_signed()),
            unless(SCRATCH, 0),
        ]);
    }
    tests.extend(rule.major.map(|major| unless(MAJOR, major)));
    tests.extend(rule.minor.map(|minor| unless(MINOR, minor)));
    tests
}

/// `BPF_DEVCG_ACC_*`.
fn access(letters: &str) -> u32 {
    let bit = |letter| match letter {
        'm' => 1,
        'r' => 2,
        'w' => 4,
        _ => 0,
    };
    letters.chars().map(bit).fold(0, |all, bit| all | bit)
}

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;

/// The first fields of `union bpf_attr` for loading a program.
#[repr(C, align(8))]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The same union for attaching one.
#[repr(C, align(8))]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// A group that has a program already would refuse another one: containers get theirs once, before they start.
fn attach(folder: &Path, instructions: &[Instruction]) -> io::Result<()> {
    let group = File::open(folder)?;
    let load = Load {
        kind: TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let loaded = bpf(PROG_LOAD, &load)?;
    // SAFETY: the call succeeded, so the number is a new descriptor that nobody else owns.
    let program = unsafe { OwnedFd::from_raw_fd(loaded) };
    let attach = Attach {
        target: group.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: 0,
    };
    bpf(PROG_ATTACH, &attach).map(|_| ())
}

fn bpf<T>(command: i32, argument: &T) -> io::Result<i32> {
    // SAFETY: `argument` is laid out as the kernel expects for this command and, like all it points to, outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(argument), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(result).map_err(io::Error::other) }
}

#[cfg(test)]
mod tests_of_rules {
    use super::*;

    fn rule(kind: char, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule { kind, major, minor, access: access.to_owned() }
    }

    /// What the kernel would answer.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        let mut registers = [0_u32; 16];
        let mut at = 0;
        loop {
            let step = program[at];
            let (to, from) = (usize::from(step.registers & 15), usize::from(step.registers >> 4));
            let immediate = step.immediate.cast_unsigned();
            at += 1;
            match step.code {
                LOAD_WORD => {
                    registers[to] =
                        [access << 16 | kind, major, minor][usize::try_from(step.offset).unwrap() / 4];
                }
                MOVE => registers[to] = immediate,
                COPY => registers[to] = registers[from],
                AND => registers[to] &= immediate,
                SHIFT_RIGHT => registers[to] >>= immediate,
                IF_NOT_EQUAL if registers[to] != immediate => at += usize::try_from(step.offset).unwrap(),
                IF_NOT_EQUAL => {}
                EXIT => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_first_rule_that_fits_says_yes() {
        let program = program(&[
            rule('c', None, None, "m"),
            rule('c', Some(1), Some(3), "rw"),
            rule('b', Some(8), None, "r"),
        ]);
        assert_eq!(run(&program, 2, 1, 99, 99), 1, "make any character device");
        assert_eq!(run(&program, 1, 1, 8, 0), 0, "but no block device");
        assert_eq!(run(&program, 2, 6, 1, 3), 1);
        assert_eq!(run(&program, 2, 6, 1, 4), 0);
        assert_eq!(run(&program, 1, 2, 8, 7), 1);
        assert_eq!(run(&program, 1, 4, 8, 7), 0, "not for writing");
    }

    #[test]
    fn all_devices_are_all_devices() {
        assert_eq!(run(&program(&[rule('a', None, None, "rwm")]), 1, 7, 253, 9), 1);
        assert_eq!(run(&program(&[]), 1, 1, 1, 1), 0);
        let more = [rule('a', None, None, "rwm"), rule('c', Some(1), None, "r")];
        assert_eq!(program(&more).len(), program(&more[..1]).len(), "nothing after it can be reached");
    }

    #[test]
    fn version_1_lines() {
        assert_eq!(line(&rule('c', Some(136), None, "rwm")), "c 136:* rwm");
        assert_eq!(line(&rule('a', None, None, "rwm")), "a");
    }
}
