//! [`engine!`](crate::engine!) for our own engines. Others call it for theirs.

crate::engine!(imap_proto, ServerSession, Event, [Tls, Deflate]);
crate::engine!(link imap_proto);

crate::engine!(pop3_proto, ServerSession, Event, [Tls]);
crate::engine!(pop3_proto, ClientSession, ClientEvent, [Tls]);
crate::engine!(pop3_proto, Fetch, FetchEvent, [Tls]);
crate::engine!(link pop3_proto);

crate::engine!(smtp_proto, ServerSession, Event, [Tls]);
crate::engine!(smtp_proto, ClientSession, ClientEvent, [Tls]);
crate::engine!(smtp_proto, Delivery, DeliveryEvent, [Tls]);
crate::engine!(link smtp_proto);
