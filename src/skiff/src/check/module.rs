//! Kernel modules: which are built in, loaded, or on disk to be loaded.

use std::collections::BTreeSet;

use super::root::Root;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    BuiltIn,
    Loaded,
    Loadable,
    Absent,
}

/// The lists that the kernel's installation leaves in `/lib/modules/RELEASE`, and what `/sys/module` shows.
#[derive(Debug, Default)]
pub(super) struct Modules {
    built_in: BTreeSet<String>,
    loadable: BTreeSet<String>,
    live: BTreeSet<String>,
}

impl Modules {
    pub(super) fn read(root: &Root) -> Self {
        let release = root.kernel_release();
        let list = |file: &str| {
            let text = root.text(format!("lib/modules/{release}/{file}"));
            text.or_else(|| root.text(format!("usr/lib/modules/{release}/{file}"))).unwrap_or_default()
        };
        Self {
            built_in: list("modules.builtin").lines().filter_map(name).collect(),
            loadable: list("modules.dep").lines().filter_map(name).collect(),
            live: root.names("sys/module").into_iter().collect(),
        }
    }

    /// Whether the lists are there at all: after an upgrade of the kernel and before the reboot they often are not.
    pub(super) fn listed(&self) -> bool {
        !self.built_in.is_empty() || !self.loadable.is_empty()
    }

    pub(super) fn presence(&self, module: &str) -> Presence {
        // A built-in module shows in /sys/module too, if it has parameters: so what is on disk is looked at first.
        if self.built_in.contains(module) {
            Presence::BuiltIn
        } else if self.live.contains(module) {
            Presence::Loaded
        } else if self.loadable.contains(module) {
            Presence::Loadable
        } else {
            Presence::Absent
        }
    }
}

/// `kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/…` is `vxlan`. The kernel takes `-` and `_` for the same.
fn name(line: &str) -> Option<String> {
    let path = line.split(':').next()?;
    let (name, _) = path.rsplit('/').next()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    #[test]
    fn a_module_is_found_where_the_distribution_put_it() {
        let sample = Sample::of(&[
            ("proc/sys/kernel/osrelease", "6.1.0-32-cloud-amd64\n"),
            (
                "lib/modules/6.1.0-32-cloud-amd64/modules.builtin",
                "kernel/crypto/xor.ko\nkernel/net/ipv6/ipv6.ko\n",
            ),
            (
                "lib/modules/6.1.0-32-cloud-amd64/modules.dep",
                "kernel/drivers/net/vxlan/vxlan.ko: kernel/net/ipv4/udp_tunnel.ko\n\
                 kernel/net/netfilter/nft-chain-nat.ko.xz:\n\
                 kernel/drivers/net/veth.ko.zst:\n",
            ),
            ("sys/module/veth/initstate", "live\n"),
        ]);
        let modules = Modules::read(&sample.root());
        assert!(modules.listed());
        assert_eq!(modules.presence("ipv6"), Presence::BuiltIn);
        assert_eq!(modules.presence("veth"), Presence::Loaded);
        assert_eq!(modules.presence("vxlan"), Presence::Loadable);
        assert_eq!(modules.presence("nft_chain_nat"), Presence::Loadable);
        assert_eq!(modules.presence("udp_tunnel"), Presence::Absent);
    }

    #[test]
    fn without_lists_only_loaded_modules_are_known() {
        let sample = Sample::of(&[
            ("proc/sys/kernel/osrelease", "6.18.0\n"),
            ("sys/module/overlay/initstate", "live\n"),
        ]);
        let modules = Modules::read(&sample.root());
        assert!(!modules.listed());
        assert_eq!(modules.presence("overlay"), Presence::Loaded);
        assert_eq!(modules.presence("vxlan"), Presence::Absent);
    }
}
