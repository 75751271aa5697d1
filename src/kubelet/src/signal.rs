//! Signals by name, as images and pods name the one that stops them.

/// Kills without asking.
pub(crate) const KILL: i32 = 9;
const TERM: i32 = 15;

/// Numbers that are the same on all machines we run on.
const NAMES: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];
const REALTIME_FIRST: i32 = 34;
const REALTIME_LAST: i32 = 64;

/// `SIGQUIT`, `quit`, `3` and `SIGRTMIN+3` are understood; SIGTERM is meant by everything else.
pub(crate) fn number(name: Option<&str>) -> i32 {
    name.and_then(parse).unwrap_or(TERM)
}

fn parse(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=REALTIME_LAST).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: &str| if text.is_empty() { Some(0) } else { text.get(1..)?.parse::<i32>().ok() };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => REALTIME_FIRST + offset(rest)?,
        (_, Some(rest)) => REALTIME_LAST - offset(rest)?,
        _ => return NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number),
    };
    (REALTIME_FIRST..=REALTIME_LAST).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let cases =
            [("SIGQUIT", 3), ("quit", 3), ("3", 3), ("SIGRTMIN+3", 37), ("SIGRTMAX-1", 63), ("SIGRTMIN", 34)];
        for (name, expected) in cases {
            assert_eq!(number(Some(name)), expected, "{name}");
        }
        for name in
            [None, Some("SIGNONSENSE"), Some("0"), Some("99"), Some("SIGRTMIN+99"), Some("RTMIN\u{e9}")]
        {
            assert_eq!(number(name), 15, "{name:?}");
        }
    }
}
