//! One object, kept true by a list and a watch that select it by name.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, Error, Event, Key, ListOptions, Object as Kind, Path, Scoped};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use task::{Backoff, Tasks, causes};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::{Followed, Known, Object, Reference};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Begins to follow an object.
pub(super) fn start(client: Client, reference: &Reference) -> Followed {
    let (known, receiver) = watch::channel(Known::Nothing);
    let mut tasks = Tasks::new();
    match reference.clone() {
        Reference::ConfigMap(key) => {
            let follower = Follower { client, key, known, object: config_map };
            tasks.spawn("configmap watch", follower.run());
        }
        Reference::Secret(key) => {
            let follower = Follower { client, key, known, object: secret };
            tasks.spawn("secret watch", follower.run());
        }
    }
    Followed { known: receiver, _watch: tasks }
}

/// The object, and whether it can never change.
type Seen = (Object, bool);

fn config_map(mut object: ConfigMap) -> Seen {
    object.metadata.managed_fields = None;
    let immutable = object.immutable == Some(true);
    (Object::ConfigMap(Arc::new(object)), immutable)
}

fn secret(mut object: Secret) -> Seen {
    object.metadata.managed_fields = None;
    let immutable = object.immutable == Some(true);
    (Object::Secret(Arc::new(object)), immutable)
}

struct Follower<K> {
    client: Client,
    key: Key,
    known: watch::Sender<Known>,
    object: fn(K) -> Seen,
}

/// Whether there is more to come.
enum Course {
    GoesOn,
    Immutable,
}

impl<K: Kind<Scope: Scoped>> Follower<K> {
    async fn run(self) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
        loop {
            match self.follow().await {
                Ok(Course::Immutable) => return,
                Ok(Course::GoesOn) => backoff.reset(),
                Err(error) if error.is_expired() => debug!(kind = K::KIND, key = %self.key, "reading again"),
                Err(error) => {
                    warn!(kind = K::KIND, key = %self.key, error = %causes(&error), "cannot follow the object, trying again");
                    backoff.wait().await;
                }
            }
        }
    }

    /// One list, then one watch to its end.
    async fn follow(&self) -> Result<Course, Error> {
        let path = Path::collection::<K>(&self.key.namespace);
        let fields = format!("metadata.name={}", self.key.name);
        let options = ListOptions { fields, ..ListOptions::default() };
        let page = self.client.list::<K>(&path, &options).await?;
        if let Course::Immutable = self.tell(page.items.into_iter().next()) {
            return Ok(Course::Immutable);
        }
        let mut watch = self.client.watch::<K>(&path, &options, &page.revision).await?;
        while let Some(event) = watch.next().await {
            let object = match event? {
                Event::Applied(object) => Some(object),
                Event::Deleted(_) => None,
                Event::Bookmark { .. } => continue,
            };
            if let Course::Immutable = self.tell(object) {
                return Ok(Course::Immutable);
            }
        }
        Ok(Course::GoesOn)
    }

    /// Publishes what differs from what is known.
    fn tell(&self, object: Option<K>) -> Course {
        let (new, immutable) = match object.map(self.object) {
            Some((object, immutable)) => (Known::Present(object), immutable),
            None => (Known::Absent, false),
        };
        self.known.send_if_modified(|known| {
            let changed = known.revision() != new.revision();
            *known = new;
            changed
        });
        if immutable { Course::Immutable } else { Course::GoesOn }
    }
}

impl Known {
    /// Tells two states apart: nothing, absence, and each revision of the object.
    fn revision(&self) -> Option<Option<&str>> {
        match self {
            Self::Nothing => None,
            Self::Absent => Some(None),
            Self::Present(Object::ConfigMap(object)) => Some(object.metadata.resource_version.as_deref()),
            Self::Present(Object::Secret(object)) => Some(object.metadata.resource_version.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use api::codec::Typed;
    use http::{Request, Response};
    use k8s_openapi::api::core::v1::Pod;
    use kube::client::Body;
    use tokio::sync::mpsc;

    use super::super::{Error, Referenced};
    use super::*;

    /// An API server whose next answer the test writes; what was asked for is written down.
    fn server() -> (Client, mpsc::UnboundedSender<&'static str>, Arc<Mutex<Vec<String>>>) {
        let (sender, answers) = mpsc::unbounded_channel::<&'static str>();
        let answers = Arc::new(tokio::sync::Mutex::new(answers));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            log.lock().unwrap().push(request.uri().to_string());
            let answers = answers.clone();
            async move {
                let Some(answer) = answers.lock().await.recv().await else { std::future::pending().await };
                Ok::<_, Infallible>(Response::new(Body::from(answer.as_bytes().to_vec())))
            }
        });
        (kube::Client::new(service, "default").into(), sender, asked)
    }

    fn pod() -> Pod {
        Pod::decode(
            br#"{"metadata":{"name":"p","namespace":"n"},"spec":{"containers":[],
            "volumes":[{"name":"v","configMap":{"name":"c"}}]}}"#,
        )
        .unwrap()
    }

    const ABSENT: &str = r#"{"metadata":{"resourceVersion":"5"},"items":[]}"#;
    const ADDED: &str = concat!(
        r#"{"type":"ADDED","object":{"metadata":{"name":"c","namespace":"n","resourceVersion":"6"},"data":{"k":"v"}}}"#,
        "\n"
    );

    #[tokio::test]
    async fn absent_then_there_by_one_watch_of_one_object() {
        let (client, answers, asked) = server();
        let referenced = Referenced::new(client);
        let mut held = referenced.hold(&pod());
        answers.send(ABSENT).unwrap();
        let missing = referenced.config_map("n", "c").await.unwrap_err();
        assert_eq!(missing.to_string(), "configmap \"c\" not found");
        held.changed().await;
        answers.send(ADDED).unwrap();
        held.changed().await;
        let found = referenced.config_map("n", "c").await.unwrap();
        assert_eq!(found.data.as_ref().unwrap()["k"], "v");
        let asked = asked.lock().unwrap();
        assert_eq!(asked[0], "/api/v1/namespaces/n/configmaps?fieldSelector=metadata.name%3Dc");
        assert!(asked[1].contains("watch=true") && asked[1].contains("resourceVersion=5"), "{}", asked[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_told_from_an_absent_object() {
        let (client, _answers, _) = server();
        let referenced = Referenced::new(client);
        let held = referenced.hold(&pod());
        assert_eq!(referenced.config_map("n", "c").await.unwrap_err(), Error::Unsynced { kind: "configmap" });
        drop(held);
        let error = referenced.config_map("n", "c").await.unwrap_err();
        assert_eq!(error.to_string(), "object \"n\"/\"c\" not registered");
    }
}
