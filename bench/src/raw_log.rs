//! The most that a disk gives to whoever wants things durable: one file, written and synced for all who wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex};

/// Octets of the file. It is as large from the beginning, so that a sync has nothing to say about the file itself, and is
/// written from its beginning again when it is full.
const SIZE: u64 = 256 << 20;

/// A file and nothing else: no checksum, no index, no way back.
#[derive(Debug)]
pub struct RawLog {
    file: File,
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// The number of the batch that gathers.
    gathering: u64,
    /// Batches before this one are durable.
    durable: u64,
    place: u64,
    turn: Turn,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Free,
    /// One of the callers writes and syncs for those who came before.
    Taken,
}

impl RawLog {
    /// Makes the file.
    ///
    /// # Errors
    /// As the disk says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).write(true).truncate(true).open(path)?;
        let zeros = vec![0; 1 << 20];
        for place in (0..SIZE).step_by(zeros.len()) {
            file.write_all_at(&zeros, place)?;
        }
        file.sync_all()?;
        Ok(Self { file, state: Mutex::default(), synced: Condvar::new() })
    }

    /// Returns when the octets are durable.
    ///
    /// # Errors
    /// As the disk says, to one of those who wait; the others wait for ever.
    pub fn append(&self, octets: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.waiting.extend_from_slice(octets);
        let mine = state.gathering;
        loop {
            if state.durable > mine {
                return Ok(());
            }
            if state.turn == Turn::Taken {
                state = self.synced.wait(state).unwrap();
                continue;
            }
            state.turn = Turn::Taken;
            let mut batch = std::mem::take(&mut state.waiting);
            state.gathering += 1;
            let place = if state.place + batch.len() as u64 > SIZE { 0 } else { state.place };
            state.place = place + batch.len() as u64;
            drop(state);
            self.file.write_all_at(&batch, place)?;
            self.file.sync_data()?;
            batch.clear();
            state = self.state.lock().unwrap();
            if state.waiting.capacity() == 0 {
                state.waiting = batch;
            }
            state.durable = mine + 1;
            state.turn = Turn::Free;
            self.synced.notify_all();
        }
    }
}
