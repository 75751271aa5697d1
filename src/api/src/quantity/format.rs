//! Writing quantities: no fraction, the largest suffix that allows it.

use std::fmt;

use super::{Notation, Quantity, UNIT};

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// From nano on, three powers of ten apart.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const EXPONENT: [&str; 10] = ["e-9", "e-6", "e-3", "", "e3", "e6", "e9", "e12", "e15", "e18"];

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notation {
            _ if self.nanos == 0 => f.write_str("0"),
            // Below 1Ki and for parts of a unit there is no binary suffix.
            Notation::Binary if self.nanos.abs() >= 1024 * UNIT && self.nanos % UNIT == 0 => {
                let (number, suffix) = reduce(self.nanos / UNIT, 1024, &BINARY);
                write!(f, "{number}{suffix}")
            }
            Notation::Binary | Notation::Decimal => {
                let (number, suffix) = reduce(self.nanos, 1000, &DECIMAL);
                write!(f, "{number}{suffix}")
            }
            Notation::Exponent => {
                let (number, suffix) = reduce(self.nanos, 1000, &EXPONENT);
                write!(f, "{number}{suffix}")
            }
        }
    }
}

/// Divides while nothing is lost.
fn reduce(mut number: i128, step: i128, suffixes: &[&'static str]) -> (i128, &'static str) {
    let mut index = 0;
    while index + 1 < suffixes.len() && number % step == 0 {
        number /= step;
        index += 1;
    }
    (number, suffixes[index])
}
