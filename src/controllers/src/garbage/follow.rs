//! The metadata of one kind, followed for ever.

use std::collections::HashSet;
use std::time::Duration;

use api::kinds::Kind;
use client::{Error, Event, ListOptions, Path};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use task::{Backoff, causes};
use tracing::{debug, warn};

use super::Collector;

/// Objects per page of a list: bounds what is held while it is read.
const PAGE: u32 = 500;

impl Collector {
    /// Lists and watches for ever; a lost server is asked again, less and less often.
    pub(super) async fn follow(&self, kind: &'static Kind) {
        let path = Path::collection_of(kind, "");
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut revision = None;
        loop {
            match self.follow_once(kind, &path, &mut revision).await {
                Ok(()) => backoff.reset(),
                Err(error) if error.is_expired() => revision = None,
                Err(error) => {
                    warn!(kind = kind.qualified_kind(), error = %causes(&error), "cannot follow owners and owned, trying again");
                    backoff.wait().await;
                }
            }
        }
    }

    /// One list if there is nothing to go on from, then one watch to its end.
    async fn follow_once(
        &self,
        kind: &'static Kind,
        path: &Path,
        revision: &mut Option<String>,
    ) -> Result<(), Error> {
        let from = match revision.take() {
            Some(from) => from,
            None => self.read_all(kind, path).await?,
        };
        let mut watch = self.client.watch_metadata(path, revision.insert(from)).await?;
        while let Some(event) = watch.next().await {
            let reached = match event? {
                Event::Applied(object) => self.applied(kind, object),
                Event::Deleted(object) => self.deleted(object),
                Event::Bookmark { revision } => Some(revision),
            };
            *revision = reached.or(revision.take());
        }
        Ok(())
    }

    async fn read_all(&self, kind: &'static Kind, path: &Path) -> Result<String, Error> {
        let mut there = HashSet::new();
        let mut options = ListOptions { limit: PAGE, ..ListOptions::default() };
        loop {
            let page = self.client.list_metadata(path, &options).await?;
            for object in page.items {
                there.extend(object.uid.clone());
                self.applied(kind, object);
            }
            match page.continue_token {
                Some(token) => options.continue_token = token,
                None => {
                    let work = self.graph().listed(kind, &there);
                    self.add(work);
                    debug!(kind = kind.qualified_kind(), objects = there.len(), "owners and owned are known");
                    return Ok(page.revision);
                }
            }
        }
    }

    fn applied(&self, kind: &'static Kind, object: ObjectMeta) -> Option<String> {
        let work = self.graph().applied(kind, &object);
        self.add(work);
        object.resource_version
    }

    fn deleted(&self, object: ObjectMeta) -> Option<String> {
        let work = self.graph().deleted(object.uid.as_deref().unwrap_or_default());
        self.add(work);
        object.resource_version
    }
}
