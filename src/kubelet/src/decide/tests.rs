//! Each test is a pod and what is known of it, in words, against what is decided.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, ContainerRestartRuleOnExitCodes};
use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::backoff::Backoff;
use crate::record::{Busy, Ended, Place, Retry, Running};

fn container(name: &str) -> Container {
    Container { name: name.into(), ..Container::default() }
}

fn sidecar(name: &str) -> Container {
    Container { restart_policy: Some("Always".into()), ..container(name) }
}

fn spec(policy: &str, init: Vec<Container>, main: &[&str]) -> PodSpec {
    PodSpec {
        restart_policy: Some(policy.into()),
        init_containers: Some(init),
        containers: main.iter().map(|name| container(name)).collect(),
        ..PodSpec::default()
    }
}

fn running(started: bool) -> Record {
    let running = Running { since: Timestamp::UNIX_EPOCH, started, ready: true, condemned: None };
    Record { place: Place::Running(running), attempt: Some(0), ..Record::default() }
}

fn ended(code: i32, seen: Instant) -> Record {
    let mut record = Record { attempt: Some(0), ..Record::default() };
    record.end(Ended {
        attempt: 0,
        code,
        signal: None,
        reason: String::new(),
        message: String::new(),
        cause: None,
        started: None,
        finished: Timestamp::UNIX_EPOCH,
        seen,
    });
    record
}

fn busy(busy: Busy, record: Record) -> Record {
    Record { busy: Some(busy), ..record }
}

fn plan(spec: &PodSpec, records: &[(&str, Record)], ending: bool) -> Plan {
    plan_at(spec, records, ending, Instant::now())
}

fn plan_at(spec: &PodSpec, records: &[(&str, Record)], ending: bool, now: Instant) -> Plan {
    let records: BTreeMap<_, _> =
        records.iter().map(|(name, record)| ((*name).to_owned(), record.clone())).collect();
    decide(&View { spec, records: &records, sandbox: Sandbox::Ready, ending, now })
}

fn start(names: &[&str]) -> Vec<Action> {
    names.iter().map(|name| Action::Start((*name).into())).collect()
}

fn stop(names: &[&str]) -> Vec<Action> {
    names.iter().map(|name| Action::Stop((*name).into(), None)).collect()
}

#[test]
fn a_sandbox_comes_first() {
    let spec = spec("Always", vec![], &["web"]);
    let records = BTreeMap::new();
    let view = |sandbox| View { spec: &spec, records: &records, sandbox, ending: false, now: Instant::now() };
    assert_eq!(decide(&view(Sandbox::None)).actions, [Action::MakeSandbox]);
    assert_eq!(decide(&view(Sandbox::Busy)), Plan::default());
    assert_eq!(decide(&view(Sandbox::Ready)).actions, start(&["web"]));
}

#[test]
fn init_containers_run_one_after_the_other_and_sidecars_stay() {
    let spec = spec("Always", vec![container("a"), sidecar("b"), container("c")], &["x", "y"]);
    let done = || ended(0, Instant::now());
    assert_eq!(plan(&spec, &[], false).actions, start(&["a"]));
    assert_eq!(plan(&spec, &[("a", busy(Busy::Starting, Record::default()))], false).actions, []);
    assert_eq!(plan(&spec, &[("a", done())], false).actions, start(&["b"]));
    assert_eq!(plan(&spec, &[("a", done()), ("b", running(false))], false).actions, []);
    assert_eq!(plan(&spec, &[("a", done()), ("b", running(true))], false).actions, start(&["c"]));
    let all = [("a", done()), ("b", running(true)), ("c", done())];
    assert_eq!(plan(&spec, &all, false).actions, start(&["x", "y"]));
    // A sidecar that dies is restarted and holds nothing up that began after it.
    let late = [("a", done()), ("b", done()), ("c", done()), ("x", running(true))];
    assert_eq!(plan(&spec, &late, false).actions, start(&["b", "y"]));
}

#[test]
fn restart_policies() {
    let cases = [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ];
    for (policy, code, again) in cases {
        let plan = plan(&spec(policy, vec![], &["web"]), &[("web", ended(code, Instant::now()))], false);
        assert_eq!((plan.actions == start(&["web"]), plan.finished), (again, !again), "{policy} {code}");
    }
}

#[test]
fn a_container_s_own_policy_and_rules_go_before_the_pod_s() {
    let mut spec = spec("Never", vec![], &["web"]);
    let codes = ContainerRestartRuleOnExitCodes { operator: "In".into(), values: Some(vec![42]) };
    let rule = ContainerRestartRule { action: "Restart".into(), exit_codes: Some(codes) };
    spec.containers[0].restart_policy = Some("Never".into());
    spec.containers[0].restart_policy_rules = Some(vec![rule]);
    assert_eq!(plan(&spec, &[("web", ended(42, Instant::now()))], false).actions, start(&["web"]));
    assert!(plan(&spec, &[("web", ended(1, Instant::now()))], false).finished);
    spec.containers[0].restart_policy = Some("OnFailure".into());
    assert_eq!(plan(&spec, &[("web", ended(1, Instant::now()))], false).actions, start(&["web"]));
}

#[test]
fn a_failed_init_container_ends_a_pod_that_may_not_restart() {
    let init = || vec![container("a")];
    let failed = [("a", ended(1, Instant::now()))];
    assert!(plan(&spec("Never", init(), &["web"]), &failed, false).finished);
    assert_eq!(plan(&spec("OnFailure", init(), &["web"]), &failed, false).actions, start(&["a"]));
    assert_eq!(plan(&spec("Always", init(), &["web"]), &failed, false).actions, start(&["a"]));
}

#[test]
fn who_crashes_again_waits() {
    let spec = spec("Always", vec![], &["web"]);
    let seen = Instant::now();
    let mut crash = Backoff::default();
    crash.count(seen);
    let records = [("web", Record { crash, ..ended(1, seen) })];
    let quiet = plan_at(&spec, &records, false, seen);
    assert_eq!((quiet.actions, quiet.wake), (vec![], Some(seen + ANNOUNCE)));
    let told = plan_at(&spec, &records, false, seen + ANNOUNCE);
    let delay = Duration::from_secs(10);
    assert_eq!(told.actions, [Action::Hold("web".into(), Hold::Crashed(delay))]);
    assert_eq!(told.wake, Some(seen + delay));
    assert_eq!(plan_at(&spec, &records, false, seen + delay).actions, start(&["web"]));
}

#[test]
fn a_failed_start_waits_too() {
    let spec = spec("Always", vec![], &["web"]);
    let now = Instant::now();
    let retry = Retry { since: now, until: now + Duration::from_secs(10), told: None };
    let records = [("web", Record { retry: Some(retry), ..Record::default() })];
    assert_eq!(
        plan_at(&spec, &records, false, now + ANNOUNCE).actions,
        [Action::Hold("web".into(), Hold::Failed)]
    );
    assert_eq!(plan_at(&spec, &records, false, now + Duration::from_secs(10)).actions, start(&["web"]));
}

#[test]
fn the_condemned_are_stopped_once() {
    let spec = spec("Always", vec![], &["web"]);
    let mut record = running(true);
    record.running_mut().unwrap().condemned = Some(Cause::Liveness);
    let stop = [Action::Stop("web".into(), Some(Cause::Liveness))];
    assert_eq!(plan(&spec, &[("web", record.clone())], false).actions, stop);
    assert_eq!(plan(&spec, &[("web", busy(Busy::Stopping, record))], false).actions, []);
}

#[test]
fn who_was_stopped_for_a_reason_starts_again_however_it_ended() {
    let after = |policy: &str, cause: Cause| {
        let mut record = ended(0, Instant::now());
        record.ends[0].as_mut().unwrap().cause = Some(cause);
        plan(&spec(policy, vec![], &["web"]), &[("web", record)], false).actions == start(&["web"])
    };
    assert!(after("OnFailure", Cause::Liveness) && after("OnFailure", Cause::Startup));
    assert!(!after("Never", Cause::Liveness), "it is not the container that was changed");
    assert!(after("Never", Cause::Changed) && after("OnFailure", Cause::Resized));
    assert!(!after("OnFailure", Cause::PostStart), "it is as with every other end");
}

#[test]
fn sidecars_end_last_and_from_the_last() {
    let spec = spec("Always", vec![sidecar("a"), sidecar("b")], &["x", "y"]);
    let all = [("a", running(true)), ("b", running(true)), ("x", running(true)), ("y", running(true))];
    assert_eq!(plan(&spec, &all, true).actions, stop(&["x", "y"]));
    let gone = || ended(0, Instant::now());
    let mains = [("a", running(true)), ("b", running(true)), ("x", gone()), ("y", gone())];
    assert_eq!(plan(&spec, &mains, true).actions, stop(&["b"]));
    let stopping =
        [("a", running(true)), ("b", busy(Busy::Stopping, running(true))), ("x", gone()), ("y", gone())];
    assert_eq!(plan(&spec, &stopping, true).actions, []);
    let last = [("a", running(true)), ("b", gone()), ("x", gone()), ("y", gone())];
    assert_eq!(plan(&spec, &last, true).actions, stop(&["a"]));
    let none = [("a", gone()), ("b", gone()), ("x", gone()), ("y", gone())];
    assert!(plan(&spec, &none, true).finished);
}

#[test]
fn a_job_with_a_sidecar_finishes() {
    let spec = spec("OnFailure", vec![sidecar("log")], &["work"]);
    let done = [("log", running(true)), ("work", ended(0, Instant::now()))];
    assert_eq!(plan(&spec, &done, false).actions, stop(&["log"]));
}

#[test]
fn a_pod_that_never_began_is_finished_when_it_must_end() {
    assert!(plan(&spec("Always", vec![], &["web"]), &[], true).finished);
}
