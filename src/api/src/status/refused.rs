//! Failures that depend on who asks, on what is stored, or on the state of the server.

use super::{ListMeta, Resource, Status};

impl Status {
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// `pods "x" is forbidden: why`; an empty name is left out.
    pub fn forbidden(resource: Resource<'_>, name: &str, why: &str) -> Self {
        let message = match (resource.name, name) {
            ("", "") => format!("forbidden: {why}"),
            (_, "") => format!("{resource} is forbidden: {why}"),
            (_, name) => format!("{resource} {name:?} is forbidden: {why}"),
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    pub fn not_found(resource: Resource<'_>, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {name:?} not found")).about(resource, name)
    }

    /// No resource has this path.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub fn already_exists(resource: Resource<'_>, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).about(resource, name)
    }

    /// A name made from `generateName` met an existing one; the client should try again.
    pub fn generate_name_conflict(resource: Resource<'_>, name: &str) -> Self {
        let message = format!(
            "{resource} {name:?} already exists, the server was not able to generate a unique name for the object"
        );
        Self::new(409, "AlreadyExists", message).about(resource, name).retry_after(1)
    }

    /// `Operation cannot be fulfilled on pods "x": why`
    pub fn conflict(resource: Resource<'_>, name: &str, why: &str) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {resource} {name:?}: {why}"))
            .about(resource, name)
    }

    /// The object changed since the client read it.
    pub fn modified(resource: Resource<'_>, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 410 for a thing that will not come back.
    pub fn gone(message: &str) -> Self {
        Self::new(410, "Gone", message)
    }

    /// 410 for a resource version or continue token that is too old.
    pub fn expired(message: &str) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410 for a continue token whose moment is no longer known, with one that goes on in the present.
    pub fn continue_expired(token: &str) -> Self {
        let mut status = Self::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
             results. Continuing with the provided token results in an inconsistent list - objects that were created, \
             modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        );
        status.list = Some(Box::new(ListMeta { continue_token: token.to_owned() }));
        status
    }

    pub fn too_many_requests(message: &str, retry_after_seconds: u32) -> Self {
        Self::new(429, "TooManyRequests", message).retry_after(retry_after_seconds)
    }

    pub fn internal(error: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {error}")).caused("", error, "")
    }

    /// What upstream did not foresee, and so tells as it is: no word for machines, and nothing before the message.
    pub fn unforeseen(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    pub fn unavailable(message: &str) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The operation took longer than it may.
    pub fn timeout(message: &str, retry_after_seconds: u32) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {message}")).retry_after(retry_after_seconds)
    }

    /// A revision that is still to come; or one of another cluster, which never will.
    pub fn too_large_resource_version(wanted: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {current}");
        Self::timeout(&message, 1).caused("ResourceVersionTooLarge", "Too large resource version", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PODS: Resource<'_> = Resource { group: "", name: "pods" };
    const DEPLOYMENTS: Resource<'_> = Resource { group: "apps", name: "deployments" };

    #[test]
    fn messages_are_upstreams() {
        assert_eq!(Status::not_found(PODS, "x").message, "pods \"x\" not found");
        assert_eq!(Status::already_exists(DEPLOYMENTS, "x").message, "deployments.apps \"x\" already exists");
        assert_eq!(
            Status::modified(PODS, "x").message,
            "Operation cannot be fulfilled on pods \"x\": the object has been modified; please apply your changes to \
             the latest version and try again"
        );
        assert_eq!(Status::forbidden(PODS, "", "no").message, "pods is forbidden: no");
        assert_eq!(Status::internal("boom").message, "Internal error occurred: boom");
    }

    #[test]
    fn details_name_the_resource() {
        let details = Status::not_found(DEPLOYMENTS, "x").to_value()["details"].clone();
        assert_eq!(details, serde_json::json!({"name": "x", "group": "apps", "kind": "deployments"}));
        assert_eq!(Status::unauthorized().to_value().get("details"), None);
        assert_eq!(Status::too_many_requests("slow down", 2).to_value()["details"]["retryAfterSeconds"], 2);
    }
}
