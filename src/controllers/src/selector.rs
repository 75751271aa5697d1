//! Label selectors of typed objects.

use std::collections::BTreeMap;

use api::selector::LabelSelector as Requirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

/// A selector that was found usable.
#[derive(Debug)]
pub(crate) struct Selector(Requirements);

#[derive(Debug, thiserror::Error)]
#[error("a selector that cannot be used: {0}")]
pub(crate) struct Unusable(String);

impl Selector {
    pub(crate) fn of(selector: &LabelSelector) -> Result<Self, Unusable> {
        let expressions: Vec<Value> = selector
            .match_expressions
            .iter()
            .flatten()
            .map(|one| json!({"key": one.key, "operator": one.operator, "values": one.values}))
            .collect();
        let object = json!({"matchLabels": selector.match_labels, "matchExpressions": expressions});
        Requirements::from_object(&object).map(Self).map_err(|error| Unusable(error.to_string()))
    }

    pub(crate) fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let labels =
            labels.into_iter().flatten().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        self.0.matches(&Value::Object(labels.collect()))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::*;

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let tier = LabelSelectorRequirement {
            key: "tier".into(),
            operator: "NotIn".into(),
            values: Some(vec!["back".into()]),
        };
        let selector = Selector::of(&LabelSelector {
            match_labels: Some([("app".to_string(), "web".to_string())].into()),
            match_expressions: Some(vec![tier]),
        })
        .unwrap();
        let labels =
            |tier: &str| Some([("app".to_string(), "web".to_string()), ("tier".into(), tier.into())].into());
        assert!(selector.matches(labels("front").as_ref()));
        assert!(!selector.matches(labels("back").as_ref()));
        assert!(!selector.matches(None));
    }
}
