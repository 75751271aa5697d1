//! Quantities: `100m`, `1.5Gi`, `3e6`.
//!
//! A quantity is a decimal number and the notation it was written in. Arithmetic is exact: the value is an integer count of
//! nano units, which is also the precision of the API (anything finer rounds up). 128 bits hold every value the API can
//! express (its magnitude ends at 2^63-1 whole units), so sums of a whole cluster cannot overflow either.

mod format;
mod parse;

use std::cmp::Ordering;
use std::ops::{Add, Neg, Sub};

pub use parse::ParseError;

/// One whole unit in nano units.
const UNIT: i128 = 1_000_000_000;
const MILLI: i128 = UNIT / 1000;

/// A number of bytes, cores or things.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    notation: Notation,
}

/// How a quantity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    /// `12e6`
    Exponent,
    /// `12Mi`
    Binary,
    /// `12M`
    Decimal,
}

impl Quantity {
    pub const ZERO: Self = Self { nanos: 0, notation: Notation::Decimal };

    /// A count of whole units: pods, cores.
    pub fn whole(units: i64) -> Self {
        Self { nanos: i128::from(units) * UNIT, notation: Notation::Decimal }
    }

    /// A count of thousandths: CPU.
    pub fn milli(thousandths: i64) -> Self {
        Self { nanos: i128::from(thousandths) * MILLI, notation: Notation::Decimal }
    }

    /// A count of bytes, written with binary suffixes.
    pub fn bytes(bytes: i64) -> Self {
        Self { nanos: i128::from(bytes) * UNIT, notation: Notation::Binary }
    }

    /// Whole units, rounded up.
    pub fn value(self) -> i64 {
        saturate(ceil_div(self.nanos, UNIT))
    }

    /// Thousandths, rounded up.
    pub fn milli_value(self) -> i64 {
        saturate(ceil_div(self.nanos, MILLI))
    }

    /// Rounded up to thousandths: resource lists keep no finer parts.
    #[must_use]
    pub fn round_up_to_milli(self) -> Self {
        Self { nanos: ceil_div(self.nanos, MILLI) * MILLI, ..self }
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether there are no parts of a unit.
    pub fn is_whole(self) -> bool {
        self.nanos % UNIT == 0
    }
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// The sum is written like its first part, unless that is zero.
impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let notation = if self.is_zero() { other.notation } else { self.notation };
        Self { nanos: self.nanos.saturating_add(other.nanos), notation }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Quantity {
    type Output = Self;

    fn neg(self) -> Self {
        Self { nanos: self.nanos.saturating_neg(), ..self }
    }
}

/// Quantities are compared by value: `1024` equals `1Ki`.
impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn canonical_forms() {
        for (written, canonical) in [
            ("0", "0"),
            ("0.0", "0"),
            ("-0", "0"),
            ("1", "1"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1Ki", "1Ki"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("0.5", "500m"),
            ("100m", "100m"),
            ("1500m", "1500m"),
            ("1000m", "1"),
            ("12e6", "12e6"),
            ("1.2e3", "1200"),
            ("1E3", "1e3"),
            ("1E", "1E"),
            ("+1", "1"),
            (".5", "500m"),
            ("5.", "5"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("1u", "1u"),
            ("0.0001Ki", "102400u"),
            ("9223372036854775807", "9223372036854775807"),
            ("99999999999999999999", "9223372036854775807"),
            ("1.000000000000000000000001", "1000000001n"),
            ("100000000000000E", "9223372036854775807"),
        ] {
            assert_eq!(quantity(written).to_string(), canonical, "{written}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        for bad in [
            "", "-", "+", ".", "a", "1a", "1KI", "1ki", "1 ", " 1", "1.2.3", "1e", "1e1.5", "--1", "1e-",
            "1mi", "Ki",
        ] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn values_round_up() {
        assert_eq!(quantity("100m").value(), 1);
        assert_eq!(quantity("-100m").value(), 0);
        assert_eq!(quantity("1500m").value(), 2);
        assert_eq!(quantity("1u").milli_value(), 1);
        assert_eq!(quantity("1.5Gi").value(), 1536 << 20);
        assert_eq!(quantity("1u").round_up_to_milli().to_string(), "1m");
    }

    #[test]
    fn sums_keep_the_first_notation() {
        assert_eq!((quantity("1Gi") + quantity("1M")).to_string(), "1074741824");
        assert_eq!((quantity("0") + quantity("1Gi")).to_string(), "1Gi");
        assert_eq!((quantity("1") - quantity("100m")).to_string(), "900m");
        assert!(quantity("1024") == quantity("1Ki"));
        assert!(quantity("1M") < quantity("1Mi"));
    }

    /// As upstream: what no power of 1024 divides is written without a suffix, which is how decimal quantities begin.
    #[test]
    fn a_binary_quantity_may_turn_decimal_on_its_way() {
        let written = quantity("62.5Ki").to_string();
        assert_eq!(written, "64000");
        assert_eq!(quantity(&written).to_string(), "64k");
    }

    proptest! {
        #[test]
        fn a_canonical_form_has_the_same_value_and_settles(
            digits in "[0-9]{1,12}(\\.[0-9]{0,6})?", suffix in "(|n|u|m|k|M|G|Ki|Mi|Gi|e3|E-2)"
        ) {
            let first = quantity(&format!("{digits}{suffix}"));
            let again = quantity(&first.to_string());
            prop_assert_eq!(first, again);
            prop_assert!(first.to_string() == again.to_string() || first.notation == Notation::Binary);
            let settled = quantity(&again.to_string());
            prop_assert_eq!(again.to_string(), settled.to_string());
        }

        #[test]
        fn anything_is_parsed_or_refused(text in "\\PC{0,20}") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                prop_assert_eq!(quantity.to_string().parse::<Quantity>(), Ok(quantity));
            }
        }

        #[test]
        fn order_follows_the_sum(a in any::<i32>(), b in any::<i32>()) {
            let (a, b) = (Quantity::milli(i64::from(a)), Quantity::milli(i64::from(b)));
            prop_assert_eq!(a < b, (a - b).is_negative());
            prop_assert_eq!(a + b, b + a);
            prop_assert_eq!(a + b - b, a);
        }
    }
}
