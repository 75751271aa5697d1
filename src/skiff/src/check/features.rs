//! What the design needs of the kernel, by name: the options it was built with and the modules that came with it.
//!
//! The configuration is the best witness where the kernel gives it (`/proc/config.gz`, `/boot/config-RELEASE`); a
//! loaded module, the lists of modules, `/proc/filesystems` and files that only the feature makes speak where it does not.
//! A feature without any witness is unknown, never missing.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;

use super::finding::Check;
use super::module::{Modules, Presence};
use super::root::Root;

const NAME: &str = "kernel-features";
/// A kernel's configuration is 300 kB; nothing sensible is larger than this.
const LARGEST_CONFIG: u64 = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

/// Where a feature shows itself apart from the kernel's configuration.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Module(&'static str),
    Filesystem { name: &'static str, module: &'static str },
    File(&'static str),
    None,
}

struct Feature {
    option: &'static str,
    sign: Sign,
    need: Need,
    purpose: &'static str,
}

const fn required(option: &'static str, sign: Sign, purpose: &'static str) -> Feature {
    Feature { option, sign, need: Need::Required, purpose }
}

const fn optional(option: &'static str, sign: Sign, purpose: &'static str) -> Feature {
    Feature { option, sign, need: Need::Optional, purpose }
}

#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    required("CGROUPS", Sign::File("proc/self/cgroup"), "limits of pods"),
    required("NAMESPACES", Sign::File("proc/self/ns/mnt"), "containers"),
    required("NET_NS", Sign::File("proc/self/ns/net"), "a network for each pod"),
    required("PID_NS", Sign::File("proc/self/ns/pid"), "containers"),
    required("IPC_NS", Sign::File("proc/self/ns/ipc"), "containers"),
    required("UTS_NS", Sign::File("proc/self/ns/uts"), "a hostname for each pod"),
    required("OVERLAY_FS", Sign::Filesystem { name: "overlay", module: "overlay" }, "the file systems of containers"),
    required("VETH", Sign::Module("veth"), "the link of each pod"),
    required("VXLAN", Sign::Module("vxlan"), "the pod network between machines"),
    required("NF_CONNTRACK", Sign::Module("nf_conntrack"), "Services"),
    required("NF_NAT", Sign::Module("nf_nat"), "Services"),
    required("NF_TABLES", Sign::Module("nf_tables"), "Services and network policies"),
    required("NF_TABLES_INET", Sign::None, "Services and network policies"),
    required("NFT_CT", Sign::Module("nft_ct"), "network policies"),
    required("NFT_NAT", Sign::Module("nft_nat"), "Services"),
    required("NFT_MASQ", Sign::Module("nft_masq"), "traffic of pods to the outside"),
    required("NFT_REDIR", Sign::Module("nft_redir"), "DNS on every node"),
    required("NFT_FIB", Sign::Module("nft_fib"), "node ports"),
    required("NFT_FIB_INET", Sign::Module("nft_fib_inet"), "node ports"),
    required("NFT_NUMGEN", Sign::Module("nft_numgen"), "choosing an endpoint of a Service"),
    required("NFT_HASH", Sign::Module("nft_hash"), "choosing an endpoint of a Service"),
    required("NFT_REJECT", Sign::Module("nft_reject"), "Services without endpoints"),
    required("INOTIFY_USER", Sign::File("proc/sys/fs/inotify/max_user_watches"), "noticing changes without polling"),
    required("POSIX_MQUEUE", Sign::Filesystem { name: "mqueue", module: "" }, "/dev/mqueue in containers"),
    required("CGROUP_BPF", Sign::None, "device access of containers on cgroup v2"),
    required("CFS_BANDWIDTH", Sign::None, "CPU limits"),
    optional("IPV6", Sign::File("proc/net/if_inet6"), "IPv6 and dual-stack clusters"),
    optional("SQUASHFS", Sign::Filesystem { name: "squashfs", module: "squashfs" }, "compressed images"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    BuiltIn,
    Loaded,
    Loadable,
    /// Built as a module that is not in `/lib/modules`.
    NotInstalled,
    Missing,
    Unknown,
}

impl State {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::BuiltIn => "built into the kernel",
            Self::Loaded => "a loaded module",
            Self::Loadable => "a module that can be loaded",
            Self::NotInstalled => "a module that is not installed",
            Self::Missing => "not in this kernel",
            Self::Unknown => "not known to be in this kernel",
        }
    }

    fn absent(self) -> bool {
        matches!(self, Self::NotInstalled | Self::Missing)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Yes,
    Module,
}

#[derive(Debug)]
struct Config {
    source: String,
    settings: BTreeMap<String, Setting>,
}

pub(super) struct Facts {
    release: String,
    config: Option<Config>,
    modules: Modules,
    filesystems: String,
    files: Vec<&'static str>,
}

impl Facts {
    pub(super) fn read(root: &Root) -> Self {
        let signs = FEATURES.iter().filter_map(|feature| match feature.sign {
            Sign::File(path) => Some(path),
            _ => None,
        });
        Self {
            release: root.kernel_release(),
            config: read_config(root),
            modules: Modules::read(root),
            filesystems: root.text("proc/filesystems").unwrap_or_default(),
            files: signs.filter(|path| root.exists(path)).collect(),
        }
    }

    /// The state of an option of [`FEATURES`], without its `CONFIG_`.
    pub(super) fn state(&self, option: &str) -> State {
        let feature = FEATURES.iter().find(|feature| feature.option == option);
        feature.map_or(State::Unknown, |feature| self.state_of(feature))
    }

    fn state_of(&self, feature: &Feature) -> State {
        let shown = self.shown(feature.sign);
        let Some(config) = &self.config else { return shown };
        match (config.settings.get(feature.option), shown) {
            (Some(Setting::Yes), _) => State::BuiltIn,
            (Some(Setting::Module), State::Missing | State::Unknown) => State::NotInstalled,
            (None, State::Unknown) => State::Missing,
            (_, shown) => shown,
        }
    }

    /// What can be told without the configuration.
    fn shown(&self, sign: Sign) -> State {
        match sign {
            Sign::Module(module) => self.module(module),
            Sign::Filesystem { name, module } => {
                let known = self.filesystems.lines().any(|line| line.split_whitespace().last() == Some(name));
                if known { State::BuiltIn } else { self.module(module) }
            }
            Sign::File(path) if self.files.contains(&path) => State::BuiltIn,
            Sign::File(_) | Sign::None => State::Unknown,
        }
    }

    fn module(&self, module: &str) -> State {
        match self.modules.presence(module) {
            Presence::BuiltIn => State::BuiltIn,
            Presence::Loaded => State::Loaded,
            Presence::Loadable => State::Loadable,
            Presence::Absent if self.modules.listed() => State::Missing,
            Presence::Absent => State::Unknown,
        }
    }

    pub(super) fn remedy(&self, state: State) -> String {
        if state == State::NotInstalled {
            let release = &self.release;
            return format!(
                "reboot if the kernel was upgraded; else install the modules of {release} into /lib/modules/{release} \
                 (on Ubuntu: linux-modules-extra-{release})"
            );
        }
        "use a kernel that has it (those of Debian, Ubuntu, Raspberry Pi OS and Armbian do), or build one with it".into()
    }
}

fn read_config(root: &Root) -> Option<Config> {
    let release = root.kernel_release();
    let plain = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    let plain = plain.into_iter().find_map(|source| Some((root.text(&source)?, source)));
    let (text, source) = packed_config(root).map(|text| (text, "/proc/config.gz".into())).or(plain)?;
    Some(Config { source, settings: parse_config(&text) })
}

fn packed_config(root: &Root) -> Option<String> {
    let mut text = String::new();
    let bytes = root.bytes("proc/config.gz")?;
    GzDecoder::new(&bytes[..]).take(LARGEST_CONFIG).read_to_string(&mut text).ok()?;
    Some(text)
}

fn parse_config(text: &str) -> BTreeMap<String, Setting> {
    let settings = text.lines().filter_map(|line| {
        let (option, value) = line.trim().strip_prefix("CONFIG_")?.split_once('=')?;
        let setting = match value {
            "y" => Setting::Yes,
            "m" => Setting::Module,
            _ => return None,
        };
        Some((option.to_string(), setting))
    });
    settings.collect()
}

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    vec![judge(facts)]
}

fn judge(facts: &Facts) -> Check {
    let states: Vec<(&Feature, State)> =
        FEATURES.iter().map(|feature| (feature, facts.state_of(feature))).collect();
    let missing = |need: Need| {
        let missing = states.iter().filter(move |(feature, state)| feature.need == need && state.absent());
        missing.copied().collect::<Vec<_>>()
    };
    let (required, optional) = (missing(Need::Required), missing(Need::Optional));
    let unknown: Vec<&str> = states
        .iter()
        .filter(|(_, state)| *state == State::Unknown)
        .map(|(feature, _)| feature.option)
        .collect();
    if let Some((_, state)) = required.first() {
        Check::fail(NAME, list("without", &required), facts.remedy(*state))
    } else if let Some((_, state)) = optional.first() {
        Check::warn(NAME, list("all that is needed, but without", &optional), facts.remedy(*state))
    } else if unknown.is_empty() {
        Check::pass(NAME, format!("all {} that skiff uses{}", states.len(), source(facts)))
    } else {
        let found = states.len() - unknown.len();
        let unknown = unknown.join(", ");
        Check::skipped(NAME, format!("{found} found{}; no way to tell here: {unknown}", source(facts)))
    }
}

fn source(facts: &Facts) -> String {
    facts.config.as_ref().map(|config| format!(", by {}", config.source)).unwrap_or_default()
}

fn list(lead: &str, missing: &[(&Feature, State)]) -> String {
    let words = missing.iter().map(|(feature, state)| {
        format!("CONFIG_{} ({}; for {})", feature.option, state.words(), feature.purpose)
    });
    format!("{lead} {}", words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::root::Sample;
    use super::*;

    const RELEASE: (&str, &str) = ("proc/sys/kernel/osrelease", "6.12.25+rpt-rpi-v8\n");

    fn config(setting: impl Fn(&str) -> &'static str) -> String {
        let lines = FEATURES.iter().map(|feature| match setting(feature.option) {
            "n" => format!("# CONFIG_{} is not set\n", feature.option),
            value => format!("CONFIG_{}={value}\n", feature.option),
        });
        lines.collect()
    }

    fn judged(sample: &Sample) -> Check {
        judge(&Facts::read(&sample.root()))
    }

    #[test]
    fn a_packed_configuration_with_everything_passes() {
        let sample = Sample::of(&[RELEASE]);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(config(|_| "y").as_bytes()).unwrap();
        sample.add("proc/config.gz", &packed.finish().unwrap());
        let check = judged(&sample);
        assert_eq!(check.outcome.word(), "pass");
        assert!(check.finding.contains("/proc/config.gz"), "{}", check.finding);
    }

    #[test]
    fn a_damaged_configuration_is_no_witness() {
        let sample = Sample::of(&[RELEASE]);
        sample.add("proc/config.gz", b"\x1f\x8b not gzip");
        assert_eq!(judged(&sample).outcome.word(), "skipped");
    }

    #[test]
    fn a_required_option_that_is_off_fails_and_an_optional_one_warns() {
        let path = "boot/config-6.12.25+rpt-rpi-v8";
        let without = |off: &'static str| {
            let text = config(move |option| if option == off { "n" } else { "y" });
            judged(&Sample::of(&[RELEASE, (path, &text)]))
        };
        let check = without("NFT_NUMGEN");
        assert_eq!(check.outcome.word(), "fail");
        assert!(check.finding.contains("CONFIG_NFT_NUMGEN (not in this kernel"), "{}", check.finding);
        assert_eq!(without("SQUASHFS").outcome.word(), "warn");
    }

    #[test]
    fn modules_of_a_kernel_whose_folder_is_gone_ask_for_a_reboot() {
        let text = config(|option| if option == "VXLAN" { "m" } else { "y" });
        let check = judged(&Sample::of(&[RELEASE, ("boot/config-6.12.25+rpt-rpi-v8", &text)]));
        assert!(check.finding.contains("a module that is not installed"), "{}", check.finding);
        assert!(check.remedy().unwrap().starts_with("reboot"));
    }

    #[test]
    fn lists_of_modules_speak_where_there_is_no_configuration() {
        let sample = Sample::of(&[
            RELEASE,
            ("lib/modules/6.12.25+rpt-rpi-v8/modules.dep", "kernel/drivers/net/vxlan/vxlan.ko.xz:\n"),
            ("proc/filesystems", "nodev\tproc\nnodev\toverlay\n\text4\n"),
        ]);
        let facts = Facts::read(&sample.root());
        assert_eq!(facts.state("VXLAN"), State::Loadable);
        assert_eq!(facts.state("VETH"), State::Missing);
        assert_eq!(facts.state("OVERLAY_FS"), State::BuiltIn);
        assert_eq!(facts.state("CFS_BANDWIDTH"), State::Unknown);
    }
}
