//! Label selectors: requirements that all must hold.

use std::fmt;

use serde_json::Value;

use super::parse::RequirementError;
use crate::names;
use crate::value::{list, members, text};

/// A conjunction of requirements, sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    /// A selector that is absent selects nothing, an empty one everything.
    nothing: bool,
}

/// `key operator values`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Exists,
    DoesNotExist,
    Greater,
    Less,
}

impl LabelSelector {
    pub const EVERYTHING: Self = Self { requirements: Vec::new(), nothing: false };
    pub const NOTHING: Self = Self { requirements: Vec::new(), nothing: true };

    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// A plain map of labels, as in a Service's selector.
    pub fn from_map(labels: &Value) -> Self {
        Self::new(labels.as_object().into_iter().flatten().map(equals).collect())
    }

    /// `matchLabels` and `matchExpressions`. Absent selects nothing, `{}` everything.
    pub fn from_object(selector: &Value) -> Result<Self, RequirementError> {
        if selector.is_null() {
            return Ok(Self::NOTHING);
        }
        let mut requirements: Vec<Requirement> = members(selector, "matchLabels").map(equals).collect();
        for expression in list(selector, "matchExpressions") {
            requirements.push(expression_requirement(expression)?);
        }
        Ok(Self::new(requirements))
    }

    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object's labels satisfy every requirement.
    pub fn matches(&self, labels: &Value) -> bool {
        let labels = labels.as_object();
        self.matches_with(|key| labels?.get(key)?.as_str())
    }

    /// Whether labels that are looked up by `label` satisfy every requirement.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing
            && self.requirements.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }
}

fn equals((key, value): (&String, &Value)) -> Requirement {
    let value = value.as_str().unwrap_or_default().to_owned();
    Requirement { key: key.clone(), operator: Operator::Equals, values: vec![value] }
}

fn expression_requirement(expression: &Value) -> Result<Requirement, RequirementError> {
    let operator = match text(expression, "operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => return Err(RequirementError::Operator(other.to_owned())),
    };
    let values = list(expression, "values").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Requirement::new(text(expression, "key").to_owned(), operator, values)
}

impl Requirement {
    pub fn new(key: String, operator: Operator, values: Vec<String>) -> Result<Self, RequirementError> {
        let problems = names::qualified_name(&key);
        if !problems.is_empty() {
            return Err(RequirementError::Key { key, problems: problems.join("; ") });
        }
        operator.check(&values)?;
        for (index, value) in values.iter().enumerate() {
            let problems = names::label_value(value);
            if !problems.is_empty() {
                let value = value.clone();
                return Err(RequirementError::Value { index, key, value, problems: problems.join("; ") });
            }
        }
        Ok(Self { key, operator, values })
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn matches(&self, label: Option<&str>) -> bool {
        let listed = |label: &str| self.values.iter().any(|value| value == label);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => label.is_some_and(listed),
            Operator::NotIn | Operator::NotEquals => !label.is_some_and(listed),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::Greater => self.compares(label, |label, bound| label > bound),
            Operator::Less => self.compares(label, |label, bound| label < bound),
        }
    }

    fn compares(&self, label: Option<&str>, holds: fn(i64, i64) -> bool) -> bool {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        match (number(label), number(self.values.first().map(String::as_str))) {
            (Some(label), Some(bound)) => holds(label, bound),
            _ => false,
        }
    }
}

impl Operator {
    fn check(self, values: &[String]) -> Result<(), RequirementError> {
        let refused = |sentence| Err(RequirementError::Values { values: values.to_vec(), sentence });
        match self {
            Self::In | Self::NotIn if values.is_empty() => {
                refused("for 'in', 'notin' operators, values set can't be empty")
            }
            Self::Equals | Self::DoubleEquals | Self::NotEquals if values.len() != 1 => {
                refused("exact-match compatibility requires one single value")
            }
            Self::Exists | Self::DoesNotExist if !values.is_empty() => {
                refused("values set must be empty for exists and does not exist")
            }
            Self::Greater | Self::Less if values.len() != 1 => {
                refused("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            Self::Greater | Self::Less if values[0].parse::<i64>().is_err() => {
                Err(RequirementError::NotAnInteger(values[0].clone()))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, .. } = self;
        let mut values = self.values.clone();
        values.sort_unstable();
        let values = values.join(",");
        match operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Greater => write!(f, "{key}>{values}"),
            Operator::Less => write!(f, "{key}<{values}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_select_by_map_and_expression() {
        let labels = json!({"app": "web", "tier": "front"});
        for (selector, matches) in [
            (json!(null), false),
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["web"]}]}), true),
            (json!({"matchExpressions": [{"key": "x", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}), true),
        ] {
            assert_eq!(
                LabelSelector::from_object(&selector).unwrap().matches(&labels),
                matches,
                "{selector}"
            );
        }
        assert!(LabelSelector::from_map(&json!({"app": "web"})).matches(&labels));
        assert!(!LabelSelector::from_map(&json!({"app": "web", "z": "1"})).matches(&labels));
    }

    #[test]
    fn bad_expressions_are_refused() {
        for bad in [
            json!({"key": "a", "operator": "Near"}),
            json!({"key": "a", "operator": "In"}),
            json!({"key": "a", "operator": "Exists", "values": ["x"]}),
            json!({"key": "a b", "operator": "Exists"}),
        ] {
            assert!(LabelSelector::from_object(&json!({"matchExpressions": [bad]})).is_err(), "{bad}");
        }
    }
}
