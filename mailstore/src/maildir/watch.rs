//! Word from the operating system that a directory has changed. One watcher serves the whole process's store: their
//! number is limited for each user of the system.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{
    folder::Folder,
    site::{Dir, Site},
};

type Folders = Arc<Mutex<HashMap<PathBuf, Weak<Folder>>>>;

/// Watches the directories of open mailboxes. Where it cannot (no such facility, or too many), hints only come from
/// this process; whoever must know asks from time to time anyway.
pub(crate) struct Watch {
    root: Option<PathBuf>,
    folders: Folders,
    watcher: Mutex<Option<RecommendedWatcher>>,
}

impl Watch {
    pub(crate) fn new(root: Option<&Path>) -> Self {
        Self { root: root.map(Path::to_owned), folders: Folders::default(), watcher: Mutex::default() }
    }

    /// Begins to watch a mailbox; once more is no harm. It may wait for the disk.
    pub(crate) fn watch(&self, folder: &Arc<Folder>) {
        for path in self.paths(&folder.site) {
            let known = locked(&self.folders).insert(path.clone(), Arc::downgrade(folder));
            // Another one's directory was deleted, and this is a new one of the same name.
            if known.is_some_and(|known| known.as_ptr() == Arc::as_ptr(folder)) {
                continue;
            }
            let mut watcher = locked(&self.watcher);
            if watcher.is_none() {
                let folders = Arc::clone(&self.folders);
                *watcher = notify::recommended_watcher(move |event| heard(&folders, event)).ok();
            }
            // See above for when it cannot.
            let _ = watcher.as_mut().map(|watcher| watcher.watch(&path, RecursiveMode::NonRecursive));
        }
    }

    /// Stops watching a mailbox.
    pub(crate) fn forget(&self, folder: &Folder) {
        for path in self.paths(&folder.site) {
            {
                let mut folders = locked(&self.folders);
                // Another may have taken its place.
                match folders.get(&path) {
                    Some(known) if known.strong_count() == 0 => folders.remove(&path),
                    Some(_) | None => continue,
                };
            }
            let _ = locked(&self.watcher).as_mut().map(|watcher| watcher.unwatch(&path));
        }
    }

    fn paths(&self, site: &Site) -> Vec<PathBuf> {
        let root = self.root.as_ref();
        root.map(|root| Dir::BOTH.map(|dir| root.join(site.sub(dir))).into()).unwrap_or_default()
    }
}

fn heard(folders: &Folders, event: notify::Result<Event>) {
    let Ok(event) = event else { return };
    if matches!(event.kind, EventKind::Access(_)) {
        return;
    }
    let mut told: Vec<Arc<Folder>> = Vec::new();
    if event.need_rescan() {
        told = locked(folders).values().filter_map(Weak::upgrade).collect();
    } else {
        for path in &event.paths {
            let known = |path: Option<&Path>| locked(folders).get(path?).and_then(Weak::upgrade);
            told.extend(known(path.parent()).or_else(|| known(Some(path))));
        }
    }
    for folder in told {
        folder.tell();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("root", &self.root).finish_non_exhaustive()
    }
}
