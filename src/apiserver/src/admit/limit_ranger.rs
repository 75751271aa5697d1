//! What one container, pod or claim of a namespace may ask for, and what it asks for if it does not say.

use api::kinds::Kind;
use api::quantity::Quantity;
use api::status::Status;
use api::value::{at, items_mut, list, object, text};
use serde_json::Value;

use super::{Attempt, Operation, Warnings, built_in};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

pub(super) fn change(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    if !attempt.creates("", "Pod") || !pod["spec"].is_object() {
        return Ok(());
    }
    let mut did = Vec::new();
    for limit in limits(attempt, "Container")? {
        for (kind, called) in [("containers", "container"), ("initContainers", "init container")] {
            for container in items_mut(&mut pod["spec"], kind) {
                let name = format!("{called} {}", text(container, "name"));
                let requests = fill(container, "requests", at(&limit, "defaultRequest"));
                did.extend(requests.map(|names| format!("{names} request for {name}")));
                let limits = fill(container, "limits", at(&limit, "default"));
                did.extend(limits.map(|names| format!("{names} limit for {name}")));
            }
        }
    }
    if let (false, Some(metadata)) = (did.is_empty(), object(pod, "metadata")) {
        metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()))[ANNOTATION] =
            format!("LimitRanger plugin set: {}", did.join("; ")).into();
    }
    Ok(())
}

/// Fills in what a container does not say; the names of what that was.
fn fill(container: &mut Value, list: &str, defaults: &Value) -> Option<String> {
    let defaults = defaults.as_object().filter(|defaults| !defaults.is_empty())?;
    let mut names = Vec::new();
    object(container, "resources")?;
    let said = object(&mut container["resources"], list)?;
    for (name, quantity) in defaults {
        if !said.contains_key(name) {
            said.insert(name.clone(), quantity.clone());
            names.push(name.as_str());
        }
    }
    (!names.is_empty()).then(|| names.join(", "))
}

pub(super) fn judge(attempt: &Attempt<'_>, object: &Value) -> Result<Warnings, Status> {
    let resized = attempt.is_below("", "Pod", Some("resize"));
    let created = matches!(attempt.operation, Operation::Create);
    let mut problems = Vec::new();
    if created && attempt.is_of("", "Pod") || resized {
        for limit in limits(attempt, "Container")? {
            for container in containers(object) {
                Usage::of(at(container, "resources")).check(&limit, &mut problems);
            }
        }
        for limit in limits(attempt, "Pod")? {
            Usage::of_pod(object).check(&limit, &mut problems);
        }
    }
    if created && attempt.is_of("", "PersistentVolumeClaim") {
        for limit in limits(attempt, "PersistentVolumeClaim")? {
            Usage::of(at(object, "spec.resources")).check_claim(&limit, &mut problems);
        }
    }
    match &problems[..] {
        [] => Ok(Warnings::new()),
        [only] => Err(attempt.forbidden(object, only)),
        several => Err(attempt.forbidden(object, &format!("[{}]", several.join(", ")))),
    }
}

/// The limits for one type of thing in the namespace of the attempt.
fn limits(attempt: &Attempt<'_>, of: &str) -> Result<Vec<Value>, Status> {
    let kind: &'static Kind = built_in("", "limitranges")?;
    let ranges = attempt.all(kind, attempt.request.namespace());
    let items = ranges.iter().flat_map(|range| list(range, "spec.limits"));
    Ok(items.filter(|limit| text(limit, "type") == of).cloned().collect())
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"))
}

/// What is asked for, by name.
struct Usage {
    requests: Vec<(String, Quantity)>,
    limits: Vec<(String, Quantity)>,
}

impl Usage {
    fn of(resources: &Value) -> Self {
        Self { requests: quantities(at(resources, "requests")), limits: quantities(at(resources, "limits")) }
    }

    /// All containers together; those that only begin a pod count where one of them needs more than the rest.
    fn of_pod(pod: &Value) -> Self {
        let total = |kind: &str| {
            let of = |container: &Value| quantities(at(at(container, "resources"), kind));
            let stays = |container: &&Value| text(container, "restartPolicy") == "Always";
            let (kept, first): (Vec<_>, Vec<_>) = list(pod, "spec.initContainers").iter().partition(stays);
            let mut sum = Vec::new();
            for (name, quantity) in list(pod, "spec.containers").iter().chain(kept).flat_map(of) {
                let known = get(&sum, &name).unwrap_or_else(|| Quantity::whole(0));
                set(&mut sum, name, known + quantity);
            }
            for (name, quantity) in first.into_iter().flat_map(of) {
                if get(&sum, &name).is_none_or(|known| known < quantity) {
                    set(&mut sum, name, quantity);
                }
            }
            sum
        };
        Self { requests: total("requests"), limits: total("limits") }
    }

    fn check(&self, limit: &Value, problems: &mut Vec<String>) {
        let of = text(limit, "type");
        let (asked, most) = (|name: &str| get(&self.requests, name), |name: &str| get(&self.limits, name));
        for (name, least) in quantities(at(limit, "min")) {
            let words = format!("minimum {name} usage per {of} is {least}");
            match asked(&name) {
                None => problems.push(format!("{words}.  No request is specified")),
                Some(request) if request < least => {
                    problems.push(format!("{words}, but request is {request}"));
                }
                Some(_) => {}
            }
            if let Some(limit) = most(&name).filter(|limit| *limit < least) {
                problems.push(format!("{words}, but limit is {limit}"));
            }
        }
        for (name, largest) in quantities(at(limit, "max")) {
            let words = format!("maximum {name} usage per {of} is {largest}");
            match most(&name) {
                None => problems.push(format!("{words}.  No limit is specified")),
                Some(limit) if limit > largest => problems.push(format!("{words}, but limit is {limit}")),
                Some(_) => {}
            }
            if let Some(request) = asked(&name).filter(|request| *request > largest) {
                problems.push(format!("{words}, but request is {request}"));
            }
        }
        for (name, ratio) in quantities(at(limit, "maxLimitRequestRatio")) {
            let words = format!("{name} max limit to request ratio per {of} is {ratio}");
            problems.extend(excess(&words, ratio, asked(&name), most(&name)));
        }
    }

    /// Claims have requests alone.
    fn check_claim(&self, limit: &Value, problems: &mut Vec<String>) {
        let of = text(limit, "type");
        for (list, word, wrong) in
            [("min", "minimum", std::cmp::Ordering::Less), ("max", "maximum", std::cmp::Ordering::Greater)]
        {
            for (name, bound) in quantities(at(limit, list)) {
                let words = format!("{word} {name} usage per {of} is {bound}");
                match get(&self.requests, &name) {
                    None => problems.push(format!("{words}.  No request is specified")),
                    Some(request) if request.cmp(&bound) == wrong => {
                        problems.push(format!("{words}, but request is {request}"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

fn excess(
    words: &str,
    ratio: Quantity,
    request: Option<Quantity>,
    limit: Option<Quantity>,
) -> Option<String> {
    let Some(request) = request.filter(|request| !request.is_zero()) else {
        return Some(format!("{words}, but no request is specified or request is 0"));
    };
    let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
        return Some(format!("{words}, but no limit is specified or limit is 0"));
    };
    let (limit, request, ratio) = (limit.milli_value(), request.milli_value(), ratio.milli_value());
    // limit / request > ratio, without fractions.
    let over = i128::from(limit) * 1000 > i128::from(ratio) * i128::from(request);
    let shown = i128::from(limit) * 1_000_000 / i128::from(request.max(1));
    over.then(|| format!("{words}, but provided ratio is {}.{:06}", shown / 1_000_000, shown % 1_000_000))
}

fn quantities(list: &Value) -> Vec<(String, Quantity)> {
    let parsed = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.parse().ok()?));
    list.as_object().into_iter().flatten().filter_map(parsed).collect()
}

fn get(list: &[(String, Quantity)], name: &str) -> Option<Quantity> {
    list.iter().find(|(known, _)| known == name).map(|(_, quantity)| *quantity)
}

fn set(list: &mut Vec<(String, Quantity)>, name: String, quantity: Quantity) {
    match list.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = quantity,
        None => list.push((name, quantity)),
    }
}
