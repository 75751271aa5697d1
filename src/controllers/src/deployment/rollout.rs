//! How many pods each ReplicaSet of a Deployment may have next: plain arithmetic over plain numbers.
//!
//! One step at a time: scale up the new set as far as the surge allows, then take from the old ones what availability
//! allows, pods that do not work first. The next status change brings the next step.

use k8s_openapi::api::apps::v1::DeploymentSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::rounding::{Round, resolve};

/// What a Deployment asks for, resolved to numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) replicas: i32,
    pub(super) max_surge: i32,
    pub(super) max_unavailable: i32,
    pub(super) recreate: bool,
}

/// A ReplicaSet as the arithmetic sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Asked for.
    pub(super) replicas: i32,
    pub(super) available: i32,
    /// The most its Deployment allowed in all when this set was last scaled.
    pub(super) max_when_scaled: Option<i32>,
}

/// New sizes, each beside the index of the set among those given.
pub(super) type Step = Vec<(usize, i32)>;

impl Goal {
    pub(super) fn of(spec: &DeploymentSpec) -> Self {
        let replicas = spec.replicas.unwrap_or(1);
        let strategy = spec.strategy.as_ref();
        let recreate = strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate");
        if recreate {
            return Self { replicas, max_surge: 0, max_unavailable: 0, recreate };
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".into());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
        let max_surge = resolve(surge, replicas, Round::Up);
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
        let max_unavailable = resolve(unavailable, replicas, Round::Down);
        // Neither more nor fewer would never get anywhere.
        let max_unavailable = if max_surge == 0 && max_unavailable == 0 { 1 } else { max_unavailable };
        Self { replicas, max_surge, max_unavailable: max_unavailable.min(replicas), recreate }
    }

    pub(super) fn most(self) -> i32 {
        self.replicas.saturating_add(self.max_surge)
    }

    pub(super) fn least_available(self) -> i32 {
        self.replicas - self.max_unavailable
    }

    /// The size of a new set beside others that have `others` pods in all.
    pub(super) fn size_of_new(self, current: i32, others: i64) -> i32 {
        if self.recreate || current >= self.replicas {
            return self.replicas;
        }
        let room = i64::from(self.most()) - others - i64::from(current);
        current + up_to(self.replicas - current, room)
    }

    /// The next step of a rolling update from `old`, oldest first, to `new`; `None` when there is nothing to do.
    ///
    /// The new set is number 0, the old ones follow.
    pub(super) fn rolling_step(self, new: Size, old: &[Size]) -> Option<Step> {
        let others = total(old, |set| set.replicas);
        let size = self.size_of_new(new.replicas, others);
        if size != new.replicas {
            return Some(vec![(0, size)]);
        }
        let step = self.shrink_old(new, old);
        (!step.is_empty()).then_some(step)
    }

    fn shrink_old(self, new: Size, old: &[Size]) -> Step {
        let least = i64::from(self.least_available());
        // What of the new set does not work yet spares nobody.
        let spare = total(old, |set| set.replicas) + i64::from(new.available) - least;
        if spare <= 0 {
            return Step::new();
        }
        let mut sizes: Vec<i32> = old.iter().map(|set| set.replicas).collect();
        take(&mut sizes, old.iter().map(|set| set.replicas - set.available), spare);
        // What is left over of availability goes next, and never more than was there to spare.
        let available = i64::from(new.available) + total(old, |set| set.available);
        let healthy: Vec<i32> = sizes.clone();
        take(&mut sizes, healthy.into_iter(), available - least);
        changed(old, &sizes)
    }

    /// The sizes after `replicas` itself has changed in the middle of a rolling update: every set keeps its share.
    pub(super) fn proportional(self, sets: &[Size]) -> Step {
        let allowed = if self.replicas > 0 { self.most() } else { 0 };
        let to_add = i64::from(allowed) - total(sets, |set| set.replicas);
        // The larger first: rounding errors hurt them least, and the largest takes the rest.
        let mut order: Vec<usize> = (0..sets.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(sets[*index].replicas));
        let mut sizes: Vec<i64> = sets.iter().map(|set| i64::from(set.replicas)).collect();
        let mut added = 0;
        for &index in &order {
            let share = self.share(sets[index], to_add, added);
            sizes[index] += share;
            added += share;
        }
        if let Some(&largest) = order.first() {
            sizes[largest] += to_add - added;
        }
        let sizes = sizes.into_iter().map(|size| up_to(i32::MAX, size));
        let different = sizes.zip(sets).enumerate().filter(|(_, (size, set))| *size != set.replicas);
        different.map(|(index, (size, _))| (index, size)).collect()
    }

    fn share(self, set: Size, to_add: i64, added: i64) -> i64 {
        if set.replicas == 0 || to_add == added {
            return 0;
        }
        if self.replicas == 0 {
            return -i64::from(set.replicas);
        }
        let before = f64::from(set.max_when_scaled.filter(|most| *most > 0).unwrap_or(self.most()));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float that is too large becomes the largest i32"
        )]
        let size = (f64::from(set.replicas) * f64::from(self.most()) / before).round() as i32;
        let (more, left) = (i64::from(size - set.replicas), to_add - added);
        if to_add > 0 { more.min(left) } else { more.max(left) }
    }
}

/// Of several sets together: more than fits the count of one.
fn total(sets: &[Size], of: impl Fn(&Size) -> i32) -> i64 {
    sets.iter().map(|set| i64::from(of(set))).sum()
}

/// As many as are wanted, no fewer than none and no more than `most`.
fn up_to(most: i32, wanted: i64) -> i32 {
    i32::try_from(wanted.max(0)).unwrap_or(i32::MAX).min(most)
}

/// Takes up to `budget` from `sizes`, from each no more than `available` says.
fn take(sizes: &mut [i32], takable: impl Iterator<Item = i32>, mut budget: i64) {
    for (size, takable) in sizes.iter_mut().zip(takable) {
        let taken = up_to(takable.max(0), budget);
        *size -= taken;
        budget -= i64::from(taken);
    }
}

fn changed(old: &[Size], sizes: &[i32]) -> Step {
    let different = old.iter().zip(sizes).enumerate().filter(|(_, (set, size))| set.replicas != **size);
    different.map(|(index, (_, size))| (index + 1, *size)).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};

    use super::*;

    fn goal(replicas: i32, surge: &str, unavailable: &str) -> Goal {
        let value = |text: &str| match text.parse() {
            Ok(number) => IntOrString::Int(number),
            Err(_) => IntOrString::String(text.into()),
        };
        let rolling = RollingUpdateDeployment {
            max_surge: Some(value(surge)),
            max_unavailable: Some(value(unavailable)),
        };
        let strategy = DeploymentStrategy { rolling_update: Some(rolling), ..DeploymentStrategy::default() };
        Goal::of(&DeploymentSpec {
            replicas: Some(replicas),
            strategy: Some(strategy),
            ..DeploymentSpec::default()
        })
    }

    fn size(replicas: i32, available: i32) -> Size {
        Size { replicas, available, max_when_scaled: None }
    }

    #[test]
    fn percentages_round_in_favour_of_availability() {
        let goal = goal(10, "25%", "25%");
        assert_eq!((goal.max_surge, goal.max_unavailable), (3, 2));
        let stuck = self::goal(10, "0", "0%");
        assert_eq!((stuck.max_surge, stuck.max_unavailable), (0, 1));
        assert_eq!(self::goal(1, "0", "5").max_unavailable, 1);
    }

    #[test]
    fn a_rolling_update_never_leaves_its_bounds_and_arrives() {
        for (replicas, surge, unavailable) in
            [(1, "25%", "25%"), (3, "1", "0"), (3, "0", "1"), (10, "30%", "30%"), (7, "100%", "0")]
        {
            let goal = goal(replicas, surge, unavailable);
            let (mut new, mut old) = (size(0, 0), vec![size(replicas, replicas)]);
            let mut steps = 0;
            while let Some(step) = goal.rolling_step(new, &old) {
                for (index, replicas) in step {
                    let set = if index == 0 { &mut new } else { &mut old[index - 1] };
                    set.replicas = replicas;
                    set.available = set.available.min(replicas);
                }
                let (all, available) = (new.replicas + old[0].replicas, new.available + old[0].available);
                assert!(
                    all <= goal.most() && available >= goal.least_available(),
                    "{goal:?}: {new:?} {old:?}"
                );
                // The next pods become ready before the next step.
                new.available = new.replicas;
                steps += 1;
                assert!(steps < 100, "{goal:?} does not arrive: {new:?} {old:?}");
            }
            assert_eq!((new.replicas, old[0].replicas), (replicas, 0), "{goal:?}");
        }
    }

    #[test]
    fn any_number_may_be_asked_for() {
        let all = i32::MAX;
        let goal = goal(all, "25%", "25%");
        let huge = [size(all, 1), size(all, all)];
        assert_eq!(goal.size_of_new(0, 2 * i64::from(all)), 0, "there is no room");
        assert_eq!(goal.rolling_step(size(0, 0), &huge), Some(vec![(1, 0), (2, goal.least_available())]));
        assert_eq!(goal.proportional(&[size(all, all), size(all, all), size(7, 7)]), [(0, 0)]);
    }

    #[test]
    fn pods_that_do_not_work_go_first_and_do_not_count_as_availability() {
        let goal = goal(3, "1", "0");
        assert_eq!(goal.rolling_step(size(1, 0), &[size(3, 3)]), None, "the new pod is not available yet");
        assert_eq!(goal.rolling_step(size(1, 1), &[size(3, 3)]), Some(vec![(1, 2)]));
        assert_eq!(goal.rolling_step(size(1, 1), &[size(1, 0), size(2, 2)]), Some(vec![(1, 0)]));
    }

    #[test]
    fn recreate_makes_all_new_ones_at_once() {
        let strategy = DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None };
        let goal = Goal::of(&DeploymentSpec {
            replicas: Some(4),
            strategy: Some(strategy),
            ..DeploymentSpec::default()
        });
        assert_eq!(goal.size_of_new(0, 0), 4);
    }

    #[test]
    fn scaling_in_the_middle_of_an_update_keeps_the_shares() {
        let scaled_at = |replicas, most| Size { replicas, available: replicas, max_when_scaled: Some(most) };
        let sets = [scaled_at(8, 13), scaled_at(5, 13)];
        let step = goal(20, "6", "0").proportional(&sets);
        assert_eq!(step, [(0, 16), (1, 10)]);
        assert_eq!(goal(0, "3", "0").proportional(&sets), [(0, 0), (1, 0)]);
    }
}
