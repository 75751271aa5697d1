//! Pod templates as values: compared, kept in revisions, and named by a hash.

use api::codec::Typed;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Value, json};

/// A short name for a template: the same for the same template, and safe in names and labels.
///
/// `collisions` makes another one when the name is taken by something of another template.
pub(crate) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    // Vowels and what looks like them are left out, so that no hash reads as a word.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let bytes = carrier(template).encode().unwrap_or_default().into_iter().chain(collisions.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}

/// What a ControllerRevision keeps of a workload: the patch that brings this template back.
pub(crate) fn patch(template: &PodTemplateSpec) -> Value {
    let bytes = carrier(template).encode().unwrap_or_default();
    let mut whole: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let mut template = whole["spec"]["template"].take();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template that a revision's patch brings back.
pub(crate) fn of_patch(patch: &Value) -> Option<PodTemplateSpec> {
    let mut patch = patch.clone();
    patch["spec"]["template"].as_object_mut()?.remove("$patch");
    DaemonSet::decode(patch.to_string().as_bytes()).ok().map(|carrier| carrier.spec.template)
}

/// Only whole objects have a codec: the template travels in one.
fn carrier(template: &PodTemplateSpec) -> DaemonSet {
    let mut carrier = DaemonSet::default();
    carrier.spec.template = template.clone();
    carrier
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, PodSpec};

    use super::*;

    fn template(image: &str) -> PodTemplateSpec {
        let container = Container { name: "web".into(), image: Some(image.into()), ..Container::default() };
        PodTemplateSpec {
            metadata: None,
            spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        }
    }

    #[test]
    fn a_hash_names_a_template() {
        let first = hash(&template("web:1"), 0);
        assert_eq!(first, hash(&template("web:1"), 0));
        assert_ne!(first, hash(&template("web:2"), 0));
        assert_ne!(first, hash(&template("web:1"), 1));
        assert!(first.len() <= 10 && !first.contains(['a', 'e', 'i', 'o', 'u', '0', '1', '3']), "{first}");
    }

    #[test]
    fn a_patch_replaces_the_template() {
        let patch = patch(&template("web:1"));
        assert_eq!(of_patch(&patch), Some(template("web:1")));
        assert_eq!(patch["spec"]["template"]["$patch"], "replace");
        assert_eq!(patch["spec"]["template"]["spec"]["containers"][0]["image"], "web:1");
    }
}
