//! policy/v1beta1: an empty selector meant no pod; in v1 it means every pod. Each is told in the other by a label that no
//! pod has, upstream's.

use serde_json::{Value, json};

use super::Shape;
use crate::value::{at, replace};

pub(super) const SHAPE: Shape = Shape::new(to_hub, from_hub);

fn to_hub(budget: &mut Value) {
    translate(budget, &json!({}), &labelled("Exists"));
    translate(budget, &labelled("DoesNotExist"), &json!({}));
}

fn from_hub(budget: &mut Value) {
    translate(budget, &json!({}), &labelled("DoesNotExist"));
    translate(budget, &labelled("Exists"), &json!({}));
}

fn labelled(operator: &str) -> Value {
    let key = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";
    json!({"matchExpressions": [{"key": key, "operator": operator}]})
}

fn translate(budget: &mut Value, from: &Value, to: &Value) {
    if at(budget, "spec.selector") == from
        && let Some(spec) = budget.get_mut("spec")
    {
        replace(spec, "selector", Some(to.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_selector_goes_on_meaning_what_it_meant() {
        for selector in [json!({}), json!({"matchLabels": {"a": "b"}}), labelled("DoesNotExist")] {
            let old = json!({"spec": {"selector": selector}});
            let mut budget = old.clone();
            to_hub(&mut budget);
            assert_eq!(budget["spec"]["selector"] == json!({}), selector == labelled("DoesNotExist"));
            from_hub(&mut budget);
            assert_eq!(budget, old);
        }
    }
}
