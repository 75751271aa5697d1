//! AppArmor: no profiles are applied here, so a pod that asks for one must not run as if it had it.
//!
//! As with upstream's kubelet only the word `Unconfined` asks for nothing: on a machine without AppArmor even the runtime's
//! own profile is refused. (SELinux labels are another matter: where a runtime does not use SELinux, which is the usual
//! setting of k3s and containerd, they mean nothing.)

use std::fs;

use k8s_openapi::api::core::v1::{AppArmorProfile, Container, PodSpec};

use crate::member::members;

/// Why a node must not take the pod, if that is so.
pub(crate) fn refusal(spec: &PodSpec) -> Option<String> {
    let of_pod = spec.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
    let wanted = is_wanted(of_pod) || members(spec).any(|member| is_wanted(own(&member.container)));
    let why =
        || if is_on() { "skiff does not apply profiles" } else { "AppArmor is not enabled on the host" };
    wanted.then(|| format!("Cannot enforce AppArmor: {}", why()))
}

/// Whether a container, perhaps one that came later than its pod, asks for a profile.
pub(crate) fn is_wanted_by(container: &Container) -> bool {
    is_wanted(own(container))
}

fn own(container: &Container) -> Option<&AppArmorProfile> {
    container.security_context.as_ref()?.app_armor_profile.as_ref()
}

fn is_wanted(profile: Option<&AppArmorProfile>) -> bool {
    profile.is_some_and(|profile| profile.type_ != "Unconfined")
}

fn is_on() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|word| word.starts_with('Y'))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

    use super::*;

    fn profile(kind: &str) -> Option<AppArmorProfile> {
        Some(AppArmorProfile { type_: kind.to_owned(), ..AppArmorProfile::default() })
    }

    fn container(kind: &str) -> Container {
        let context = SecurityContext { app_armor_profile: profile(kind), ..SecurityContext::default() };
        Container { security_context: Some(context), ..Container::default() }
    }

    #[test]
    fn only_unconfined_asks_for_nothing() {
        for (kind, wanted) in [("Unconfined", false), ("RuntimeDefault", true), ("Localhost", true)] {
            let app_armor_profile = profile(kind);
            let context = PodSecurityContext { app_armor_profile, ..PodSecurityContext::default() };
            let of_pod = PodSpec { security_context: Some(context), ..PodSpec::default() };
            let of_init = PodSpec { init_containers: Some(vec![container(kind)]), ..PodSpec::default() };
            for spec in [of_pod, of_init] {
                let refusal = refusal(&spec);
                assert_eq!(refusal.is_some(), wanted, "{kind}");
                assert!(refusal.is_none_or(|why| why.starts_with("Cannot enforce AppArmor: ")));
            }
        }
        assert_eq!(refusal(&PodSpec { containers: vec![Container::default()], ..PodSpec::default() }), None);
    }
}
