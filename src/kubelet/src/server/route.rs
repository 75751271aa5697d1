//! What a path means.

use super::Refusal;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Health,
    Pods,
    Log { namespace: &'a str, pod: &'a str, container: &'a str },
    Exec(Target<'a>),
    Attach(Target<'a>),
    PortForward { namespace: &'a str, pod: &'a str, uid: Option<&'a str> },
}

/// A container; of the pod with this uid, if that is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) uid: Option<&'a str>,
    pub(super) container: &'a str,
}

/// Names of the API need no escapes, so none are decoded.
pub(super) fn of(path: &str) -> Result<Route<'_>, Refusal> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["healthz"] => Ok(Route::Health),
        ["pods" | "runningpods"] => Ok(Route::Pods),
        ["containerLogs", namespace, pod, container] => Ok(Route::Log { namespace, pod, container }),
        ["exec", ref rest @ ..] => target(rest).map(Route::Exec).ok_or_else(unknown),
        ["attach", ref rest @ ..] => target(rest).map(Route::Attach).ok_or_else(unknown),
        ["portForward", namespace, pod] => Ok(Route::PortForward { namespace, pod, uid: None }),
        ["portForward", namespace, pod, uid] => Ok(Route::PortForward { namespace, pod, uid: Some(uid) }),
        _ => Err(unknown()),
    }
}

fn target<'a>(parts: &[&'a str]) -> Option<Target<'a>> {
    match parts {
        [namespace, pod, container] => Some(Target { namespace, pod, uid: None, container }),
        [namespace, pod, uid, container] => Some(Target { namespace, pod, uid: Some(uid), container }),
        _ => None,
    }
}

fn unknown() -> Refusal {
    Refusal::not_found("404 page not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_upstreams() {
        assert_eq!(of("/healthz"), Ok(Route::Health));
        let target = Target { namespace: "n", pod: "p", uid: None, container: "c" };
        assert_eq!(of("/exec/n/p/c"), Ok(Route::Exec(target)));
        let target = Target { namespace: "n", pod: "p", uid: Some("u"), container: "c" };
        assert_eq!(of("/attach/n/p/u/c"), Ok(Route::Attach(target)));
        assert_eq!(of("/portForward/n/p"), Ok(Route::PortForward { namespace: "n", pod: "p", uid: None }));
        for unknown in ["/", "/run/n/p/c", "/exec/n/p", "/containerLogs/n/p"] {
            assert!(of(unknown).is_err(), "{unknown}");
        }
    }
}
