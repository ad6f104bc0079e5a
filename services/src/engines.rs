//! [`engine!`](crate::engine!) for our own engines. Others call it for theirs.

crate::engine!(pop3_proto, ServerSession, Event, [Tls]);
crate::engine!(link pop3_proto);

crate::engine!(smtp_proto, ServerSession, Event, [Tls]);
crate::engine!(smtp_proto, Delivery, DeliveryEvent, [Tls]);
crate::engine!(link smtp_proto);
