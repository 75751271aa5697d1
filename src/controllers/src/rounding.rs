//! Amounts that are given as a number or as a part of a whole.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Round {
    Up,
    Down,
}

pub(crate) fn resolve(amount: &IntOrString, total: i32, round: Round) -> i32 {
    let percent = match amount {
        IntOrString::Int(number) => return *number,
        IntOrString::String(text) => text.trim_end_matches('%').parse::<i64>().unwrap_or_default(),
    };
    let hundredths = i64::from(total).saturating_mul(percent);
    let rounded = match round {
        Round::Up => hundredths.saturating_add(99) / 100,
        Round::Down => hundredths / 100,
    };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}
