//! The driver: the one loop between an engine, a stream and a handler.

use std::future::{Future, pending};

use bytes::BytesMut;
use tokio::time::sleep_until;

use super::{BoxedStream, Connection, Drain, Fault};
use crate::engine::{Close, Engine, ShutDown, Step};

/// The application's side of one connection.
pub trait Handler<E: Engine>: Send {
    /// Hears of an event, and answers it if it is a question. A question that is still open afterwards waits for
    /// [`wake`](Self::wake).
    fn event(&mut self, conn: &mut Connection<E>, event: E::Event) -> impl Future<Output = Result<Next, Fault>> + Send;

    /// Resolves when the application has something to say unasked. Must be cancel-safe: it is dropped and called again.
    fn wake(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// Says it.
    fn woken(&mut self, conn: &mut Connection<E>) -> impl Future<Output = Result<Next, Fault>> + Send {
        let _ = conn;
        async { Ok(Next::Go) }
    }

    /// The session is over: leases are released here.
    fn closed(self, why: Close) -> impl Future<Output = ()> + Send;
}

/// How a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the engine again.
    Go,
    /// Leave the engine: the caller of [`drive`] takes the stream, as a proxy does.
    Detach,
}

/// What is left when a handler detaches.
pub struct Detached<H> {
    /// The handler, which knows where to go.
    pub handler: H,
    /// The stream; all output was taken by the peer.
    pub stream: BoxedStream,
    /// Octets that were read and not parsed.
    pub input: BytesMut,
}

/// Runs a session to its end.
///
/// The driver alone owns socket, buffers and engine. Deadlines of the engine, the peer's failing to take output, the server's
/// stopping and the handler's waking all meet here. A handler's answer is never cut short: while it runs nothing else does.
///
/// Where the connection is lost, the engine is told that the peer has left, and the handler hears what that comes to, such as a
/// client's report, before it is [`closed`](Handler::closed). What was read and not parsed is not acted on any more.
pub async fn drive<E: Engine, H: Handler<E>>(
    mut conn: Connection<E>,
    mut handler: H,
    mut drain: Drain,
) -> (Close, Option<Detached<H>>) {
    let mut told = false;
    let why = loop {
        if let Some(gone) = conn.gone() {
            end(&mut conn, &mut handler).await;
            break gone.into();
        }
        let answer = match conn.step() {
            // What an answer needs is held while it runs, not for as long as the connection idles.
            Step::Event(event) => Box::pin(handler.event(&mut conn, event)).await,
            Step::NeedInput | Step::YourTurn => {
                let wake_at = conn.wake_at();
                tokio::select! {
                    moved = conn.transfer() => { let _ = moved; Ok(Next::Go) }
                    () = handler.wake() => Box::pin(handler.woken(&mut conn)).await,
                    () = drain.stopping(), if !told => {
                        told = true;
                        conn.speak(|engine, now, out| engine.shut_down(ShutDown::Stopping, now, out));
                        Ok(Next::Go)
                    }
                    () = async { sleep_until(wake_at.unwrap_or_else(tokio::time::Instant::now)).await }, if wake_at.is_some() => {
                        conn.tick();
                        Ok(Next::Go)
                    }
                }
            }
            Step::Switch(layer) => {
                let _ = Box::pin(conn.switch(layer)).await;
                Ok(Next::Go)
            }
            Step::Close(why) => {
                conn.finish(why).await;
                break why;
            }
        };
        match answer {
            Ok(Next::Go) => {
                let _ = conn.drain().await;
            }
            Ok(Next::Detach) if conn.flush().await.is_ok() => {
                let (stream, input) = conn.into_parts();
                return (Close::Quit, Some(Detached { handler, stream, input }));
            }
            Ok(Next::Detach) => {}
            Err(fault) if conn.gone().is_none() => {
                tracing::error!(peer = ?conn.peer(), %fault, "session failed");
                conn.speak(|engine, now, out| engine.shut_down(ShutDown::Fault, now, out));
            }
            Err(_) => {}
        }
    };
    handler.closed(why).await;
    (why, None)
}

/// Tells the engine that nobody is there any more, and the handler what the engine makes of it.
async fn end<E: Engine, H: Handler<E>>(conn: &mut Connection<E>, handler: &mut H) {
    conn.hang_up();
    let mut aborted = false;
    loop {
        match conn.step() {
            Step::Event(event) => match Box::pin(handler.event(conn, event)).await {
                Ok(Next::Go) => continue,
                // There is nowhere to go, and nobody to tell of a failure.
                Ok(Next::Detach) | Err(_) => {}
            },
            // The end is told behind open questions, and these stay open.
            Step::NeedInput | Step::YourTurn | Step::Switch(_) => {}
            Step::Close(_) => return,
        }
        if aborted {
            return;
        }
        aborted = true;
        conn.speak(|engine, _, _| engine.abort());
    }
}
