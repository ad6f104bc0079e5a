//! [`engine!`](crate::engine!) for our own engines. Others call it for theirs.

crate::engine!(pop3_proto, ServerSession, Event, [Tls]);
crate::engine!(link pop3_proto);
