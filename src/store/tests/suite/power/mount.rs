//! The disk as a mounted file system: SQLite and the kernel use it like any other, and it fails when told.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

use super::disk::{Dice, Disk, Kind, Number};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    Nothing,
    /// The power goes at the how-manieth change or sync from now: from there on everything fails.
    Cut(u64),
    /// The how-manieth operation of any kind fails, the next do not.
    Fail(u64, Fault),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Io,
    Full,
}

impl Fault {
    fn errno(self) -> Errno {
        match self {
            Self::Io => Errno::EIO,
            Self::Full => Errno::ENOSPC,
        }
    }
}

/// A mounted disk and its plug.
#[derive(Debug)]
pub(crate) struct Power {
    state: Arc<Mutex<State>>,
    _mount: BackgroundSession,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    dice: Dice,
    plan: Plan,
    /// Since the plan was made: changes and syncs, and operations of any kind.
    steps: u64,
    calls: u64,
    /// What the power cut left. While there is something, the power is off.
    left: Option<Disk>,
}

impl Power {
    pub(crate) fn mount(at: &Path, seed: u64) -> Self {
        let state = State {
            disk: Disk::empty(),
            dice: Dice(seed),
            plan: Plan::Nothing,
            steps: 0,
            calls: 0,
            left: None,
        };
        let state = Arc::new(Mutex::new(state));
        let mount = fuser::spawn_mount(Face(state.clone()), at, &Config::default()).unwrap();
        Self { state, _mount: mount }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn plan(&self, plan: Plan) {
        self.state().begin(plan);
    }

    /// Changes and syncs since the last plan was made.
    pub(crate) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().left.is_some()
    }

    /// Off, if it is not off yet, and on again. Nobody may have a file open.
    pub(crate) fn cycle(&self) {
        let mut state = self.state();
        let left = state.left.take().unwrap_or_else(|| state.cut());
        state.disk = left;
        state.begin(Plan::Nothing);
    }

    /// An empty disk.
    pub(crate) fn format(&self) {
        let mut state = self.state();
        state.disk = state.disk.formatted();
        state.left = None;
        state.begin(Plan::Nothing);
    }
}

impl State {
    fn cut(&mut self) -> Disk {
        self.disk.cut(&mut self.dice)
    }

    fn begin(&mut self, plan: Plan) {
        (self.plan, self.steps, self.calls) = (plan, 0, 0);
    }

    /// Every operation comes through here.
    fn look(&mut self) -> Result<&mut Disk, Errno> {
        self.calls += 1;
        match self.plan {
            _ if self.left.is_some() => Err(Errno::EIO),
            Plan::Fail(at, fault) if self.calls == at => Err(fault.errno()),
            _ => Ok(&mut self.disk),
        }
    }

    /// Every change and every sync comes through here.
    fn step(&mut self) -> Result<&mut Disk, Errno> {
        self.steps += 1;
        if let Plan::Cut(at) = self.plan
            && self.steps >= at
            && self.left.is_none()
        {
            self.left = Some(self.cut());
        }
        self.look()
    }
}

#[derive(Debug)]
struct Face(Arc<Mutex<State>>);

/// The kernel is to remember nothing: a power cut changes everything behind its back.
const NOT_AT_ALL: Duration = Duration::ZERO;

/// Nor is it to tell of closed files and wait: at the end of the process nobody would answer.
const UNCACHED: FopenFlags = FopenFlags::FOPEN_DIRECT_IO.union(FopenFlags::FOPEN_NOFLUSH);

const HANDLE: FileHandle = FileHandle(0);

impl Face {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn sync(&self, number: INodeNo, reply: ReplyEmpty) {
        let mut state = self.state();
        match state.step().map(|disk| disk.sync(number.0)) {
            Ok(()) => reply.ok(),
            Err(error) => {
                state.disk.fail_to_sync(number.0);
                reply.error(error);
            }
        }
    }
}

fn attributes(disk: &Disk, number: Number) -> Result<FileAttr, Errno> {
    let (kind, size, nlink) = match disk.kind(number).ok_or(Errno::ENOENT)? {
        Kind::Directory => (FileType::Directory, 0, 2),
        Kind::File { length } => (FileType::RegularFile, u64::try_from(length).unwrap(), 1),
    };
    let epoch = SystemTime::UNIX_EPOCH;
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: epoch,
        mtime: epoch,
        ctime: epoch,
        crtime: epoch,
        kind,
        perm: 0o700,
        nlink,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.entry(&NOT_AT_ALL, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl Filesystem for Face {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let find = |disk: &mut Disk| {
            let number = disk.find(parent.0, name).ok_or(Errno::ENOENT)?;
            attributes(disk, number)
        };
        entry(reply, self.state().look().and_then(find));
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.state().look().and_then(|disk| attributes(disk, ino.0)) {
            Ok(attributes) => reply.attr(&NOT_AT_ALL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        let resized = match size {
            Some(size) => state.step().map(|disk| disk.resize(ino.0, place(size))),
            None => Ok(()),
        };
        match resized.and_then(|()| attributes(&state.disk, ino.0)) {
            Ok(attributes) => reply.attr(&NOT_AT_ALL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let make = |disk: &mut Disk| {
            let number = disk.make_directory(parent.0, name);
            attributes(disk, number)
        };
        entry(reply, self.state().step().and_then(make));
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.state().step().map(|disk| disk.remove(parent.0, name)));
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        assert_eq!(parent, new_parent, "a rename across directories is not modelled");
        empty(reply, self.state().step().map(|disk| disk.rename(parent.0, name, new_name)));
    }

    fn create(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let make = |disk: &mut Disk| {
            let number = disk.make_file(parent.0, name);
            attributes(disk, number)
        };
        match self.state().step().and_then(make) {
            Ok(attributes) => reply.created(&NOT_AT_ALL, &attributes, Generation(0), HANDLE, UNCACHED),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.state().look() {
            Ok(_) => reply.opened(HANDLE, UNCACHED),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.state().look() {
            Ok(disk) => {
                let content = disk.read(ino.0);
                let start = place(offset).min(content.len());
                let end = (start + usize::try_from(size).unwrap()).min(content.len());
                reply.data(&content[start..end]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.state().step().map(|disk| disk.write(ino.0, place(offset), data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap()),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        _data: bool,
        reply: ReplyEmpty,
    ) {
        self.sync(ino, reply);
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let names = state.disk.names(ino.0).zip(1..).skip(place(offset));
        for ((name, number), next) in names {
            if reply.add(INodeNo(number), next, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }

    fn access(&self, _request: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        empty(reply, self.state().look().map(drop));
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        const BLOCKS: u64 = 1 << 20;
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 4096, 255, 4096);
    }
}
