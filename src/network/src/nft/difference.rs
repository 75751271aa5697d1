//! What leads from one table to the next.
//!
//! In an order in which nothing is named before it is there, or removed while it is used: rules of chains that go are
//! taken out first, then sets and chains can go.

use std::collections::{HashMap, HashSet};

use super::change::Change;
use super::ruleset::{Chain, Element, Ruleset, Set};

/// None if a chain or a set is there in both but of another kind: that table is replaced.
pub(super) fn difference(old: &Ruleset, new: &Ruleset) -> Option<Vec<Change>> {
    let old_chains: HashMap<&str, &Chain> = old.chains.iter().map(|it| (it.name.as_str(), it)).collect();
    let old_sets: HashMap<&str, &Set> = old.sets.iter().map(|it| (it.name.as_str(), it)).collect();
    let new_chains: HashSet<&str> = new.chains.iter().map(|it| it.name.as_str()).collect();
    let new_sets: HashSet<&str> = new.sets.iter().map(|it| it.name.as_str()).collect();
    let mut made = Vec::new();
    let mut removed = Vec::new();
    let mut rules = Vec::new();
    let mut added = Vec::new();

    for chain in &new.chains {
        match old_chains.get(chain.name.as_str()) {
            Some(known) if known.base != chain.base => return None,
            Some(known) if known.rules == chain.rules => {}
            Some(_) => rules.push(Change::Rules(chain.clone())),
            None => {
                made.push(Change::AddChain(chain.clone()));
                rules.push(Change::Rules(chain.clone()));
            }
        }
    }
    for set in &new.sets {
        match old_sets.get(set.name.as_str()) {
            Some(known) if frame(known) != frame(set) => return None,
            Some(known) if known.elements == set.elements => {}
            Some(known) => {
                removed.push(Change::Remove(frame(set), less(&known.elements, &set.elements)));
                added.push(Change::Add(frame(set), less(&set.elements, &known.elements)));
            }
            None => {
                made.push(Change::AddSet(frame(set)));
                added.push(Change::Add(frame(set), set.elements.clone()));
            }
        }
    }
    let gone_chains = || old.chains.iter().filter(|chain| !new_chains.contains(chain.name.as_str()));
    let gone_sets = old.sets.iter().filter(|set| !new_sets.contains(set.name.as_str()));
    rules.extend(gone_chains().map(|chain| Change::Rules(Chain { rules: Vec::new(), ..chain.clone() })));
    let ends = gone_sets.map(|set| Change::RemoveSet(set.name.clone()));
    let ends = ends.chain(gone_chains().map(|chain| Change::RemoveChain(chain.name.clone())));
    let all = made.into_iter().chain(removed).chain(rules).chain(added).chain(ends);
    Some(all.filter(|change| !change.is_empty()).collect())
}

/// The set without its elements.
fn frame(set: &Set) -> Set {
    Set {
        elements: Vec::new(),
        name: set.name.clone(),
        key: set.key.clone(),
        stored: set.stored.clone(),
        ..*set
    }
}

fn less(these: &[Element], those: &[Element]) -> Vec<Element> {
    let those: HashSet<&Element> = those.iter().collect();
    these.iter().filter(|element| !those.contains(element)).cloned().collect()
}
