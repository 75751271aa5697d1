//! What a container may do: capabilities, system calls, privileges.

use k8s_openapi::api::core::v1::{Container, PodSpec, SeccompProfile as Profile};
use oci::SeccompProfile;
use oci::capabilities::{Capabilities, Capability};

use super::Error;
use crate::app_armor;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) privileged: bool,
    pub(super) capabilities: Capabilities,
    pub(super) no_new_privileges: bool,
    pub(super) seccomp: SeccompProfile,
    pub(super) unmasked: bool,
}

pub(super) fn of(spec: &PodSpec, container: &Container) -> Result<Rights, Error> {
    let own = container.security_context.clone().unwrap_or_default();
    let privileged = own.privileged == Some(true);
    let profile = own
        .seccomp_profile
        .as_ref()
        .or(spec.security_context.as_ref().and_then(|all| all.seccomp_profile.as_ref()));
    // The pod as a whole was looked at when it came; an ephemeral container comes later.
    if app_armor::is_wanted_by(container) {
        return Err(Error::Unsupported("an AppArmor profile"));
    }
    let lists = own.capabilities.unwrap_or_default();
    Ok(Rights {
        privileged,
        capabilities: capabilities(privileged, lists.add.as_deref(), lists.drop.as_deref())?,
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        seccomp: if privileged { SeccompProfile::Unconfined } else { seccomp(profile)? },
        unmasked: own.proc_mount.as_deref() == Some("Unmasked"),
    })
}

/// A container that does not say gets the runtime's default profile, as with `seccompDefault` of a kubelet.
fn seccomp(profile: Option<&Profile>) -> Result<SeccompProfile, Error> {
    match profile.map(|profile| profile.type_.as_str()) {
        None | Some("RuntimeDefault") => Ok(SeccompProfile::Default),
        Some("Unconfined") => Ok(SeccompProfile::Unconfined),
        Some(_) => Err(Error::Unsupported("a seccomp profile of the node")),
    }
}

/// First what is added, then what is dropped; `ALL` is all of them, and the rest of its list is then on top of it.
fn capabilities(
    privileged: bool,
    add: Option<&[String]>,
    drop: Option<&[String]>,
) -> Result<Capabilities, Error> {
    if privileged {
        return Ok(Capabilities::ALL);
    }
    let is_all = |name: &&String| name.eq_ignore_ascii_case("ALL");
    let (add, drop) = (add.unwrap_or_default(), drop.unwrap_or_default());
    let named = |list: &[String]| {
        let named = list.iter().filter(|name| !is_all(name)).map(|name| name.parse::<Capability>());
        named.collect::<Result<Vec<_>, _>>()
    };
    let mut set = Capabilities::DEFAULT;
    if add.iter().any(|name| is_all(&name)) {
        set = Capabilities::ALL;
    }
    if drop.iter().any(|name| is_all(&name)) {
        set = Capabilities::NONE;
    }
    set = named(add)?.into_iter().fold(set, Capabilities::with);
    Ok(named(drop)?.into_iter().fold(set, Capabilities::without))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Capabilities as Lists, SecurityContext};

    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Capabilities {
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let capabilities = Some(Lists { add: list(add), drop: list(drop) });
        let security_context = Some(SecurityContext { capabilities, ..SecurityContext::default() });
        let container = Container { security_context, ..Container::default() };
        of(&PodSpec::default(), &container).unwrap().capabilities
    }

    #[test]
    fn capabilities_are_added_then_dropped() {
        let admin: Capability = "NET_ADMIN".parse().unwrap();
        assert_eq!(set(&[], &[]), Capabilities::DEFAULT);
        assert_eq!(set(&["NET_ADMIN"], &[]), Capabilities::DEFAULT.with(admin));
        assert_eq!(set(&["ALL"], &["NET_ADMIN"]), Capabilities::ALL.without(admin));
        assert_eq!(set(&["NET_ADMIN"], &["ALL"]), Capabilities::NONE.with(admin));
        assert!(capabilities(false, Some(&["FLY".to_owned()]), None).is_err());
    }

    #[test]
    fn profiles_of_the_node_are_refused() {
        let profile = Profile { type_: "Localhost".into(), localhost_profile: Some("x".into()) };
        assert!(matches!(seccomp(Some(&profile)), Err(Error::Unsupported(_))));
    }
}
