//! Selectors of typed objects, and typed labels: what API clients hold in their hands.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::NodeSelectorRequirement;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector as Typed, LabelSelectorRequirement};

use super::parse::RequirementError;
use super::{LabelSelector, Operator, Requirement};

type Labels = BTreeMap<String, String>;

impl LabelSelector {
    /// Absent selects nothing, an empty one everything.
    pub fn of(selector: Option<&Typed>) -> Result<Self, RequirementError> {
        let Some(selector) = selector else { return Ok(Self::NOTHING) };
        let labels = selector.match_labels.iter().flatten().map(equals);
        let expressions = selector.match_expressions.iter().flatten().map(of_labels);
        Ok(Self::new(labels.chain(expressions).collect::<Result<_, _>>()?))
    }

    /// A plain map of labels, as in a Service's or a pod's selector.
    pub fn of_labels(labels: &Labels) -> Result<Self, RequirementError> {
        Ok(Self::new(labels.iter().map(equals).collect::<Result<_, _>>()?))
    }

    /// Expressions over the labels of a node, which are compared as numbers too.
    pub fn of_node(expressions: &[NodeSelectorRequirement]) -> Result<Self, RequirementError> {
        let requirement = |one: &NodeSelectorRequirement| {
            let operator = match one.operator.as_str() {
                "Gt" => Operator::Greater,
                "Lt" => Operator::Less,
                other => operator(other)?,
            };
            Requirement::new(one.key.clone(), operator, one.values.clone().unwrap_or_default())
        };
        Ok(Self::new(expressions.iter().map(requirement).collect::<Result<_, _>>()?))
    }

    pub fn matches_labels(&self, labels: Option<&Labels>) -> bool {
        self.matches_with(|key| labels?.get(key).map(String::as_str))
    }
}

fn equals((key, value): (&String, &String)) -> Result<Requirement, RequirementError> {
    Requirement::new(key.clone(), Operator::Equals, vec![value.clone()])
}

fn of_labels(one: &LabelSelectorRequirement) -> Result<Requirement, RequirementError> {
    Requirement::new(one.key.clone(), operator(&one.operator)?, one.values.clone().unwrap_or_default())
}

fn operator(name: &str) -> Result<Operator, RequirementError> {
    match name {
        "In" => Ok(Operator::In),
        "NotIn" => Ok(Operator::NotIn),
        "Exists" => Ok(Operator::Exists),
        "DoesNotExist" => Ok(Operator::DoesNotExist),
        other => Err(RequirementError::Operator(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(key: &str, value: &str) -> Labels {
        [(key.to_string(), value.to_string())].into()
    }

    #[test]
    fn typed_selectors_select_as_untyped_ones_do() {
        let tier = LabelSelectorRequirement {
            key: "tier".into(),
            operator: "NotIn".into(),
            values: Some(vec!["back".into()]),
        };
        let selector = Typed { match_labels: None, match_expressions: Some(vec![tier]) };
        let selector = LabelSelector::of(Some(&selector)).unwrap();
        assert!(selector.matches_labels(None));
        assert!(selector.matches_labels(Some(&labels("tier", "front"))));
        assert!(!selector.matches_labels(Some(&labels("tier", "back"))));
        assert!(!LabelSelector::of(None).unwrap().matches_labels(None), "absent selects nothing");
        assert!(LabelSelector::of(Some(&Typed::default())).unwrap().matches_labels(None));
        assert!(!LabelSelector::of_labels(&labels("a", "b")).unwrap().matches_labels(None));
    }

    #[test]
    fn labels_of_nodes_are_compared_as_numbers() {
        let more = |value: &str| {
            let values = Some(vec![value.to_string()]);
            LabelSelector::of_node(&[NodeSelectorRequirement {
                key: "cores".into(),
                operator: "Gt".into(),
                values,
            }])
        };
        assert!(more("3").unwrap().matches_labels(Some(&labels("cores", "10"))));
        assert!(!more("10").unwrap().matches_labels(Some(&labels("cores", "10"))));
        assert!(more("many").is_err());
    }
}
