//! APPEND: a message on its way from a client into a mailbox.

use bytes::Bytes;
use imap_proto::{Append, DateTime, Reply};
use mailstore::{Account, Mailbox as _, NewMessage, Writer as _};

use super::{Conn, User, decline, say};
use crate::convert::imap as convert;
use crate::net::Fault;

/// How far a message has come.
pub(super) enum Incoming<W> {
    /// None is on its way.
    None,
    /// It is being written into the mailbox of this name.
    Arriving(W, String),
    /// It is not taken, and the client will be told when it has sent the rest.
    Refused(Reply),
}

impl<A: Account> User<A> {
    pub(super) async fn append(&mut self, conn: &mut Conn, append: Append) -> Result<(), Fault> {
        let flags = match convert::stored_flags(&append.flags) {
            Ok(flags) => flags,
            Err(error) => return say(conn, &convert::bad_keyword(error)),
        };
        let mailbox = match self.account.open(&append.mailbox).await {
            Ok(mailbox) => mailbox,
            Err(error) => return say(conn, &convert::target_refusal(&error)),
        };
        let new = NewMessage {
            flags,
            internal_date: append.date.map(DateTime::unix),
            size_hint: Some(append.size),
            ..NewMessage::default()
        };
        match mailbox.append(new).await {
            Ok(writer) => {
                self.incoming = Incoming::Arriving(writer, append.mailbox);
                super::accept(conn)
            }
            Err(error) => say(conn, &convert::append_refusal(&error)),
        }
    }

    pub(super) async fn chunk(&mut self, conn: &mut Conn, chunk: Bytes) -> Result<(), Fault> {
        let Incoming::Arriving(writer, _) = &mut self.incoming else { return Ok(()) };
        if let Err(error) = writer.write(chunk).await {
            self.incoming = Incoming::Refused(convert::append_refusal(&error));
            conn.speak(|engine, _, _| engine.discard_body());
        }
        Ok(())
    }

    pub(super) async fn appended(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        let reply = match std::mem::replace(&mut self.incoming, Incoming::None) {
            Incoming::Arriving(writer, name) => {
                // In a task of its own: a commit that has begun runs to its end even when the server stops.
                let committed = tokio::spawn(writer.commit()).await?;
                if let Some(open) = self.selected.as_mut().filter(|open| open.is(&name)) {
                    // RFC 3501 §6.3.11: the client hears of it with the answer.
                    open.look_soon();
                }
                match committed {
                    Ok(appended) => convert::appended(&appended),
                    Err(error) => convert::append_refusal(&error),
                }
            }
            Incoming::Refused(reply) => reply,
            Incoming::None => return decline(conn),
        };
        self.end(conn, Some(reply)).await
    }

    /// The client broke its command off behind the message.
    pub(super) fn not_appended(&mut self) {
        self.incoming = Incoming::None;
    }
}
