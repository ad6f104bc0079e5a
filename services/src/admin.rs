//! The operator's hands on the queue: an HTTP API for programs, and what `mailctl` is made of.
//!
//! [`serve`] answers at an [`AdminListener`]: a Unix socket for the user that the server runs as, or a TCP address for
//! whoever has the [`Token`]. [`Client`] asks. What goes over the wire stands in [`shape`], and how it looks to people in
//! [`text`].
//!
//! | question | what it does | answer |
//! |---|---|---|
//! | `GET /v1/queue/messages?filter=&after=&limit=` | lists a page, oldest first | [`shape::Messages`] |
//! | `GET /v1/queue/messages/ID` | shows one message and its envelope | [`shape::Inspection`] |
//! | `POST /v1/queue/messages` with a [`shape::Wish`] | holds, releases, retries, requeues, bounces or deletes a page | [`shape::Tally`] |
//! | `GET /v1/queue/rules` | lists the rules | [`shape::Rules`] |
//! | `POST /v1/queue/rules` with a [`shape::Suspend`] | suspends mail | [`shape::Rule`] |
//! | `DELETE /v1/queue/rules/ID` | resumes it | [`shape::Rule`], as it was |
//! | `GET /v1/queue/sites` | lists where mail goes | [`shape::Sites`] |
//! | `GET /v1/queue/status` | counts | [`shape::Status`] |
//!
//! Anything else is answered with a [`Refusal`]. Long work goes by pages: a question touches at most a thousand messages
//! and says where the next one begins, so that none hangs however much is queued. Who changed what and how much of it is
//! logged; no question shows the contents of mail.
//!
//! ```
//! use std::sync::Arc;
//!
//! use mailqueue::testing::VirtualClock;
//! use mailqueue::{Filter, MemorySpool, Queue, QueueConfig};
//! use services::admin::{AdminListener, Client, serve};
//! use services::net::Drain;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::open(MemorySpool::new(), QueueConfig::default(), Arc::new(VirtualClock::default())).await?;
//! let folder = tempfile::tempdir()?;
//! let socket = folder.path().join("admin.sock");
//! let (_handle, drain) = Drain::new();
//! tokio::spawn(serve(AdminListener::unix(&socket)?, queue, drain));
//!
//! let page = Client::unix(&socket).messages(&Filter::default(), None, 100).await?;
//! assert_eq!((page.messages.len(), page.next), (0, None));
//! # Ok(())
//! # }
//! ```

mod client;
mod listen;
mod refusal;
mod routes;
mod serve;
pub mod shape;
pub mod text;
mod time;
mod token;
mod words;

pub use client::{Client, ClientError};
pub use listen::{AdminListener, OpenError};
pub use refusal::Refusal;
pub use serve::serve;
pub use time::{NoTime, Time};
pub use token::{Token, TokenError};
