//! Linux capabilities: names, sets, and the set that containers get when nobody asks for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One capability; the number is the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability(u8);

/// The kernel's names in the kernel's order: the position is the number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

macro_rules! numbered {
    ($($name:ident = $number:literal),* $(,)?) => {
        #[expect(non_upper_case_globals, reason = "they read like variants in the table that uses them")]
        impl Capability {
            $(pub(crate) const $name: Self = Self($number);)*
        }
    };
}
numbered! {
    DacReadSearch = 2, SysModule = 16, SysRawio = 17, SysChroot = 18, SysPtrace = 19, SysPacct = 20, SysAdmin = 21,
    SysBoot = 22, SysNice = 23, SysTime = 25, SysTtyConfig = 26, Syslog = 34, Perfmon = 38, Bpf = 39,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no capability named '{0}'")]
pub struct UnknownCapability(String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// Takes `NET_ADMIN` and `CAP_NET_ADMIN`, in any case.
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let upper = given.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number =
            NAMES.iter().position(|known| *known == name).and_then(|position| u8::try_from(position).ok());
        number.map(Self).ok_or_else(|| UnknownCapability(given.to_owned()))
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(u64);

impl Capabilities {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);
    /// The fourteen that containerd and Docker grant: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP,
    /// NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
    pub const DEFAULT: Self = Self(0xa804_25fb);

    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability.0)
    }

    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability.0))
    }

    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & 1 << capability.0 != 0
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn iter_all() -> impl Iterator<Item = Capability> {
        (0..u8::MAX).take(NAMES.len()).map(Capability)
    }
}

impl Capability {
    pub(crate) const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::iter_all().filter(|capability| self.contains(*capability));
        f.debug_set().entries(held.map(|capability| NAMES[usize::from(capability.0)])).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_set_is_the_fourteen() {
        let named = [
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "FSETID",
            "KILL",
            "SETGID",
            "SETUID",
            "SETPCAP",
            "NET_BIND_SERVICE",
            "NET_RAW",
            "SYS_CHROOT",
            "MKNOD",
            "AUDIT_WRITE",
            "SETFCAP",
        ];
        let set = named.iter().fold(Capabilities::NONE, |set, name| set.with(name.parse().unwrap()));
        assert_eq!(set, Capabilities::DEFAULT);
    }

    #[test]
    fn names_have_the_kernel_s_numbers() {
        for (name, constant) in
            [("CAP_SYS_ADMIN", libc_number(21)), ("syslog", libc_number(34)), ("BPF", libc_number(39))]
        {
            assert_eq!(name.parse::<Capability>().unwrap(), constant);
        }
        assert!("CAP_FLY".parse::<Capability>().is_err());
    }

    fn libc_number(number: u8) -> Capability {
        Capability(number)
    }

    #[test]
    fn a_set_grows_and_shrinks() {
        let admin = Capability::SysAdmin;
        assert!(Capabilities::DEFAULT.with(admin).contains(admin));
        assert!(!Capabilities::ALL.without(admin).contains(admin));
        assert_eq!(Capabilities::ALL.without(admin).with(admin), Capabilities::ALL);
    }
}
