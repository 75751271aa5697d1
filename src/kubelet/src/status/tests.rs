//! Pods in words and what is told of them.

use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, PodCondition, PodReadinessGate, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;

use super::*;
use crate::record::{Busy, Ended, Place, Record, Running, Used, Waiting};

fn container(name: &str) -> Container {
    Container { name: name.into(), image: Some("app".into()), ..Container::default() }
}

fn spec(init: &[&str], main: &[&str]) -> PodSpec {
    let all = |names: &[&str]| names.iter().map(|name| container(name)).collect();
    PodSpec { init_containers: Some(all(init)), containers: all(main), ..PodSpec::default() }
}

fn running(ready: bool) -> Record {
    let running = Running { since: Timestamp::UNIX_EPOCH, started: true, ready, condemned: None };
    Record { place: Place::Running(running), attempt: Some(0), ..Record::default() }
}

fn ended(code: i32) -> Record {
    let mut record = Record { attempt: Some(0), ..Record::default() };
    record.end(Ended {
        attempt: 0,
        code,
        signal: None,
        reason: if code == 0 { "Completed" } else { "Error" }.into(),
        message: String::new(),
        cause: None,
        started: None,
        finished: Timestamp::UNIX_EPOCH,
        seen: Instant::now(),
    });
    record
}

struct Story {
    pod: Pod,
    records: Records,
    finished: bool,
    verdict: Option<Verdict>,
    delay: Option<Delay>,
}

impl Story {
    fn new(spec: PodSpec, records: &[(&str, Record)]) -> Self {
        let metadata = ObjectMeta { uid: Some("u".into()), generation: Some(3), ..ObjectMeta::default() };
        let pod = Pod { metadata, spec: Some(spec), ..Pod::default() };
        let records = records.iter().map(|(name, record)| ((*name).to_owned(), record.clone())).collect();
        Self { pod, records, finished: false, verdict: None, delay: None }
    }

    fn finished(self) -> Self {
        Self { finished: true, ..self }
    }

    fn status(&self) -> PodStatus {
        status(&Portrait {
            pod: &self.pod,
            spec: self.pod.spec.as_ref().unwrap(),
            records: &self.records,
            sandbox_ready: true,
            pod_ips: &[[10, 42, 0, 7].into()],
            host_ips: &[[192, 168, 1, 2].into()],
            start_time: Timestamp::UNIX_EPOCH,
            verdict: self.verdict.as_ref(),
            finished: self.finished,
            delay: self.delay.as_ref(),
            before: self.pod.status.as_ref(),
            now: Timestamp::from_second(100).unwrap(),
        })
    }

    fn phase(&self) -> String {
        self.status().phase.unwrap()
    }
}

fn condition(status: &PodStatus, type_: &str) -> (String, Option<String>, Option<String>) {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == type_).unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

fn main_of(status: &PodStatus) -> &ContainerStatus {
    &status.container_statuses.as_ref().unwrap()[0]
}

#[test]
fn phases() {
    let two = || spec(&[], &["a", "b"]);
    assert_eq!(Story::new(two(), &[]).phase(), "Pending");
    assert_eq!(Story::new(two(), &[("a", running(true))]).phase(), "Pending", "b is being created");
    assert_eq!(Story::new(two(), &[("a", running(true)), ("b", ended(1))]).phase(), "Running");
    assert_eq!(Story::new(two(), &[("a", ended(0)), ("b", ended(0))]).phase(), "Running", "not over yet");
    assert_eq!(Story::new(two(), &[("a", ended(0)), ("b", ended(0))]).finished().phase(), "Succeeded");
    assert_eq!(Story::new(two(), &[("a", ended(0)), ("b", ended(1))]).finished().phase(), "Failed");
    let init = || spec(&["i"], &["a"]);
    assert_eq!(Story::new(init(), &[("i", running(false))]).phase(), "Pending");
    assert_eq!(Story::new(init(), &[("i", ended(0)), ("a", running(true))]).phase(), "Running");
    assert_eq!(Story::new(init(), &[("i", ended(1))]).finished().phase(), "Failed");
    assert_eq!(Story::new(init(), &[]).finished().phase(), "Failed", "deleted before it began");
}

#[test]
fn a_ready_pod() {
    let status = Story::new(spec(&[], &["a"]), &[("a", running(true))]).status();
    for type_ in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        assert_eq!(condition(&status, type_), ("True".into(), None, None), "{type_}");
    }
    let main = main_of(&status);
    assert!(main.ready && main.started == Some(true) && main.state.as_ref().unwrap().running.is_some());
    assert_eq!(main.container_id.as_deref(), Some("skiff://u_a_0"));
    assert_eq!(
        (status.pod_ip.as_deref(), status.host_ip.as_deref()),
        (Some("10.42.0.7"), Some("192.168.1.2"))
    );
    assert_eq!((status.qos_class.as_deref(), status.observed_generation), (Some("BestEffort"), Some(3)));
}

#[test]
fn conditions_name_who_is_missing() {
    let status = Story::new(spec(&["i", "j"], &["a", "b"]), &[("i", ended(0))]).status();
    let no =
        |reason: &str, message: &str| ("False".to_owned(), Some(reason.to_owned()), Some(message.to_owned()));
    assert_eq!(
        condition(&status, "Initialized"),
        no("ContainersNotInitialized", "containers with incomplete status: [j]")
    );
    for type_ in ["Ready", "ContainersReady"] {
        let expected = no("ContainersNotReady", "containers with unready status: [a b]");
        assert_eq!(condition(&status, type_), expected);
    }
}

#[test]
fn readiness_gates() {
    let mut gated = spec(&[], &["a"]);
    gated.readiness_gates = Some(vec![PodReadinessGate { condition_type: "x/y".into() }]);
    let mut story = Story::new(gated, &[("a", running(true))]);
    let message = r#"corresponding condition of pod readiness gate "x/y" does not exist."#;
    let expected = ("False".to_owned(), Some("ReadinessGatesNotReady".to_owned()), Some(message.to_owned()));
    assert_eq!(condition(&story.status(), "Ready"), expected);
    assert_eq!(condition(&story.status(), "ContainersReady").0, "True");
    let gate = PodCondition { type_: "x/y".into(), status: "True".into(), ..PodCondition::default() };
    story.pod.status = Some(PodStatus { conditions: Some(vec![gate]), ..PodStatus::default() });
    assert_eq!(condition(&story.status(), "Ready").0, "True");
}

#[test]
fn a_crash_is_told_with_its_last_end() {
    let waiting = Waiting { reason: "CrashLoopBackOff", message: "back-off".into() };
    let record = Record { waiting: Some(waiting), ..ended(1) };
    let story = Story::new(spec(&[], &["a"]), &[("a", record)]);
    let status = story.status();
    let main = main_of(&status);
    let state = main.state.as_ref().unwrap();
    assert_eq!(state.waiting.as_ref().unwrap().reason.as_deref(), Some("CrashLoopBackOff"));
    let last = main.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (1, Some("Error")));
    let status = story.finished().status();
    assert!(
        main_of(&status).state.as_ref().unwrap().terminated.is_some(),
        "nothing waits in a pod that is over"
    );
}

#[test]
fn main_containers_wait_for_initialisation() {
    let busy = Record { busy: Some(Busy::Starting), ..Record::default() };
    let reason = |records: &[(&str, Record)]| {
        let status = Story::new(spec(&["i"], &["a"]), records).status();
        main_of(&status).state.clone().unwrap().waiting.unwrap().reason.unwrap()
    };
    assert_eq!(reason(&[]), "PodInitializing");
    assert_eq!(reason(&[("i", ended(0)), ("a", busy)]), "ContainerCreating");
}

#[test]
fn a_verdict_is_told_when_nothing_runs_any_more() {
    let mut story = Story::new(spec(&[], &["a"]), &[("a", running(true))]);
    story.verdict = Some(Verdict { reason: "DeadlineExceeded".into(), message: "too long".into() });
    assert_eq!((story.phase().as_str(), story.status().reason), ("Running", None));
    story.records.insert("a".into(), ended(0));
    let story = story.finished();
    assert_eq!(
        (story.phase().as_str(), story.status().reason.as_deref()),
        ("Failed", Some("DeadlineExceeded"))
    );
    assert_eq!(condition(&story.status(), "Ready"), ("False".into(), Some("PodFailed".into()), None));
}

#[test]
fn what_was_given_is_told_apart_from_what_there_is() {
    let resources = |cpu: &str| {
        let list = Some([("cpu".to_owned(), Quantity(cpu.to_owned()))].into());
        Some(ResourceRequirements { requests: list, ..ResourceRequirements::default() })
    };
    let mut granted = spec(&[], &["a"]);
    granted.containers[0].resources = resources("2");
    let used = Used {
        image: "app".into(),
        image_id: String::new(),
        user: None,
        stop_signal: None,
        resources: resources("1"),
    };
    let down = Story::new(granted.clone(), &[("a", Record { used: Some(used.clone()), ..ended(1) })]);
    assert_eq!(main_of(&down.status()).resources, resources("2"), "its next start has it");
    let mut story = Story::new(granted, &[("a", Record { used: Some(used), ..running(true) })]);
    story.delay = Some(Delay::Deferred("no room".into()));
    let told = story.status();
    let expected = ("True".to_owned(), Some("Deferred".to_owned()), Some("no room".to_owned()));
    assert_eq!(condition(&told, "PodResizePending"), expected);
    let main = main_of(&told);
    assert_eq!(main.resources, resources("1"));
    assert_eq!(main.allocated_resources, resources("2").unwrap().requests);
    let waiting = text(&told).unwrap();
    story.delay = Some(Delay::Failed("busy".into()));
    let expected = ("True".to_owned(), Some("Error".to_owned()), Some("busy".to_owned()));
    assert_eq!(condition(&story.status(), "PodResizeInProgress"), expected);
    story.delay = None;
    let patch = text(&story.status()).unwrap().patch("u", &waiting).unwrap();
    let gone = serde_json::json!([{"type": "PodResizePending", "$patch": "delete"}]);
    assert_eq!(patch["status"]["conditions"], gone);
}

#[test]
fn who_is_lost_is_told_so() {
    let story = Story::new(spec(&[], &["a", "b"]), &[("a", ended(0))]).finished();
    let status = story.status();
    let lost = &status.container_statuses.as_ref().unwrap()[1];
    let end = lost.state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((end.exit_code, end.reason.as_deref()), (137, Some("ContainerStatusUnknown")));
}

#[test]
fn times_of_conditions_stay_until_they_turn() {
    let mut story = Story::new(spec(&[], &["a"]), &[("a", running(true))]);
    let mut first = story.status();
    for condition in first.conditions.iter_mut().flatten() {
        condition.last_transition_time = Some(Time(Timestamp::from_second(7).unwrap()));
    }
    story.pod.status = Some(first);
    story.records.insert("a".into(), running(false));
    let status = story.status();
    let at = |type_: &str| {
        let found = status.conditions.iter().flatten().find(|condition| condition.type_ == type_).unwrap();
        found.last_transition_time.as_ref().unwrap().0.as_second()
    };
    assert_eq!((at("Initialized"), at("Ready")), (7, 100));
}

#[test]
fn only_changes_are_sent() {
    let mut story = Story::new(spec(&[], &["a"]), &[("a", running(false))]);
    let old = text(&story.status()).unwrap();
    story.pod.status = Some(story.status());
    assert_eq!(text(&story.status()).unwrap().patch("u", &old), None);
    story.records.insert("a".into(), running(true));
    let patch = text(&story.status()).unwrap().patch("u", &old).unwrap();
    assert_eq!(patch["metadata"]["uid"], "u");
    let changed: Vec<_> = patch["status"].as_object().unwrap().keys().collect();
    assert_eq!(changed, ["conditions", "containerStatuses"]);
    let ready = &patch["status"]["conditions"][0];
    assert_eq!((&ready["type"], &ready["status"]), (&"Ready".into(), &"True".into()));
    assert!(ready["reason"].is_null() && ready.get("reason").is_some(), "the reason is taken away");
}
