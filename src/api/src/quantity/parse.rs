//! Reading quantities.

use std::str::FromStr;

use thiserror::Error;

use super::{Notation, Quantity, UNIT};

/// Upstream's sentence for everything that is no quantity.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// No magnitude exceeds this many whole units.
const MAX: i128 = i64::MAX as i128 * UNIT;
/// A power of ten beyond which every non-zero number is at the limit, or below a nano unit.
const EXPONENT_MAX: i32 = 60;

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(ParseError::Format);
        }
        let (scale, notation) = scale(suffix)?;
        let magnitude = magnitude(whole, fraction, scale);
        Ok(Self { nanos: if negative { -magnitude } else { magnitude }, notation })
    }
}

/// What a suffix multiplies by.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// A power of two.
    Binary(u32),
    /// A power of ten.
    Decimal(i32),
}

fn scale(suffix: &str) -> Result<(Scale, Notation), ParseError> {
    let binary = |power| Ok((Scale::Binary(power), Notation::Binary));
    let decimal = |power| Ok((Scale::Decimal(power), Notation::Decimal));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        suffix => Ok((Scale::Decimal(exponent(suffix)?), Notation::Exponent)),
    }
}

fn exponent(suffix: &str) -> Result<i32, ParseError> {
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(match suffix.is_ascii() {
        true => ParseError::Suffix,
        false => ParseError::Format,
    })?;
    digits.parse().map_err(|_| ParseError::Suffix)
}

/// Nano units, rounded up, at most [`MAX`].
fn magnitude(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let digits = || whole.bytes().chain(fraction.bytes()).map(|digit| i128::from(digit - b'0'));
    let fraction_digits = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    match scale {
        Scale::Decimal(power) => decimal(digits(), power.saturating_sub(fraction_digits).saturating_add(9)),
        Scale::Binary(power) => binary(digits(), power, fraction_digits),
    }
}

/// The digits as one number times ten to `power`.
fn decimal(digits: impl Iterator<Item = i128>, power: i32) -> i128 {
    // Digits that stand below a nano unit only matter as "there is a rest".
    let digits: Vec<i128> = digits.collect();
    let below = usize::try_from(power.saturating_neg()).unwrap_or(0).min(digits.len());
    let (kept, dropped) = digits.split_at(digits.len() - below);
    let number = kept.iter().fold(0, |number: i128, digit| (number * 10 + digit).min(MAX));
    let rest = dropped.iter().any(|digit| *digit != 0);
    let power = power.clamp(0, EXPONENT_MAX);
    let scaled = (0..power).fold(number, |number, _| (number * 10).min(MAX));
    (scaled + i128::from(rest)).min(MAX)
}

/// The digits as one number with `fraction` places, times two to `power`, in nano units.
fn binary(digits: impl Iterator<Item = i128>, power: u32, fraction: i32) -> i128 {
    // Long division digit by digit: number * 2^power * 10^9 / 10^fraction without ever holding the product.
    let digits: Vec<i128> = digits.collect();
    let places = usize::try_from(fraction).unwrap_or(0).min(digits.len());
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let factor = (1i128 << power) * UNIT;
    let whole = whole.iter().fold(0, |number: i128, digit| (number * 10 + digit).min(MAX));
    let whole = whole.checked_mul(factor).unwrap_or(MAX);
    // From the last digit: each step divides by ten, remembering whether anything was lost.
    let (mut part, mut rest) = (0, false);
    for digit in fraction.iter().rev() {
        let sum = part + digit * factor;
        rest |= sum % 10 != 0;
        part = sum / 10;
    }
    (whole.saturating_add(part) + i128::from(rest)).min(MAX)
}
