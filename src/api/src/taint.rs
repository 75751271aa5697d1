//! Which taints a pod tolerates: asked by the scheduler, by eviction, and by the daemons that run everywhere.

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// The taint nobody may be scheduled past.
pub const NO_SCHEDULE: &str = "NoSchedule";
/// The taint that also sends away who is there.
pub const NO_EXECUTE: &str = "NoExecute";
/// The taint to avoid where there is a choice.
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";

/// Whether one toleration tolerates one taint.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    given(&toleration.effect).is_none_or(|effect| effect == taint.effect)
        && given(&toleration.key).is_none_or(|key| key == taint.key)
        && value_is_tolerated(toleration, taint.value.as_deref().unwrap_or_default())
}

fn value_is_tolerated(toleration: &Toleration, value: &str) -> bool {
    let wanted = toleration.value.as_deref().unwrap_or_default();
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => wanted == value,
        "Exists" => true,
        "Gt" => numbers(value, wanted).is_some_and(|(value, wanted)| value > wanted),
        "Lt" => numbers(value, wanted).is_some_and(|(value, wanted)| value < wanted),
        _ => false,
    }
}

fn numbers(value: &str, wanted: &str) -> Option<(i64, i64)> {
    Some((value.parse().ok()?, wanted.parse().ok()?))
}

/// Whether any of the tolerations tolerates the taint.
pub fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let text = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
        Toleration {
            key: text(key),
            operator: text(operator),
            value: text(value),
            effect: text(effect),
            toleration_seconds: None,
        }
    }

    #[test]
    fn key_value_effect_and_operator_decide() {
        let taint = Taint {
            key: "disk".into(),
            value: Some("7".into()),
            effect: NO_SCHEDULE.into(),
            ..Taint::default()
        };
        for (toleration, tolerated) in [
            (toleration("disk", "", "7", ""), true),
            (toleration("disk", "Equal", "7", NO_SCHEDULE), true),
            (toleration("disk", "Equal", "7", NO_EXECUTE), false),
            (toleration("disk", "Equal", "8", ""), false),
            (toleration("disk", "Exists", "", ""), true),
            (toleration("", "Exists", "", ""), true),
            (toleration("tape", "Exists", "", ""), false),
            (toleration("disk", "Gt", "6", ""), true),
            (toleration("disk", "Gt", "7", ""), false),
            (toleration("disk", "Lt", "8", ""), true),
            (toleration("disk", "Lt", "many", ""), false),
            (toleration("disk", "Near", "7", ""), false),
        ] {
            assert_eq!(is_tolerated(&taint, std::slice::from_ref(&toleration)), tolerated, "{toleration:?}");
        }
    }
}
