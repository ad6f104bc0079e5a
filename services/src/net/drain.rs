//! Stopping without cutting anybody off.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Tells connections that the server stops. Cloned into every task that must end first.
#[derive(Clone, Debug)]
pub struct Drain {
    stopping: watch::Receiver<bool>,
    /// Held, never used: the last one dropped tells the handle that all are gone.
    _alive: mpsc::Sender<()>,
}

/// The other end of [`Drain`]: stops the server and waits.
#[derive(Debug)]
pub struct DrainHandle {
    stopping: watch::Sender<bool>,
    gone: mpsc::Receiver<()>,
}

impl Drain {
    /// A drain and its handle.
    #[must_use]
    pub fn new() -> (DrainHandle, Self) {
        let (stopping, stopped) = watch::channel(false);
        let (alive, gone) = mpsc::channel(1);
        (DrainHandle { stopping, gone }, Self { stopping: stopped, _alive: alive })
    }

    /// Resolves when the server stops. Cancel-safe.
    pub async fn stopping(&mut self) {
        // A handle that is gone stops nobody any more.
        if self.stopping.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the server stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

impl DrainHandle {
    /// Asks all holders of the [`Drain`] to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until all of them are gone, at most so long. True when they are.
    pub async fn drained(&mut self, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.gone.recv()).await.is_ok()
    }
}
