//! From a user to the hosts that a domain names in DNS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailqueue::MemorySpool;
use services::net::{ConnectionLimits, Endpoint, Listener, Security, serve};

use crate::case::free_port;
use crate::node::{Node, Onward, nasty, options, transaction};
use crate::scripted::{Say, Scripted};

const USER: &str = "alice@near.example";

/// Two domains have one mail host, one takes no mail, and one is not there.
fn names(name: &str, kind: &str) -> Say {
    match (name, kind) {
        ("far.example" | "other.example", "MX") => Say::Records(vec![("MX", "10 mail.far.example.".to_owned())]),
        ("silent.example", "MX") => Say::Records(vec![("MX", "0 .".to_owned())]),
        ("mail.far.example", "A") => Say::Records(vec![("A", "127.0.0.1".to_owned())]),
        ("mail.far.example", _) => Say::NoData,
        _ => Say::NoName,
    }
}

#[tokio::test]
async fn mail_goes_where_dns_says_and_what_cannot_comes_back() {
    let far = Node::new("mail.far.example", &["zoe@far.example", "zoe@other.example"], None).await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let limits = ConnectionLimits::new(10, 10);
    let listener = Listener::bind(&Endpoint::Tcp(address), Security::Plain, limits, Arc::default()).unwrap();
    tokio::spawn(serve(listener, Arc::clone(&far.mx), far.drain.clone()));

    let server = Scripted::start(names).await;
    let onward = Onward::Exchangers { name_server: server.address, port: address.port() };
    let near = Node::with(MemorySpool::default(), options("near.example"), &[USER], onward).await;
    let to = ["zoe@far.example", "zoe@other.example", "zoe@silent.example", "zoe@nowhere.example"];
    let message = transaction(USER, &to, &nasty());
    let said = near
        .session(&*near.submission, &format!("EHLO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n{message}QUIT\r\n"))
        .await;
    assert!(said.contains("accepted as"), "{said}");

    for user in &to[..2] {
        assert!(far.inbox_of(user, 1).await[0].ends_with(&nasty()));
    }
    let sites: Vec<_> = near.queue.sites().into_iter().map(|site| site.name.to_string()).collect();
    assert!(sites.contains(&"mail.far.example".to_owned()), "both domains are one site: {sites:?}");
    assert!(!sites.iter().any(|site| site.contains("other.example")), "{sites:?}");

    // In one report or in two.
    let fields = [("zoe@silent.example", "5.1.10"), ("zoe@nowhere.example", "5.1.2")]
        .map(|(who, status)| format!("Final-Recipient: rfc822;{who}\r\nAction: failed\r\nStatus: {status}\r\n"));
    for _ in 0..500 {
        let told = near.inbox(USER).await.concat();
        if fields.iter().all(|fields| told.contains(fields)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", near.inbox(USER).await);
}
