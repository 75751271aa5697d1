//! Which pod has which addresses of this node's podCIDRs.
//!
//! One small file per pod, named by the pod's id, says so through a loss of power: it is written aside, synced and renamed before
//! the address is used. A cursor goes round each network, so that an address rests as long as possible before another pod gets it;
//! it is kept without a sync, as losing it only shortens that rest. All calls block on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

const CURSOR: &str = ".next";
const ASIDE: &str = ".new";
/// The network's own address is the node's on the overlay, and the one behind it is where others put a gateway.
const FIRST: u32 = 2;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{id:?} cannot name a pod")]
    Id { id: String },
    #[error("no address is free in {networks:?}")]
    Exhausted { networks: Vec<IpNet> },
    #[error("read pod addresses in {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("keep the addresses of pod {id}")]
    Keep { id: String, source: io::Error },
    #[error("release the addresses of pod {id}")]
    Release { id: String, source: io::Error },
}

/// The addresses of this node's pods: at most one per network.
#[derive(Debug)]
pub struct Ipam {
    folder: PathBuf,
    networks: Vec<IpNet>,
    pods: BTreeMap<String, Vec<IpAddr>>,
    next: u32,
}

impl Ipam {
    /// Opens the folder, makes it if it is missing, and reads what it holds.
    pub fn open(folder: &Path, networks: Vec<IpNet>) -> Result<Self, Error> {
        let read = |source| Error::Read { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(read)?;
        let pods = read_pods(folder).map_err(read)?;
        let next = fs::read_to_string(folder.join(CURSOR)).ok().and_then(|text| text.parse().ok());
        Ok(Self { folder: folder.to_owned(), networks, pods, next: next.unwrap_or(FIRST) })
    }

    pub fn get(&self, id: &str) -> Option<&[IpAddr]> {
        self.pods.get(id).map(Vec::as_slice)
    }

    /// The pod's addresses, in the order of the networks: those it has, or new ones.
    pub fn allocate(&mut self, id: &str) -> Result<Vec<IpAddr>, Error> {
        if let Some(addresses) = self.pods.get(id) {
            return Ok(addresses.clone());
        }
        if id.is_empty() || id.starts_with('.') || id.contains(['/', '\0']) {
            return Err(Error::Id { id: id.to_owned() });
        }
        let taken: BTreeSet<IpAddr> = self.pods.values().flatten().copied().collect();
        let place = self.free(&taken).ok_or_else(|| Error::Exhausted { networks: self.networks.clone() })?;
        let addresses: Vec<IpAddr> = self.networks.iter().map(|network| nth(*network, place)).collect();
        let next = place.saturating_add(1);
        self.keep(id, &addresses, next).map_err(|source| Error::Keep { id: id.to_owned(), source })?;
        self.pods.insert(id.to_owned(), addresses.clone());
        self.next = next;
        Ok(addresses)
    }

    /// The first place from the cursor on, once round, that is free in every network. The smallest network sets the
    /// round: were each to go its own, the larger would carry the cursor beyond the smaller, which would start over each time.
    fn free(&self, taken: &BTreeSet<IpAddr>) -> Option<u32> {
        let bits = |network: &IpNet| u32::from(network.max_prefix_len() - network.prefix_len());
        let smallest = self.networks.iter().map(bits).min()?.min(16);
        // The last address of an IPv4 network is its broadcast.
        let end = (1_u32 << smallest).saturating_sub(1);
        let start = if (FIRST..end).contains(&self.next) { self.next } else { FIRST };
        let is_free =
            |place: &u32| !self.networks.iter().any(|network| taken.contains(&nth(*network, *place)));
        (start..end).chain(FIRST..start.min(end)).find(is_free)
    }

    fn keep(&self, id: &str, addresses: &[IpAddr], next: u32) -> io::Result<()> {
        let lines: String = addresses.iter().map(|address| format!("{address}\n")).collect();
        let aside = self.folder.join(ASIDE);
        let mut file = File::create(&aside)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, self.folder.join(id))?;
        fs::write(self.folder.join(CURSOR), next.to_string())?;
        File::open(&self.folder)?.sync_all()
    }

    /// Gives the pod's addresses back; a pod without any is none the worse.
    pub fn release(&mut self, id: &str) -> Result<(), Error> {
        if !self.pods.contains_key(id) {
            return Ok(());
        }
        match fs::remove_file(self.folder.join(id)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::Release { id: id.to_owned(), source })
            }
            _ => {
                self.pods.remove(id);
                Ok(())
            }
        }
    }

    /// Releases what belongs to none of these pods.
    pub fn sweep(&mut self, alive: &BTreeSet<String>) -> Result<(), Error> {
        let gone: Vec<String> = self.pods.keys().filter(|id| !alive.contains(*id)).cloned().collect();
        gone.iter().try_for_each(|id| self.release(id))
    }
}

fn read_pods(folder: &Path) -> io::Result<BTreeMap<String, Vec<IpAddr>>> {
    let mut pods = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(id) = entry.file_name().into_string() else { continue };
        if id.starts_with('.') {
            continue;
        }
        let text = fs::read_to_string(entry.path())?;
        // What a dying disk left of a file must not stop the start: such a pod gets new addresses.
        if let Ok(addresses) = text.lines().map(str::parse).collect::<Result<Vec<IpAddr>, _>>()
            && !addresses.is_empty()
        {
            pods.insert(id, addresses);
        }
    }
    Ok(pods)
}

fn nth(network: IpNet, place: u32) -> IpAddr {
    match network.network() {
        IpAddr::V4(first) => Ipv4Addr::from(u32::from(first) | place).into(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first) | u128::from(place)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Ipam {
        Ipam::open(folder, vec!["10.42.3.0/29".parse().unwrap(), "fd42::/64".parse().unwrap()]).unwrap()
    }

    fn words(addresses: &[IpAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_outlive_a_restart_and_rest_before_they_return() {
        let folder = tempfile::tempdir().unwrap();
        let mut ipam = open(folder.path());
        assert_eq!(words(&ipam.allocate("a").unwrap()), ["10.42.3.2", "fd42::2"]);
        ipam.allocate("b").unwrap();
        ipam.release("a").unwrap();
        let mut ipam = open(folder.path());
        assert_eq!(words(ipam.get("b").unwrap()), ["10.42.3.3", "fd42::3"]);
        assert_eq!(words(&ipam.allocate("c").unwrap()), ["10.42.3.4", "fd42::4"]);
        assert_eq!(ipam.allocate("c").unwrap(), ipam.get("c").unwrap());
    }

    #[test]
    fn a_full_network_says_so_until_a_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let mut ipam = open(folder.path());
        for pod in 2..7 {
            ipam.allocate(&format!("pod-{pod}")).unwrap();
        }
        assert!(matches!(ipam.allocate("more"), Err(Error::Exhausted { .. })));
        ipam.sweep(&BTreeSet::from(["pod-2".to_owned()])).unwrap();
        assert_eq!(ipam.allocate("more").unwrap().len(), 2);
        assert!(matches!(ipam.allocate("../x"), Err(Error::Id { .. })));
    }

    #[test]
    fn a_broken_file_does_not_stop_the_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "10.42.").unwrap();
        assert_eq!(open(folder.path()).get("a"), None);
    }
}
