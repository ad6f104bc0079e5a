//! What room there is in the queue.

use std::future::Future;
use std::io;

use mailqueue::{
    Body, CommitError, Facts, MemorySpool, MessageId, ReadError, RecordError, Space, Spool, Stored, Taken,
};

use crate::node::{Node, Onward, options};

/// A spool that says that this many octets are free.
struct Small(MemorySpool, io::Result<u64>);

impl Spool for Small {
    type Draft = <MemorySpool as Spool>::Draft;

    fn begin(&self, id: MessageId, expected: u64) -> impl Future<Output = Result<Self::Draft, CommitError>> + Send {
        self.0.begin(id, expected)
    }

    fn take(&self, limit: usize) -> impl Future<Output = Result<Vec<Taken>, ReadError>> + Send {
        self.0.take(limit)
    }

    fn arrived(&self) -> impl Future<Output = ()> + Send {
        self.0.arrived()
    }

    fn read(&self, ids: &[MessageId]) -> impl Future<Output = Vec<Result<Stored, ReadError>>> + Send {
        self.0.read(ids)
    }

    fn body(&self, id: MessageId) -> impl Future<Output = Result<Body, ReadError>> + Send {
        self.0.body(id)
    }

    fn record(&self, facts: Facts) -> impl Future<Output = Result<(), RecordError>> + Send {
        self.0.record(facts)
    }

    fn rules(&self) -> impl Future<Output = Result<Vec<u8>, ReadError>> + Send {
        self.0.rules()
    }

    fn keep_rules(&self, rules: Vec<u8>) -> impl Future<Output = Result<(), RecordError>> + Send {
        self.0.keep_rules(rules)
    }

    async fn space(&self) -> io::Result<Space> {
        match &self.1 {
            Ok(free) => Ok(Space { free: *free, used: 0 }),
            Err(error) => Err(error.kind().into()),
        }
    }

    fn close(&self) -> impl Future<Output = ()> + Send {
        self.0.close()
    }
}

async fn node(free: io::Result<u64>) -> Node<Small> {
    Node::with(
        Small(MemorySpool::default(), free),
        options("mail.example.org"),
        &["alice@example.org"],
        Onward::Nowhere,
    )
    .await
}

#[tokio::test]
async fn a_message_that_does_not_fit_is_refused_before_it_is_sent() {
    let node = node(Ok(5000)).await;
    let text = "EHLO c.example\r\nMAIL FROM:<a@b.example> SIZE=5001\r\nMAIL FROM:<a@b.example> SIZE=5000\r\nRSET\r\n\
                MAIL FROM:<a@b.example>\r\nQUIT\r\n";
    let said = node.session(&*node.mx, text).await;
    let refused = "452 4.3.1 there is no room for such a message now\r\n250 2.1.0 sender ok\r\n250 2.0.0 ok\r\n250 ";
    assert!(said.contains(refused), "{said}");
}

#[tokio::test]
async fn where_the_room_is_not_known_mail_is_taken() {
    let node = node(Err(io::ErrorKind::Other.into())).await;
    let said = node.session(&*node.mx, "EHLO c.example\r\nMAIL FROM:<a@b.example> SIZE=5001\r\nQUIT\r\n").await;
    assert!(said.contains("\r\n250 2.1.0 "), "{said}");
}
