//! Whole volumes on a real file system, with real mounts: each test in a mount namespace of its own.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};

use api::codec::Typed;
use http::{Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::client::Body;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::sync::mpsc;

use super::*;
use crate::referenced::Held;

/// This thread alone sees what is mounted from here on.
#[expect(
    unsafe_code,
    reason = "unshare(2) can take descriptors from other threads, with a flag that is not used here"
)]
fn private_mounts() {
    // SAFETY: nothing but mounts and the working directory is no longer shared with other threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.expect("tests of mounts need root");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
}

struct Node {
    folder: tempfile::TempDir,
    volumes: Volumes,
    _held: Option<Held>,
}

/// Hands out `token-0`, `token-1` and so on, each good for 600 seconds.
fn token_server() -> client::Client {
    let count = Arc::new(AtomicUsize::new(0));
    let service = tower::service_fn(move |request: Request<Body>| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let answer = match request.uri().path() {
            "/api/v1/namespaces/n/serviceaccounts/sa/token" => format!(
                r#"{{"spec":{{"audiences":[],"expirationSeconds":600}},"status":{{"token":"token-{number}",
                "expirationTimestamp":"2026-11-21T00:00:00Z"}}}}"#
            ),
            other => panic!("{other}"),
        };
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::from(answer.into_bytes()))))
    });
    kube::Client::new(service, "default").into()
}

fn pod(spec: &str) -> Arc<Pod> {
    let text = format!(
        r#"{{"metadata":{{"name":"p","namespace":"n","uid":"u1","labels":{{"app":"web"}}}},"spec":{spec}}}"#
    );
    Arc::new(Pod::decode(text.as_bytes()).unwrap())
}

/// A pod with these volumes.
fn with(volumes: &str) -> Arc<Pod> {
    pod(&format!(r#"{{"serviceAccountName":"sa","containers":[],"volumes":[{volumes}]}}"#))
}

impl Node {
    fn new(pod: &Pod) -> Self {
        private_mounts();
        let config_map = ConfigMap::decode(
            br#"{"metadata":{"name":"c","namespace":"n"},"data":{"a":"1","b":"2"},"binaryData":{"bin":"AP8="}}"#,
        );
        let secret =
            Secret::decode(br#"{"metadata":{"name":"s","namespace":"n"},"data":{"password":"aHVudGVy"}}"#);
        let (referenced, held) = Referenced::holding(vec![config_map.unwrap()], vec![secret.unwrap()], pod);
        Self::with(referenced, token_server(), Some(held))
    }

    fn with(referenced: Arc<Referenced>, client: client::Client, held: Option<Held>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(folder.path(), referenced, client, Amounts::new());
        Self { folder, volumes, _held: held }
    }

    async fn prepare(&self, pod: &Arc<Pod>) -> BTreeMap<String, Mounted> {
        self.volumes.prepare(pod).await.unwrap()
    }

    async fn error(&self, pod: &Arc<Pod>) -> String {
        self.volumes.prepare(pod).await.unwrap_err().to_string()
    }

    /// On this thread, which alone sees the mounts.
    fn remove(&self) {
        let folder = self.volumes.folder("u1").unwrap();
        mounts::remove_tree(&folder).unwrap();
        assert!(!folder.exists());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _may_be_gone = mounts::remove_tree(&self.folder.path().join("u1"));
    }
}

fn read(mounted: &Mounted, name: &str) -> String {
    fs::read_to_string(mounted.path().join(name)).unwrap()
}

fn mode(mounted: &Mounted, name: &str) -> u32 {
    fs::metadata(mounted.path().join(name)).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_of_every_source_with_their_modes() {
    let pod = with(
        r#"{"name":"c","configMap":{"name":"c","defaultMode":292}},
        {"name":"s","secret":{"secretName":"s","items":[{"key":"password","path":"deep/in/pw","mode":256}]}},
        {"name":"d","downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}},
        {"name":"absent","configMap":{"name":"x","optional":true}},
        {"name":"all","projected":{"sources":[{"configMap":{"name":"c","items":[{"key":"a","path":"a"}]}},
            {"serviceAccountToken":{"path":"token","expirationSeconds":600}},
            {"downwardAPI":{"items":[{"path":"ns","fieldRef":{"fieldPath":"metadata.namespace"}}]}}]}}"#,
    );
    let node = Node::new(&pod);
    let mounted = node.prepare(&pod).await;
    assert_eq!((read(&mounted["c"], "a"), mode(&mounted["c"], "a")), ("1".to_owned(), 0o444));
    assert_eq!(fs::read(mounted["c"].path().join("bin")).unwrap(), [0, 255]);
    assert_eq!(
        (read(&mounted["s"], "deep/in/pw"), mode(&mounted["s"], "deep/in/pw")),
        ("hunter".into(), 0o400)
    );
    assert_eq!(read(&mounted["d"], "labels"), "app=\"web\"");
    assert_eq!(names(mounted["absent"].path()).iter().filter(|name| !name.starts_with("..")).count(), 0);
    let projected = &mounted["all"];
    assert_eq!(
        [read(projected, "a"), read(projected, "token"), read(projected, "ns")],
        ["1", "token-0", "n"]
    );
    assert!(projected.read_only);
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_eq!(device(mounted["c"].path()), device(projected.path()), "one tmpfs for all");
    assert_ne!(device(projected.path()), device(node.folder.path()));
    node.remove();
}

#[tokio::test]
async fn a_second_time_changes_nothing_until_the_pod_does() {
    let volumes = r#"{"name":"d","downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}"#;
    let first = with(volumes);
    let node = Node::new(&first);
    let mounted = node.prepare(&first).await;
    let data = || fs::read_link(mounted["d"].path().join("..data")).unwrap();
    let before = data();
    node.prepare(&first).await;
    assert_eq!(data(), before);
    let mut second = Pod::clone(&first);
    second.metadata.labels.get_or_insert_default().insert("tier".into(), "front".into());
    node.prepare(&Arc::new(second)).await;
    assert_ne!(data(), before);
    assert_eq!(read(&mounted["d"], "labels"), "app=\"web\"\ntier=\"front\"");
    let folders = names(mounted["d"].path());
    assert_eq!(folders.len(), 3, "the old content is gone: {folders:?}");
}

#[tokio::test]
async fn what_is_missing_is_told_in_upstreams_words() {
    let node =
        Node::new(&with(r#"{"name":"v","configMap":{"name":"x"}},{"name":"w","secret":{"secretName":"y"}}"#));
    let failed = |cause: &str| format!("MountVolume.SetUp failed for volume \"v\" : {cause}");
    for (volume, cause) in [
        (r#"{"name":"v","configMap":{"name":"x"}}"#, "configmap \"x\" not found"),
        (
            r#"{"name":"v","configMap":{"name":"c","items":[{"key":"z","path":"z"}]}}"#,
            "configmap references non-existent config key: z",
        ),
        (
            r#"{"name":"v","secret":{"secretName":"s","items":[{"key":"z","path":"z"}]}}"#,
            "references non-existent secret key: z",
        ),
        (
            r#"{"name":"v","projected":{"sources":[{"configMap":{"name":"x"}},{"secret":{"name":"y"}}]}}"#,
            "[configmap \"x\" not found, secret \"y\" not found]",
        ),
        (
            r#"{"name":"v","hostPath":{"path":"/nowhere","type":"Directory"}}"#,
            "hostPath type check failed: /nowhere is not a directory",
        ),
        (
            r#"{"name":"v","hostPath":{"path":"/etc","type":"Socket"}}"#,
            "hostPath type check failed: /etc is not a socket file",
        ),
        (
            r#"{"name":"v","persistentVolumeClaim":{"claimName":"x"}}"#,
            "persistentVolumeClaim volumes are not supported by skiff yet",
        ),
        (
            r#"{"name":"v","configMap":{"name":"c","items":[{"key":"a","path":"../a"}]}}"#,
            "invalid path '../a': it must be relative and must not contain '..'",
        ),
    ] {
        assert_eq!(node.error(&with(volume)).await, failed(cause));
    }
}

#[tokio::test]
async fn a_change_reaches_the_files() {
    private_mounts();
    let (sender, answers) = mpsc::unbounded_channel::<&'static str>();
    let answers = Arc::new(tokio::sync::Mutex::new(answers));
    let service = tower::service_fn(move |_: Request<Body>| {
        let answers = answers.clone();
        async move {
            let Some(answer) = answers.lock().await.recv().await else { std::future::pending().await };
            Ok::<_, Infallible>(Response::new(Body::from(answer.as_bytes().to_vec())))
        }
    });
    let referenced = Referenced::new(kube::Client::new(service, "default").into());
    let node = Node::with(referenced, token_server(), None);
    let pod = with(r#"{"name":"v","configMap":{"name":"c"}}"#);
    sender
        .send(
            r#"{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"c","namespace":"n",
            "resourceVersion":"5"},"data":{"a":"old","gone":"x"}}]}"#,
        )
        .unwrap();
    let mounted = node.prepare(&pod).await;
    assert_eq!(read(&mounted["v"], "a"), "old");
    let mut inotify = Changes::of(mounted["v"].path());
    sender
        .send(concat!(
            r#"{"type":"MODIFIED","object":{"metadata":{"name":"c","namespace":"n","resourceVersion":"6"},"#,
            r#""data":{"a":"new"}}}"#,
            "\n"
        ))
        .unwrap();
    while names(mounted["v"].path()).len() > 3 || read(&mounted["v"], "a") != "new" {
        inotify.next().await;
    }
    assert!(!mounted["v"].path().join("gone").exists());
}

/// Told of changes in a folder by the kernel.
struct Changes(tokio::net::unix::pipe::Receiver);

impl Changes {
    fn of(folder: &Path) -> Self {
        use rustix::fs::inotify;
        let descriptor =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&descriptor, folder, inotify::WatchFlags::ALL_EVENTS).unwrap();
        Self(tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(descriptor).unwrap())
    }

    async fn next(&mut self) {
        self.0.readable().await.unwrap();
        let _nothing_more = self.0.try_read(&mut [0; 4096]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_when_most_of_its_life_is_over() {
    let pod = with(
        r#"{"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"token","expirationSeconds":600}}]}}"#,
    );
    let node = Node::new(&pod);
    let mounted = node.prepare(&pod).await;
    tokio::time::sleep(std::time::Duration::from_secs(470)).await;
    assert_eq!(read(&mounted["t"], "token"), "token-0");
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(read(&mounted["t"], "token"), "token-1");
}

#[tokio::test]
async fn the_group_of_the_pod_owns_its_volumes() {
    let pod = pod(r#"{"serviceAccountName":"sa","securityContext":{"fsGroup":2000,"runAsUser":1000},
        "containers":[{"name":"a"},{"name":"b","securityContext":{"runAsUser":1000}}],"volumes":[
        {"name":"c","configMap":{"name":"c","defaultMode":256}},{"name":"e","emptyDir":{}},
        {"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"token"}}]}}]}"#);
    let node = Node::new(&pod);
    let mounted = node.prepare(&pod).await;
    let owner = |volume: &str, name: &str| {
        let metadata = fs::metadata(mounted[volume].path().join(name)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(owner("c", "a"), (0, 2000, 0o440));
    assert_eq!(owner("e", ""), (0, 2000, 0o2777));
    assert_eq!(owner("t", "token"), (1000, 2000, 0o640));
    let before = fs::read_link(mounted["c"].path().join("..data")).unwrap();
    node.prepare(&pod).await;
    assert_eq!(fs::read_link(mounted["c"].path().join("..data")).unwrap(), before);
}

#[tokio::test]
async fn empty_dirs_outlive_the_node_agent_and_keep_their_limit() {
    let pod = with(
        r#"{"name":"disk","emptyDir":{}},{"name":"mem","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}}"#,
    );
    let node = Node::new(&pod);
    let mounted = node.prepare(&pod).await;
    for (volume, usual) in [("disk", 0o777), ("mem", 0o1777)] {
        assert_eq!(mode(&mounted[volume], ""), usual, "{volume}");
        fs::write(mounted[volume].path().join("kept"), "x").unwrap();
    }
    let (referenced, held) = Referenced::holding(Vec::new(), Vec::new(), &pod);
    let second = Volumes::new(node.folder.path(), referenced, token_server(), Amounts::new());
    assert_eq!(second.prepare(&pod).await.unwrap(), mounted);
    drop(held);
    assert_eq!(read(&mounted["disk"], "kept") + &read(&mounted["mem"], "kept"), "xx");
    assert_holds_no_more_than_a_megabyte(&mounted["mem"]);
    node.remove();
}

fn assert_holds_no_more_than_a_megabyte(volume: &Mounted) {
    let full = fs::write(volume.path().join("large"), vec![0; 2 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn what_a_pod_may_use_bounds_its_volumes_in_memory() {
    let pod = pod(r#"{"containers":[{"name":"a","resources":{"limits":{"memory":"1Mi"}}}],"volumes":[
        {"name":"all","emptyDir":{"medium":"Memory"}},
        {"name":"more","emptyDir":{"medium":"Memory","sizeLimit":"1Gi"}}]}"#);
    let node = Node::new(&pod);
    let mounted = node.prepare(&pod).await;
    for volume in ["all", "more"] {
        assert_holds_no_more_than_a_megabyte(&mounted[volume]);
    }
    node.remove();
}

#[tokio::test]
async fn host_paths_are_made_where_the_pod_allows_it() {
    let node = Node::new(&with(""));
    let base = node.folder.path().join("host");
    let pod = |name: &str, kind: &str| {
        let path = base.join(name);
        with(&format!(r#"{{"name":"v","hostPath":{{"path":"{}","type":"{kind}"}}}}"#, path.display()))
    };
    node.prepare(&pod("dir", "DirectoryOrCreate")).await;
    let file = node.prepare(&pod("file", "FileOrCreate")).await;
    assert!(base.join("dir").is_dir() && base.join("file").is_file());
    assert!(!file["v"].read_only);
    node.prepare(&pod("any", "")).await;
    assert!(base.join("any").is_dir());
    assert!(node.error(&pod("dir", "File")).await.ends_with("is not a file"));
}

#[tokio::test]
async fn a_sub_path_stays_inside_its_volume() {
    let pod = with(r#"{"name":"v","emptyDir":{}}"#);
    let node = Node::new(&pod);
    let volume = node.prepare(&pod).await["v"].clone();
    fs::create_dir_all(volume.path().join("real")).unwrap();
    fs::write(volume.path().join("real/file"), "inside").unwrap();
    symlink("real", volume.path().join("link")).unwrap();
    symlink("/etc", volume.path().join("out")).unwrap();
    symlink("../../..", volume.path().join("up")).unwrap();

    assert_eq!(volume.source("").unwrap(), volume.path());
    let bound = volume.source("link/file").unwrap();
    assert_eq!(fs::read_to_string(&bound).unwrap(), "inside");
    assert_eq!(volume.source("link/file").unwrap(), bound, "bound once");
    // What was bound stays bound, whatever the pod swings to another place.
    fs::remove_file(volume.path().join("link")).unwrap();
    symlink("/etc", volume.path().join("link")).unwrap();
    assert_eq!(fs::read_to_string(&bound).unwrap(), "inside");
    for outside in ["link", "out/passwd", "up", "out"] {
        assert!(matches!(volume.source(outside), Err(SubPathError::Outside { .. })), "{outside}");
    }
    assert!(matches!(volume.source("/etc"), Err(SubPathError::Absolute(_))));
    assert!(matches!(volume.source("a/../../b"), Err(SubPathError::Back(_))));

    let made = volume.source("new/deep").unwrap();
    assert_eq!(fs::metadata(volume.path().join("new/deep")).unwrap().mode() & 0o7777, 0o777);
    fs::write(made.join("seen"), "").unwrap();
    assert!(volume.path().join("new/deep/seen").exists());
    node.remove();
}

#[tokio::test]
async fn a_sub_path_that_was_replaced_is_bound_anew() {
    let pod = with(r#"{"name":"v","emptyDir":{}}"#);
    let node = Node::new(&pod);
    let volume = node.prepare(&pod).await["v"].clone();
    fs::write(volume.path().join("f"), "first").unwrap();
    volume.source("f").unwrap();
    fs::rename(volume.path().join("f"), volume.path().join("old")).unwrap();
    fs::create_dir(volume.path().join("f")).unwrap();
    assert!(volume.source("f").unwrap().is_dir());
}

#[tokio::test]
async fn removal_spares_what_is_mounted_and_a_sweep_spares_the_living() {
    let pod =
        with(r#"{"name":"mem","emptyDir":{"medium":"Memory"}},{"name":"h","hostPath":{"path":"/etc"}}"#);
    let node = Node::new(&pod);
    let mounted = node.prepare(&pod).await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "").unwrap();
    let inside = mounted["mem"].path().join("bound");
    fs::create_dir(&inside).unwrap();
    rustix::mount::mount_bind(outside.path(), &inside).unwrap();
    node.remove();
    assert!(outside.path().join("precious").exists());

    fs::create_dir_all(node.folder.path().join("dead/empty")).unwrap();
    fs::create_dir_all(node.folder.path().join("alive")).unwrap();
    assert!(node.volumes.sweep(&BTreeSet::from(["alive".to_owned()])).await.is_empty());
    assert_eq!(names(node.folder.path()), ["alive"]);
    assert!(matches!(node.volumes.remove("../x").await, Err(Error::Uid(_))));
}
