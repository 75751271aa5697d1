//! A disk as its programs may count on it, and no better: what a power cut leaves is anything that POSIX allows.
//!
//! - What was written to a file and not synced is there or not, sector by sector, in any order, whatever its length.
//! - A name that was made, moved or removed counts once its *directory* is synced. Before that, most file systems keep
//!   the order of such changes and some do not: each cut is one or the other.
//! - A sector is written whole or not at all, and writing one never damages its neighbours.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

const SECTOR: usize = 512;

/// Small, seeded, the same everywhere: a failure comes again with its seed (this is SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

pub(crate) type Number = u64;

pub(crate) const ROOT: Number = 1;

type Name = (Number, OsString);

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    nodes: BTreeMap<Number, Node>,
    names: BTreeMap<Name, Number>,
    durable_names: BTreeMap<Name, Number>,
    unsynced: Vec<Naming>,
    /// Numbers are not used twice, not even after a power cut: the kernel may remember the old ones.
    next: Number,
}

#[derive(Clone, Debug)]
enum Node {
    Directory,
    File(File),
}

#[derive(Clone, Debug, Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Resize(usize),
}

/// One change of a directory: a rename is both, and happens as one.
#[derive(Clone, Debug)]
struct Naming {
    directory: Number,
    gone: Option<OsString>,
    given: Option<(OsString, Number)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File { length: usize },
}

/// How one power cut treats what was not synced.
struct Cut {
    /// Of the unsynced sectors, how many are there.
    sectors: u64,
    names_in_order: bool,
}

impl Cut {
    fn any(dice: &mut Dice) -> Self {
        let sectors = [0, 100, 50, dice.roll(100)];
        let chosen = usize::try_from(dice.roll(4)).unwrap();
        Self { sectors: sectors[chosen], names_in_order: dice.percent(60) }
    }
}

impl Disk {
    pub(crate) fn empty() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Directory)]),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced: Vec::new(),
            next: ROOT + 1,
        }
    }

    /// Everything gone at once.
    pub(crate) fn formatted(&self) -> Self {
        Self { next: self.next, ..Self::empty() }
    }

    pub(crate) fn find(&self, directory: Number, name: &OsStr) -> Option<Number> {
        self.names.get(&(directory, name.to_owned())).copied()
    }

    pub(crate) fn kind(&self, number: Number) -> Option<Kind> {
        self.nodes.get(&number).map(|node| match node {
            Node::Directory => Kind::Directory,
            Node::File(file) => Kind::File { length: file.now.len() },
        })
    }

    pub(crate) fn names(&self, directory: Number) -> impl Iterator<Item = (&OsStr, Number)> {
        self.names.iter().filter(move |((of, _), _)| *of == directory).map(|((_, name), n)| (&**name, *n))
    }

    pub(crate) fn make_file(&mut self, directory: Number, name: &OsStr) -> Number {
        self.make(directory, name, Node::File(File::default()))
    }

    pub(crate) fn make_directory(&mut self, directory: Number, name: &OsStr) -> Number {
        self.make(directory, name, Node::Directory)
    }

    fn make(&mut self, directory: Number, name: &OsStr, node: Node) -> Number {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        self.change(Naming { directory, gone: None, given: Some((name.into(), number)) });
        number
    }

    pub(crate) fn remove(&mut self, directory: Number, name: &OsStr) {
        self.change(Naming { directory, gone: Some(name.into()), given: None });
    }

    pub(crate) fn rename(&mut self, directory: Number, from: &OsStr, to: &OsStr) {
        let number = self.find(directory, from).unwrap();
        self.change(Naming { directory, gone: Some(from.into()), given: Some((to.into(), number)) });
    }

    fn change(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.unsynced.push(naming);
    }

    pub(crate) fn read(&self, number: Number) -> &[u8] {
        match &self.nodes[&number] {
            Node::File(file) => &file.now,
            Node::Directory => &[],
        }
    }

    fn file(&mut self, number: Number) -> &mut File {
        match self.nodes.get_mut(&number) {
            Some(Node::File(file)) => file,
            other => panic!("{number} is {other:?}"),
        }
    }

    pub(crate) fn write(&mut self, number: Number, at: usize, data: &[u8]) {
        self.file(number).change(Change::Write { at, data: data.into() });
    }

    pub(crate) fn resize(&mut self, number: Number, length: usize) {
        self.file(number).change(Change::Resize(length));
    }

    pub(crate) fn sync(&mut self, number: Number) {
        match self.kind(number) {
            Some(Kind::Directory) => self.sync_names(number),
            _ => self.file(number).sync(),
        }
    }

    fn sync_names(&mut self, directory: Number) {
        let durable = &mut self.durable_names;
        self.unsynced.extract_if(.., |naming| naming.directory == directory).for_each(|n| n.apply(durable));
    }

    /// A sync that fails: Linux then forgets what it could not write, and the next sync has nothing to complain of.
    pub(crate) fn fail_to_sync(&mut self, number: Number) {
        if let Some(Node::File(file)) = self.nodes.get_mut(&number) {
            file.unsynced.clear();
        }
    }

    /// What is there when the power is back.
    pub(crate) fn cut(&self, dice: &mut Dice) -> Self {
        let cut = Cut::any(dice);
        let mut names = self.durable_names.clone();
        self.surviving(&cut, dice).for_each(|naming| naming.apply(&mut names));
        let settled = |(number, node): (&Number, &Node)| (*number, node.cut(&cut, dice));
        let named = |(number, _): &(&Number, &Node)| **number == ROOT || names.values().any(|n| n == *number);
        let nodes = self.nodes.iter().filter(named).map(settled).collect();
        Self { nodes, names: names.clone(), durable_names: names, unsynced: Vec::new(), next: self.next }
    }

    fn surviving(&self, cut: &Cut, dice: &mut Dice) -> impl Iterator<Item = &Naming> {
        let count = u64::try_from(self.unsynced.len()).unwrap();
        let kept = usize::try_from(dice.roll(count + 1)).unwrap();
        let mut survives = |at| if cut.names_in_order { at < kept } else { dice.percent(50) };
        let survivors: Vec<&Naming> =
            self.unsynced.iter().enumerate().filter(|(at, _)| survives(*at)).map(|(_, n)| n).collect();
        survivors.into_iter()
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<Name, Number>) {
        if let Some(name) = &self.gone {
            names.remove(&(self.directory, name.clone()));
        }
        if let Some((name, number)) = &self.given {
            names.insert((self.directory, name.clone()), *number);
        }
    }
}

impl Node {
    fn cut(&self, cut: &Cut, dice: &mut Dice) -> Self {
        match self {
            Self::Directory => Self::Directory,
            Self::File(file) => Self::File(file.cut(cut, dice)),
        }
    }
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        // Not a copy of `now`: what a failed sync forgot stays forgotten.
        self.unsynced.drain(..).for_each(|change| change.apply(&mut self.durable));
    }

    fn cut(&self, cut: &Cut, dice: &mut Dice) -> Self {
        let mut left = self.durable.clone();
        for change in &self.unsynced {
            match change {
                Change::Resize(_) if !dice.percent(cut.sectors) => {}
                Change::Resize(_) => change.apply(&mut left),
                Change::Write { at, data } => {
                    let whole = |(at, sector): &(usize, &[u8])| (*at, sector.to_vec());
                    let sectors: Vec<_> = sectors(*at, data).map(|sector| whole(&sector)).collect();
                    for (at, data) in sectors.into_iter().filter(|_| dice.percent(cut.sectors)) {
                        Change::Write { at, data }.apply(&mut left);
                    }
                }
            }
        }
        Self { now: left.clone(), durable: left, unsynced: Vec::new() }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Resize(length) => content.resize(*length, 0),
            Self::Write { at, data } => {
                let end = at + data.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(data);
            }
        }
    }
}

/// `data` at `at`, cut where the disk's sectors end.
fn sectors(at: usize, data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - at % SECTOR).min(data.len());
    let (head, rest) = data.split_at(first);
    let aligned = rest.chunks(SECTOR).enumerate().map(move |(n, sector)| (at + first + n * SECTOR, sector));
    std::iter::once((at, head)).chain(aligned)
}

#[test]
fn the_disk_forgets_what_was_not_synced_and_nothing_else() {
    let name = OsStr::new("name");
    for seed in 0..200 {
        let (mut disk, mut dice) = (Disk::empty(), Dice(seed));
        let file = disk.make_file(ROOT, name);
        disk.write(file, 0, &[1; 2000]);
        disk.sync(file);
        assert!(disk.cut(&mut dice).find(ROOT, name).is_none_or(|found| found == file));
        disk.sync(ROOT);
        disk.write(file, 700, &[2; 3000]);
        disk.rename(ROOT, name, OsStr::new("other"));
        let left = disk.cut(&mut dice);
        let [old, new] = [name, OsStr::new("other")].map(|name| left.find(ROOT, name));
        assert!(old.is_some() != new.is_some(), "a rename happens or not");
        let content = left.read(file);
        assert!(content[..700].iter().all(|byte| *byte == 1));
        assert!(content[1024..1536].iter().all(|byte| *byte == content[1024]), "a torn sector");
    }
}

#[test]
fn cuts_differ() {
    let mut left = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut disk = Disk::empty();
        let file = disk.make_file(ROOT, OsStr::new("name"));
        disk.sync(ROOT);
        disk.write(file, 0, &[1; 1024]);
        left.insert(disk.cut(&mut Dice(seed)).read(file).to_vec());
    }
    let [nothing, one, both] = [vec![], vec![1; 512], vec![1; 1024]];
    let other: Vec<u8> = [[0; 512], [1; 512]].concat();
    assert_eq!(left, [nothing, one, both, other].into());
}
