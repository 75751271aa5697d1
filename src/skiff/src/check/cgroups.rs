//! Control groups: which hierarchy, and which controllers.
//!
//! On v2 the controllers are those that the root group has; on v1, hybrid or not, those that are mounted. A kernel that
//! knows a controller and has it switched off (`/proc/cgroups`) is told apart from one that was built without.

use super::boot;
use super::finding::Check;
use super::mounts::{Mount, Mounts};
use super::root::Root;

const VERSION: &str = "cgroup-version";
const CONTROLLERS: &str = "cgroup-controllers";
const MEMORY: &str = "cgroup-memory";

/// Without these no pod runs; memory has a check of its own.
const REQUIRED: [&str; 3] = ["cpu", "cpuset", "pids"];
/// v1 keeps apart what v2 has as part of `cpu`, of the group itself, or does by eBPF.
const REQUIRED_V1: [&str; 3] = ["cpuacct", "devices", "freezer"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V2,
    Hybrid,
    V1,
    None,
}

pub(super) struct Facts {
    version: Version,
    controllers: Vec<String>,
    /// Controllers that the kernel knows and that are switched off.
    disabled: Vec<String>,
    boot: boot::Facts,
}

impl Facts {
    fn read(root: &Root) -> Self {
        let mounts = Mounts::read(root);
        let version = version(&mounts);
        Self {
            version,
            controllers: controllers(root, &mounts, version),
            disabled: disabled(&root.text("proc/cgroups").unwrap_or_default()),
            boot: boot::Facts::read(root),
        }
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }
}

fn version(mounts: &Mounts) -> Version {
    let v1 = mounts.iter().any(|mount| mount.kind == "cgroup" && !named(mount));
    let v2 = mounts.iter().any(|mount| mount.kind == "cgroup2");
    match (v1, v2) {
        (false, true) => Version::V2,
        (true, true) => Version::Hybrid,
        (true, false) => Version::V1,
        (false, false) => Version::None,
    }
}

/// A v1 hierarchy without controllers, such as systemd's own.
fn named(mount: &Mount) -> bool {
    mount.options.iter().any(|option| option.starts_with("name="))
}

fn controllers(root: &Root, mounts: &Mounts, version: Version) -> Vec<String> {
    if version == Version::V2 {
        let point = mounts.iter().find(|mount| mount.kind == "cgroup2").map(|mount| mount.point.clone());
        let list = point.and_then(|point| root.text(point.join("cgroup.controllers"))).unwrap_or_default();
        return list.split_whitespace().map(str::to_string).collect();
    }
    let v1 = mounts.iter().filter(|mount| mount.kind == "cgroup");
    v1.flat_map(|mount| mount.options.clone()).collect()
}

/// `memory 0 92 0`: the name, its hierarchy, groups, and whether it is enabled.
fn disabled(proc_cgroups: &str) -> Vec<String> {
    let rows = proc_cgroups.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() == 4 && row[3] == "0").map(|row| row[0].to_string()).collect()
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    judge(&Facts::read(root))
}

fn judge(facts: &Facts) -> Vec<Check> {
    let hierarchy = hierarchy(facts);
    if facts.version == Version::None {
        vec![hierarchy]
    } else {
        vec![hierarchy, controls(facts), memory(facts)]
    }
}

fn hierarchy(facts: &Facts) -> Check {
    match facts.version {
        Version::V2 => Check::pass(VERSION, "v2"),
        Version::Hybrid => Check::pass(VERSION, "hybrid: controllers on v1, with v2 beside them"),
        Version::V1 => Check::pass(VERSION, "v1"),
        Version::None => Check::fail(
            VERSION,
            "no control groups are mounted",
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup, early at each start",
        ),
    }
}

fn controls(facts: &Facts) -> Check {
    let v1 = if facts.version == Version::V2 { &[][..] } else { &REQUIRED_V1[..] };
    let missing: Vec<&str> =
        REQUIRED.iter().chain(v1).copied().filter(|controller| !facts.has(controller)).collect();
    let io = if facts.version == Version::V2 { "io" } else { "blkio" };
    if !missing.is_empty() {
        let finding = format!("without {}", missing.join(", "));
        Check::fail(CONTROLLERS, finding, controllers_remedy(facts, &missing))
    } else if !facts.has(io) {
        let remedy = "use a kernel with CONFIG_BLK_CGROUP if pods are to share the disk fairly";
        Check::warn(CONTROLLERS, format!("without {io}"), remedy)
    } else {
        let hugetlb = if facts.has("hugetlb") {
            ""
        } else {
            " (no hugetlb: only pods that ask for huge pages miss it)"
        };
        Check::pass(CONTROLLERS, format!("{}, {io}{hugetlb}", REQUIRED.join(", ")))
    }
}

fn controllers_remedy(facts: &Facts, missing: &[&str]) -> String {
    let off = missing.iter().filter(|name| facts.disabled.iter().any(|disabled| disabled == *name));
    let words: Vec<String> = off.map(|name| format!("cgroup_enable={name}")).collect();
    if !words.is_empty() {
        return facts.boot.remedy(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    if facts.version == Version::V2 {
        return "use a kernel that has them; in a container or virtual environment, have them delegated to it".into();
    }
    "mount them (cgroupfs-mount does), use a kernel that has them, or better: boot with cgroup v2".into()
}

/// The one that is missing on boards: the firmware of the Raspberry Pi passes `cgroup_disable=memory`.
fn memory(facts: &Facts) -> Check {
    if facts.has("memory") {
        return Check::pass(MEMORY, "the memory controller is on");
    }
    let finding = "the memory controller is off: pods can have no memory limits";
    Check::fail(MEMORY, finding, facts.boot.remedy_for_memory())
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "24 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n\
         30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    const HYBRID: (&str, &str) = (
        "proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
         34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
         35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
         37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
         38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n\
         39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
         40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    );
    /// Raspberry Pi OS 12 on a Pi 4, as it comes.
    const PI: [(&str, &str); 5] = [
        V2,
        ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n"),
        (
            "proc/cgroups",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t63\t1\ncpu\t0\t63\t1\nmemory\t0\t63\t0\npids\t0\t63\t1\n",
        ),
        ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
        (
            "boot/firmware/cmdline.txt",
            "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootwait\n",
        ),
    ];

    fn judged(files: &[(&str, &str)]) -> Vec<(&'static str, &'static str)> {
        let checks = check(&Sample::of(files).root());
        checks.iter().map(|check| (check.name, check.outcome.word())).collect()
    }

    #[test]
    fn v2_with_all_controllers_passes() {
        let controllers =
            ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
        let all = [(VERSION, "pass"), (CONTROLLERS, "pass"), (MEMORY, "pass")];
        assert_eq!(judged(&[V2, controllers]), all);
    }

    #[test]
    fn hybrid_counts_the_controllers_of_v1() {
        let checks = check(&Sample::of(&[HYBRID]).root());
        assert!(checks[0].finding.starts_with("hybrid"), "{}", checks[0].finding);
        assert!(checks.iter().all(|check| check.outcome.word() == "pass"), "{checks:?}");
    }

    #[test]
    fn v1_without_freezer_fails() {
        let text = HYBRID.1.lines().filter(|line| !line.contains("freezer") && !line.contains("cgroup2"));
        let text = text.collect::<Vec<_>>().join("\n");
        let v1 = ("proc/self/mountinfo", text.as_str());
        assert_eq!(judged(&[v1]), [(VERSION, "pass"), (CONTROLLERS, "fail"), (MEMORY, "pass")]);
    }

    #[test]
    fn nothing_mounted_fails_once() {
        assert_eq!(
            judged(&[("proc/self/mountinfo", "1 1 0:2 / / rw - rootfs none rw\n")]),
            [(VERSION, "fail")]
        );
    }

    #[test]
    fn a_raspberry_pi_is_told_the_words_and_the_file() {
        let checks = check(&Sample::of(&PI).root());
        assert_eq!(checks[1].outcome.word(), "pass");
        let remedy = checks[2].remedy().unwrap();
        assert!(remedy.contains("cgroup_enable=cpuset cgroup_memory=1 cgroup_enable=memory"), "{remedy}");
        assert!(remedy.contains("/boot/firmware/cmdline.txt"), "{remedy}");
    }

    #[test]
    fn a_controller_that_is_switched_off_is_switched_on_by_name() {
        let checks = check(
            &Sample::of(&[
                V2,
                ("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n"),
                ("proc/cgroups", "cpuset 0 1 0\n"),
            ])
            .root(),
        );
        assert!(checks[1].remedy().unwrap().contains("cgroup_enable=cpuset"), "{checks:?}");
    }
}
