//! Amounts of pods: a number, or a percentage of all of them (`maxSurge: 25%`).

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Count(i64),
    Percent(u32),
}

/// Which way a percentage that hits between two numbers goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    Up,
    Down,
}

impl Amount {
    /// Reads an int-or-string field; none where it is neither a number nor a percentage.
    pub fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_i64().map(Self::Count),
            Value::String(text) => {
                let digits = text
                    .strip_suffix('%')
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
                digits.parse().ok().map(Self::Percent)
            }
            _ => None,
        }
    }

    /// How many of `total` this is.
    pub fn of(self, total: i64, round: Round) -> i64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let hundredths = i128::from(total) * i128::from(percent);
                let up = i128::from(round == Round::Up && hundredths.rem_euclid(100) != 0);
                i64::try_from(hundredths.div_euclid(100) + up).unwrap_or(i64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(Amount::parse(&json!(3)), Some(Amount::Count(3)));
        assert_eq!(Amount::parse(&json!("25%")), Some(Amount::Percent(25)));
        for bad in [json!("25"), json!("%"), json!("-1%"), json!("1.5%"), json!(null), json!(1.5)] {
            assert_eq!(Amount::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn percentages_round_as_told() {
        assert_eq!(Amount::Percent(25).of(3, Round::Up), 1);
        assert_eq!(Amount::Percent(25).of(3, Round::Down), 0);
        assert_eq!(Amount::Percent(25).of(4, Round::Up), 1);
        assert_eq!(Amount::Count(7).of(3, Round::Up), 7);
        assert_eq!(Amount::Percent(u32::MAX).of(i64::MAX, Round::Up), i64::MAX);
    }
}
