//! Objects in the version that the client speaks, where they are stored in another.
//!
//! Verbs know the stored form alone: what comes in is converted where bodies and patches are read, and what goes out here.
//! Managed fields are those of the stored form. A list is gathered first: only clients of old versions pay for it.

use api::kinds::Kind;
use api::status::Status;
use api::value::{items_mut, remove, replace};
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::body::whole;

/// An answer about objects of `view`, made of one about their stored form.
pub(crate) async fn shown(view: &'static Kind, answer: Answer) -> Result<Answer, Status> {
    let (parts, bytes) = answer::gathered(answer).await?;
    let body = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) => {
            show(view, &mut value);
            whole(value.to_string())
        }
        Err(_) => whole(bytes),
    };
    Ok(Answer::from_parts(parts, body))
}

/// The same of a watch.
pub(crate) fn events(view: &'static Kind, answer: Answer) -> Answer {
    answer::changed(answer, move |lines| {
        let mut out = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut event: Value = serde_json::from_slice(line)?;
            event.get_mut("object").into_iter().for_each(|object| show(view, object));
            serde_json::to_writer(&mut out, &event)?;
            out.push(b'\n');
        }
        Ok::<_, serde_json::Error>(out)
    })
}

/// Converts an object or a list of the stored form, and leaves everything else alone.
fn show(view: &'static Kind, value: &mut Value) {
    let stored = view.stored();
    if value["apiVersion"] != stored.api_version() {
        return;
    }
    if value["kind"] == stored.kind {
        view.from_stored(value);
    } else if value["kind"] == stored.list_kind {
        replace(value, "apiVersion", Some(view.api_version().into()));
        for item in items_mut(value, "items") {
            let typed = item.get("apiVersion").is_some();
            view.from_stored(item);
            if !typed {
                remove(item, "apiVersion");
            }
        }
    }
}
