//! When to stop, and when to look again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that operators send.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    /// Takes them over from the system's defaults. Must be called inside a runtime.
    ///
    /// # Errors
    /// The system does not give them.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or Ctrl-C, and calls `reload` at each SIGHUP until then.
    pub async fn stop(&mut self, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.reload.recv() => reload(),
            }
        }
    }
}
