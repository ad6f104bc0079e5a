//! The most that a disk gives to whoever wants things durable: one file, written and synced for all who wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex};

/// Octets of a file that is [`Room::Prepared`].
const SIZE: u64 = 256 << 20;

/// Where the octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Over one file of 256 MB, again and again: a sync has nothing to say about the file itself, and the system has memory for
    /// it already.
    Prepared,
    /// Behind the end of a file that grows, as the octets of mail that stays do.
    Growing,
}

/// A file and nothing else: no checksum, no index, no way back.
#[derive(Debug)]
pub struct RawLog {
    file: File,
    room: Room,
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
    pub fn create(path: &Path, room: Room) -> io::Result<Self> {
        let file = File::options().create(true).write(true).truncate(true).open(path)?;
        if room == Room::Prepared {
            let zeros = vec![0; 1 << 20];
            for place in (0..SIZE).step_by(zeros.len()) {
                file.write_all_at(&zeros, place)?;
            }
        }
        file.sync_all()?;
        Ok(Self { file, room, state: Mutex::default(), synced: Condvar::new() })
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
            let is_full = self.room == Room::Prepared && state.place + batch.len() as u64 > SIZE;
            let place = if is_full { 0 } else { state.place };
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
