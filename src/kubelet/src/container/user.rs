//! Who a container runs as.
//!
//! Names are looked up in the image's own `/etc/passwd` and `/etc/group`, which the image may have made links to anywhere:
//! they are opened with the container's root as the root of all names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use oci::User;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::{Error, Parts};

/// What is larger than this is no list of users.
const LARGEST: u64 = 4 << 20;

pub(super) fn of(parts: &Parts<'_>) -> Result<User, Error> {
    let container = &*parts.member.container;
    let files = Files { passwd: read(parts.rootfs, "etc/passwd"), group: read(parts.rootfs, "etc/group") };
    resolve(parts.spec, container, &parts.image.user, &files)
}

/// Empty where there is none: an image need not know users.
fn read(rootfs: &Path, name: &str) -> String {
    let text = || -> std::io::Result<String> {
        let root = rustix::fs::openat(CWD, rootfs, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file =
            openat2(&root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?;
        let mut text = Vec::new();
        File::from(file).take(LARGEST).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    text().unwrap_or_default()
}

struct Files {
    passwd: String,
    group: String,
}

impl Files {
    /// Name, uid and gid of the user that is called or numbered `user`.
    fn user(&self, user: &str) -> Option<(&str, u32, u32)> {
        let mut entries = self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            Some((name, uid.parse().ok()?, gid.parse().ok()?))
        });
        let by_number = user.parse::<u32>().ok();
        entries.find(|(name, uid, _)| *name == user || Some(*uid) == by_number)
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
            Some((name, gid.parse().ok()?, fields.next().unwrap_or_default()))
        })
    }

    fn group(&self, group: &str) -> Option<u32> {
        let found = self.groups().find(|(name, ..)| *name == group).map(|(_, gid, _)| gid);
        found.or_else(|| group.parse().ok())
    }

    fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = u32> + 'a {
        self.groups()
            .filter(move |(_, _, members)| members.split(',').any(|name| name == user))
            .map(|(_, gid, _)| gid)
    }
}

fn resolve(spec: &PodSpec, container: &Container, image: &str, files: &Files) -> Result<User, Error> {
    let pod = spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let (image_user, image_group) =
        image.split_once(':').map_or((image, None), |(user, group)| (user, Some(group)));
    let asked = own.run_as_user.or(pod.run_as_user).and_then(|uid| u32::try_from(uid).ok());
    let name = asked.map_or_else(|| image_user.to_owned(), |uid| uid.to_string());
    let known = files.user(if name.is_empty() { "0" } else { &name });
    let uid = match known {
        Some((_, uid, _)) => uid,
        None if name.is_empty() => 0,
        None => name.parse().map_err(|_| Error::User(name.clone()))?,
    };
    let asked_group = own.run_as_group.or(pod.run_as_group).and_then(|gid| u32::try_from(gid).ok());
    let gid = match (asked_group, image_group.filter(|group| !group.is_empty() && asked.is_none())) {
        (Some(gid), _) => gid,
        (None, Some(group)) => files.group(group).ok_or_else(|| Error::Group(group.to_owned()))?,
        (None, None) => known.map_or(0, |(_, _, gid)| gid),
    };
    let given = pod.supplemental_groups.iter().flatten().chain(&pod.fs_group);
    let mut additional_gids: Vec<u32> = given.filter_map(|gid| u32::try_from(*gid).ok()).collect();
    if pod.supplemental_groups_policy.as_deref() != Some("Strict")
        && let Some((name, ..)) = known
    {
        additional_gids.extend(files.groups_of(name));
    }
    additional_gids.sort_unstable();
    additional_gids.dedup();
    Ok(User { uid, gid, additional_gids })
}

/// Whether `runAsNonRoot` allows what the container would run as; the message is upstream's.
pub(crate) fn may_run_as(pod: &Pod, container: &Container, image_user: &str) -> Result<(), String> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    if own.run_as_non_root.or(of_pod.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let metadata = &pod.metadata;
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    let place = format!(
        "(pod: \"{}_{}({})\", container: {})",
        word(&metadata.name),
        word(&metadata.namespace),
        word(&metadata.uid),
        container.name
    );
    let user = image_user.split(':').next().unwrap_or_default();
    match (own.run_as_user.or(of_pod.run_as_user), user.parse::<u32>()) {
        (Some(0), _) => Err(format!("container's runAsUser breaks non-root policy {place}")),
        (Some(_), _) => Ok(()),
        (None, _) if user.is_empty() => {
            Err(format!("container has runAsNonRoot and image will run as root {place}"))
        }
        (None, Ok(0)) => Err(format!("container has runAsNonRoot and image will run as root {place}")),
        (None, Ok(_)) => Ok(()),
        (None, Err(_)) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {place}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};

    use super::*;

    fn files() -> Files {
        Files {
            passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/:/bin/false\nbroken\n".into(),
            group: "root:x:0:\nwww:x:34:web\naudio:x:29:root,web\n".into(),
        }
    }

    fn user(pod: PodSecurityContext, own: SecurityContext, image: &str) -> (u32, u32, Vec<u32>) {
        let spec = PodSpec { security_context: Some(pod), ..PodSpec::default() };
        let container = Container { security_context: Some(own), ..Container::default() };
        let user = resolve(&spec, &container, image, &files()).unwrap();
        (user.uid, user.gid, user.additional_gids)
    }

    #[test]
    fn names_numbers_and_groups() {
        let plain = |image: &str| user(PodSecurityContext::default(), SecurityContext::default(), image);
        assert_eq!(plain(""), (0, 0, vec![29]));
        assert_eq!(plain("web"), (33, 34, vec![29, 34]));
        assert_eq!(plain("33"), (33, 34, vec![29, 34]));
        assert_eq!(plain("web:audio"), (33, 29, vec![29, 34]));
        assert_eq!(plain("1000:1001"), (1000, 1001, vec![]));
        let stranger = resolve(&PodSpec::default(), &Container::default(), "nobody", &files());
        assert!(matches!(stranger, Err(Error::User(name)) if name == "nobody"));
    }

    #[test]
    fn the_container_decides_before_the_pod_and_the_pod_before_the_image() {
        let pod = PodSecurityContext {
            run_as_user: Some(1000),
            run_as_group: Some(1001),
            fs_group: Some(7),
            supplemental_groups: Some(vec![8]),
            ..PodSecurityContext::default()
        };
        let own = SecurityContext { run_as_user: Some(33), ..SecurityContext::default() };
        assert_eq!(user(pod.clone(), SecurityContext::default(), "web"), (1000, 1001, vec![7, 8]));
        assert_eq!(user(pod.clone(), own.clone(), "web"), (33, 1001, vec![7, 8, 29, 34]));
        let strict = PodSecurityContext { supplemental_groups_policy: Some("Strict".into()), ..pod };
        assert_eq!(user(strict, own, "web"), (33, 1001, vec![7, 8]));
    }
}
