//! Requests, limits and other lists of quantities.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::claims;
use super::containers::is_sidecar;
use crate::field::{Errors, Node};
use crate::names;
use crate::quantity::Quantity;
use crate::value::{at, list};

/// The quantity of `name` in a resource list.
pub(in crate::kinds) fn quantity_of(list: &Value, name: &str) -> Option<Quantity> {
    parse(list.get(name)?)
}

/// Quantities come as strings, and as numbers from people who leave the quotes out.
pub(in crate::kinds) fn parse(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Writes every quantity of a list in its canonical form, nothing finer than thousandths.
pub(in crate::kinds) fn round_up(list: &mut Value) {
    for value in list.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(quantity) = parse(value) {
            *value = quantity.round_up_to_milli().to_string().into();
        }
    }
}

/// A list whose quantities are what they should be: parsed, not negative, whole where the resource cannot be split.
pub(in crate::kinds) fn resource_list(list: &Node<'_, '_>, errors: &mut Errors) {
    for (name, quantity) in list.entries() {
        errors.extend(
            names::qualified_name(name)
                .into_iter()
                .map(|problem| quantity.invalid_as(name.as_str(), problem)),
        );
        amount(name, &quantity, errors);
    }
}

/// One quantity of a list: parsed, not negative, whole where the resource cannot be split.
pub(in crate::kinds) fn amount(name: &str, at: &Node<'_, '_>, errors: &mut Errors) -> Option<Quantity> {
    let Some(amount) = parse(at.value) else {
        errors.push(at.invalid(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ));
        return None;
    };
    if amount.is_negative() {
        errors.push(at.invalid_as(amount.to_string(), names::NON_NEGATIVE));
    }
    if is_countable(name) && !amount.is_whole() {
        errors.push(at.invalid_as(amount.to_string(), "must be an integer"));
    }
    Some(amount)
}

/// What a namespace holds of one kind of object.
const OBJECTS: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Things that come in ones: extended resources, pods and other objects.
fn is_countable(name: &str) -> bool {
    OBJECTS.contains(&name) || is_extended(name)
}

/// Resources that Kubernetes itself knows.
pub(in crate::kinds) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Resources of somebody else's, by their domain.
pub(in crate::kinds) fn is_extended(name: &str) -> bool {
    let fits_a_quota = || names::qualified_name(&format!("requests.{name}")).is_empty();
    !is_native(name) && !name.starts_with("requests.") && fits_a_quota()
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether more may be promised than there is: pages and devices are handed out one by one.
pub(in crate::kinds) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

const FOR_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const FOR_QUOTAS: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// Whether a quota may name the resource without a domain.
pub(in crate::kinds) fn is_for_quotas(name: &str) -> bool {
    let huge = is_huge_page(name) || name.starts_with("requests.hugepages-");
    FOR_QUOTAS.contains(&name) || OBJECTS.contains(&name) || huge
}

/// The name of any resource, at its quantity: qualified, and known where it has no domain.
pub(in crate::kinds) fn resource_name(name: &str, at: &Node<'_, '_>, errors: &mut Errors) {
    let problems = names::qualified_name(name);
    if problems.is_empty() && !name.contains('/') && name != "storage" && !is_for_quotas(name) {
        errors.push(at.invalid_as(name, "must be a standard resource type or fully qualified"));
    }
    errors.extend(problems.into_iter().map(|problem| at.invalid_as(name, problem)));
}

/// The name of a resource that containers can ask for, at its quantity.
pub(in crate::kinds) fn container_resource(name: &str, at: &Node<'_, '_>, errors: &mut Errors) {
    resource_name(name, at, errors);
    if !name.contains('/') {
        if !FOR_CONTAINERS.contains(&name) && !is_huge_page(name) {
            errors.push(at.invalid_as(name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(at.invalid_as(name, "doesn't follow extended resource name standard"));
    }
}

/// The name of a resource that a pod as a whole can ask for, at its quantity.
fn pod_resource(name: &str, at: &Node<'_, '_>, errors: &mut Errors) {
    let known = errors.len();
    resource_name(name, at, errors);
    if errors.len() == known && !is_for_pods(name) {
        let supported = Value::String(name.to_owned());
        let named = Node { value: &supported, path: at.path };
        errors.push(named.unsupported(&["cpu", "hugepages-", "memory"]));
    }
}

pub(super) fn is_for_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

type NameRule = fn(&str, &Node<'_, '_>, &mut Errors);

/// The `resources` of a container.
pub(super) fn of_container(resources: &Node<'_, '_>, claims: &BTreeSet<&str>, errors: &mut Errors) {
    requirements(resources, container_resource, errors);
    claims::of_container(&resources.at("claims"), claims, errors);
}

/// What a pod takes beside its containers.
pub(super) fn overhead(overhead: &Node<'_, '_>, errors: &mut Errors) {
    let path = overhead.path.field("limits");
    limits(&overhead.named(path), container_resource, errors);
}

fn requirements(resources: &Node<'_, '_>, name_rule: NameRule, errors: &mut Errors) {
    let (limit_list, request_list) = (resources.at("limits"), resources.at("requests"));
    limits(&limit_list, name_rule, errors);
    for (name, request) in request_list.entries() {
        name_rule(name, &request, errors);
        let Some(amount) = amount(name, &request, errors) else { continue };
        fits(name, amount, &request_list, &limit_list, errors);
        huge_pages(name, amount, &request, errors);
    }
    let named = |rule: fn(&str) -> bool| {
        [&limit_list, &request_list].into_iter().flat_map(Node::entries).any(|(name, _)| rule(name))
    };
    if named(is_huge_page) && !named(|name| matches!(name, "cpu" | "memory")) {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
}

fn limits(limits: &Node<'_, '_>, name_rule: NameRule, errors: &mut Errors) {
    for (name, limit) in limits.entries() {
        name_rule(name, &limit, errors);
        if let Some(amount) = amount(name, &limit, errors) {
            huge_pages(name, amount, &limit, errors);
        }
    }
}

/// A request is not above its limit, and equal to it where nothing can be promised twice.
fn fits(name: &str, amount: Quantity, requests: &Node<'_, '_>, limits: &Node<'_, '_>, errors: &mut Errors) {
    let detail = match quantity_of(limits.value, name) {
        Some(limit) if amount != limit && !may_overcommit(name) => {
            format!("must be equal to {name} limit of {limit}")
        }
        Some(limit) if amount > limit => format!("must be less than or equal to {name} limit of {limit}"),
        None if !may_overcommit(name) => {
            return errors.push(limits.required("Limit must be set for non overcommitable resources"));
        }
        _ => return,
    };
    errors.push(requests.invalid_as(amount.to_string(), detail));
}

/// Huge pages are asked for by the page.
fn huge_pages(name: &str, amount: Quantity, at: &Node<'_, '_>, errors: &mut Errors) {
    let Some(size) = name.strip_prefix("hugepages-") else { return };
    let page = size.parse::<Quantity>().ok().filter(|page| page.is_whole()).map_or(0, Quantity::value);
    if page <= 0 || amount.value() % page != 0 {
        let detail = format!("{amount} is not positive integer multiple of {name}");
        errors.push(at.invalid_as(amount.to_string(), detail));
    }
}

/// The `resources` of a pod as a whole: its containers share them.
pub(super) fn of_pod(spec: &Node<'_, '_>, errors: &mut Errors) {
    let whole = spec.at("resources");
    if !whole.is_set() {
        return;
    }
    let claims = whole.at("claims");
    if claims.is_set() {
        errors.push(claims.forbidden("claims cannot be set for Resources at pod-level"));
    }
    requirements(&whole, pod_resource, errors);
    let requests = whole.at("requests");
    for (name, asked) in together(spec.value, "requests") {
        let given = quantity_of(requests.value, name).unwrap_or(Quantity::ZERO);
        if is_for_pods(name) && asked > given {
            errors.push(requests.key(name).invalid_as(
                given.to_string(),
                format!("must be greater than or equal to aggregate container requests of {asked}"),
            ));
        }
    }
    for (index, container) in list(spec.value, "containers").iter().enumerate() {
        within(&whole, index, at(container, "resources.limits"), errors);
    }
}

/// No container has a limit above that of the pod.
fn within(whole: &Node<'_, '_>, index: usize, limits: &Value, errors: &mut Errors) {
    let most = at(whole.value, "limits");
    for name in limits.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if let (Some(limit), Some(most)) = (quantity_of(limits, name), quantity_of(most, name))
            && limit > most
        {
            // Upstream's path.
            let containers = whole.at("containers");
            let container = containers.path.index(index);
            let of = container.key(name);
            errors.push(containers.named(of.field("limits")).invalid_as(
                limit.to_string(),
                format!("must be less than or equal to pod limits of {most}"),
            ));
        }
    }
}

/// What the containers of a pod ask for (`requests`) or may take (`limits`) together: all that stay, or more while an
/// init container runs beside the sidecars that started before it.
pub(super) fn together<'v>(spec: &'v Value, kind: &str) -> BTreeMap<&'v str, Quantity> {
    let mut sum: BTreeMap<&str, Quantity> = BTreeMap::new();
    let mut sidecars: BTreeMap<&str, Quantity> = BTreeMap::new();
    let mut most: BTreeMap<&str, Quantity> = BTreeMap::new();
    for container in list(spec, "containers") {
        each(container, kind, |name, amount| add(&mut sum, name, amount));
    }
    for container in list(spec, "initContainers") {
        let stays = is_sidecar(container);
        each(container, kind, |name, amount| {
            let beside = sidecars.get(name).copied().unwrap_or(Quantity::ZERO);
            let now = if beside.is_zero() { amount } else { beside + amount };
            let entry = most.entry(name).or_insert(now);
            *entry = now.max(*entry);
            if stays {
                sidecars.insert(name, now);
                add(&mut sum, name, amount);
            }
        });
    }
    for (name, amount) in most {
        let entry = sum.entry(name).or_insert(amount);
        *entry = amount.max(*entry);
    }
    sum
}

fn each<'v>(container: &'v Value, kind: &str, mut take: impl FnMut(&'v str, Quantity)) {
    for (name, value) in at(at(container, "resources"), kind).as_object().into_iter().flatten() {
        if let Some(amount) = parse(value) {
            take(name, amount);
        }
    }
}

fn add<'v>(sum: &mut BTreeMap<&'v str, Quantity>, name: &'v str, amount: Quantity) {
    let entry = sum.entry(name).or_insert(Quantity::ZERO);
    *entry = if entry.is_zero() { amount } else { *entry + amount };
}
