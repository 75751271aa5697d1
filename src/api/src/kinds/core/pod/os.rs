//! The operating system of a pod, and what one of them cannot do.

use crate::field::{Errors, Node};
use crate::names;

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Runs `rules` on every container, in upstream's order.
pub(super) fn each_container<'v>(spec: &Node<'v, '_>, mut rules: impl FnMut(&Node<'v, '_>)) {
    for kind in CONTAINERS {
        spec.at(kind).items().for_each(|container| rules(&container));
    }
}

pub(super) fn validate(spec: &Node<'_, '_>, errors: &mut Errors) {
    let os = spec.at("os");
    if !os.is_set() {
        return;
    }
    match os.at("name").text() {
        "" => errors.push(os.at("name").required("cannot be empty")),
        "linux" => linux(spec, errors),
        "windows" => windows(spec, errors),
        _ => errors.push(os.at("name").named(os.path).unsupported(&["linux", "windows"])),
    }
}

fn linux(spec: &Node<'_, '_>, errors: &mut Errors) {
    let mut refuse = |owner: &Node<'_, '_>| {
        let options = owner.at("securityContext");
        let options = options.at("windowsOptions");
        if options.is_set() {
            errors.push(options.forbidden("windows options cannot be set for a linux pod"));
        }
    };
    refuse(spec);
    each_container(spec, |container| refuse(container));
}

/// Fields of a pod that say nothing on Windows.
const NOT_WINDOWS: [&str; 15] = [
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
];

/// The same of the security context of a container.
const NOT_WINDOWS_CONTAINER: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

fn windows(spec: &Node<'_, '_>, errors: &mut Errors) {
    const REFUSED: &str = "cannot be set for a windows pod";
    for name in NOT_WINDOWS {
        let field = spec.at(name);
        let set = match name {
            "hostPID" | "hostIPC" => field.flag(),
            "securityContext.sysctls" => !field.list().is_empty(),
            _ => field.is_set(),
        };
        if set {
            errors.push(field.forbidden(REFUSED));
        }
    }
    each_container(spec, |container| {
        let context = container.at("securityContext");
        for field in
            NOT_WINDOWS_CONTAINER.map(|field| context.at(field)).iter().filter(|field| field.is_set())
        {
            errors.push(field.forbidden(REFUSED));
        }
    });
}

const CREDENTIAL_SPEC_KIB: usize = 64;
const DOMAIN_MAX: usize = 256;
const USER_MAX: usize = 104;

pub(super) fn windows_options(options: &Node<'_, '_>, errors: &mut Errors) {
    if !options.is_set() {
        return;
    }
    let (name, spec) = (options.at("gmsaCredentialSpecName"), options.at("gmsaCredentialSpec"));
    if name.is_set() {
        name.check(names::subdomain, errors);
    }
    if spec.is_set() && spec.text().is_empty() {
        errors.push(spec.invalid("gmsaCredentialSpec cannot be an empty string"));
    } else if spec.text().len() > CREDENTIAL_SPEC_KIB * 1024 {
        let detail = format!("gmsaCredentialSpec size must be under {CREDENTIAL_SPEC_KIB} KiB");
        errors.push(spec.invalid(detail));
    }
    let user = options.at("runAsUserName");
    if user.is_set() {
        let problems = user_name(user.text());
        errors.extend(problems.into_iter().map(|problem| user.invalid(format!("runAsUserName{problem}"))));
    }
}

/// `USER` or `DOMAIN\USER`: the ends of sentences about what is wrong with it.
fn user_name(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts[..] {
        _ if name.is_empty() => return vec![" cannot be an empty string".into()],
        _ if name.chars().any(|letter| letter.is_ascii_control()) => {
            return vec![" cannot contain control characters".into()];
        }
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return vec![" cannot contain more than one backslash".into()],
    };
    let mut problems = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_MAX {
            problems.push(format!("'s Domain length must be under {DOMAIN_MAX} characters"));
        }
        if !is_net_bios(domain) && !is_domain(domain) {
            problems.push("'s Domain doesn't match the NetBios nor the DNS format".into());
        }
    }
    match user.len() {
        0 => problems.push("'s User cannot be empty".into()),
        length if length > USER_MAX => {
            problems.push(format!("'s User length must not be longer than {USER_MAX} characters"));
        }
        _ => {}
    }
    if !user.is_empty() && user.chars().all(|letter| matches!(letter, '.' | ' ')) {
        problems.push("'s User cannot contain only periods or spaces".into());
    }
    if user.contains(|letter| "\"/\\:;|=,+*?<>@[]".contains(letter)) {
        problems.push("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]".into());
    }
    problems
}

fn is_net_bios(domain: &str) -> bool {
    (1..=15).contains(&domain.chars().count())
        && !domain.starts_with('.')
        && !domain.contains(|letter| "\\/:*?\"<>|".contains(letter))
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.split('.').all(label)
}

/// Containers that are processes of a Windows host: all of a pod or none.
pub(super) fn host_process(spec: &Node<'_, '_>, errors: &mut Errors) {
    const FLAG: &str = "securityContext.windowsOptions.hostProcess";
    let whole = spec.at(FLAG).value.as_bool();
    let (mut all, mut on_host) = (0, 0);
    each_container(spec, |container| {
        let own = container.at(FLAG);
        all += 1;
        on_host += usize::from(own.value.as_bool().or(whole).unwrap_or_default());
        if let (Some(whole), Some(is)) = (whole, own.value.as_bool())
            && whole != is
        {
            let detail =
                format!("pod hostProcess value must be identical if both are specified, was {whole}");
            errors.push(own.invalid(detail));
        }
    });
    if on_host == 0 {
        return;
    }
    if on_host != all {
        errors.push(spec.invalid_as(
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        ));
    }
    let network = spec.at("hostNetwork");
    if !network.flag() {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(network.invalid_as(false, detail));
    }
}
