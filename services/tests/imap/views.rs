//! Whatever two sessions do to one mailbox, each client can follow by what it is told.

use std::cell::RefCell;

use mailstore::{Account as _, Mailbox as _, Recent, Store as _, SystemFlag};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::client::{Client, Server, USER};

#[derive(Clone, Copy, Debug)]
enum Op {
    Deliver,
    Noop,
    Expunge,
    UidFetch,
    Search,
    /// With one of the messages, whichever that number means.
    With(u32, Deed),
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Delete,
    Undelete,
    See,
    Fetch,
    CopyHere,
    MoveAway,
}

fn op() -> impl Strategy<Value = (bool, Op)> {
    let deed = prop_oneof![
        3 => Just(Deed::Delete),
        1 => Just(Deed::Undelete),
        2 => Just(Deed::See),
        2 => Just(Deed::Fetch),
        1 => Just(Deed::CopyHere),
        1 => Just(Deed::MoveAway),
    ];
    let op = prop_oneof![
        3 => Just(Op::Deliver),
        2 => Just(Op::Noop),
        2 => Just(Op::Expunge),
        1 => Just(Op::UidFetch),
        1 => Just(Op::Search),
        10 => (any::<u32>(), deed).prop_map(|(any, deed)| Op::With(any, deed)),
    ];
    (any::<bool>(), op)
}

/// What a client believes: of each message its UID and its flags, as far as it was told.
#[derive(Debug, Default)]
struct View {
    messages: Vec<(Option<u32>, Option<String>)>,
}

/// Whether a command may bring EXPUNGE (RFC 3501 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    Fixed,
    MayMove,
}

impl View {
    async fn run(&mut self, client: &mut Client, command: &str, numbers: Numbers) {
        let tag = client.send(command).await;
        loop {
            let line = client.line().await;
            if line.starts_with(&format!("{tag} ")) {
                return;
            }
            let mut words = line.splitn(4, ' ').skip(1);
            let (Some(Ok(number)), Some(word)) = (words.next().map(str::parse::<usize>), words.next()) else {
                continue;
            };
            match word.trim_end() {
                "EXISTS" => {
                    assert!(number >= self.messages.len(), "{command}: {line}");
                    self.messages.resize(number, (None, None));
                }
                "EXPUNGE" => {
                    assert_eq!(numbers, Numbers::MayMove, "{command}: {line}");
                    self.messages.remove(number - 1);
                }
                "FETCH" => self.told(number, words.next().unwrap()),
                other => assert_eq!(other, "RECENT", "{line}"),
            }
        }
    }

    fn told(&mut self, number: usize, items: &str) {
        let (uid, flags) = &mut self.messages[number - 1];
        if let Some((_, rest)) = items.split_once("UID ") {
            let told: u32 = rest.split([' ', ')']).next().unwrap().parse().unwrap();
            assert!(uid.is_none_or(|known| known == told), "message {number} was {uid:?} and is {told}");
            *uid = Some(told);
        }
        if let Some((_, rest)) = items.split_once("FLAGS (") {
            let told = rest.split(')').next().unwrap();
            *flags = Some(told.split(' ').filter(|flag| *flag != "\\Recent").collect::<Vec<_>>().join(" "));
        }
    }

    /// One of the messages, by its number.
    fn pick(&self, any: u32) -> Option<u32> {
        let count = u32::try_from(self.messages.len()).unwrap();
        any.checked_rem(count).map(|number| number + 1)
    }
}

async fn act(server: &Server, mailbox: &str, client: &mut Client, view: &mut View, op: Op) {
    use Numbers::{Fixed, MayMove};
    let (command, numbers) = match op {
        Op::Deliver => return server.deliver(mailbox, b"A: b\r\n\r\n").await,
        Op::Noop => ("NOOP".to_owned(), MayMove),
        Op::Expunge => ("EXPUNGE".to_owned(), MayMove),
        Op::UidFetch => ("UID FETCH 1:* (FLAGS)".to_owned(), MayMove),
        Op::Search => ("SEARCH DELETED".to_owned(), Fixed),
        Op::With(any, deed) => {
            let Some(number) = view.pick(any) else { return };
            match deed {
                Deed::Delete => (format!("STORE {number} +FLAGS (\\Deleted)"), Fixed),
                Deed::Undelete => (format!("STORE {number} -FLAGS (\\Deleted)"), Fixed),
                Deed::See => (format!("FETCH {number} (UID BODY[])"), Fixed),
                Deed::Fetch => (format!("FETCH {number}:* (UID FLAGS RFC822.SIZE)"), Fixed),
                Deed::CopyHere => (format!("COPY {number} {mailbox}"), MayMove),
                Deed::MoveAway => (format!("MOVE {number} Trash"), MayMove),
            }
        }
    };
    view.run(client, &command, numbers).await;
}

async fn case(server: &Server, clients: &mut [Client; 2], mailbox: &str, ops: Vec<(bool, Op)>) {
    let mut views = [View::default(), View::default()];
    clients[0].ok(&format!("CREATE {mailbox}")).await;
    for (client, view) in clients.iter_mut().zip(&mut views) {
        view.run(client, &format!("SELECT {mailbox}"), Numbers::Fixed).await;
    }
    for (first, op) in ops {
        let who = usize::from(first);
        act(server, mailbox, &mut clients[who], &mut views[who], op).await;
    }
    let truth = server.store.open(USER).await.unwrap().open(mailbox).await.unwrap();
    let truth = truth.snapshot(Recent::Peek).await.unwrap().messages;
    for (client, view) in clients.iter_mut().zip(&mut views) {
        view.run(client, "NOOP", Numbers::MayMove).await;
        let told: Vec<_> = view.messages.iter().map(|(_, flags)| flags.clone()).collect();
        view.run(client, "FETCH 1:* (UID FLAGS)", Numbers::Fixed).await;
        let uids: Vec<_> = view.messages.iter().map(|(uid, _)| uid.unwrap()).collect();
        assert_eq!(uids, truth.iter().map(|message| message.uid).collect::<Vec<_>>());
        for ((message, told), (_, now)) in truth.iter().zip(told).zip(&view.messages) {
            let present = |flag| message.flags.has(flag);
            let flags = [(SystemFlag::Deleted, "\\Deleted"), (SystemFlag::Seen, "\\Seen")];
            let flags: Vec<_> = flags.into_iter().filter(|(flag, _)| present(*flag)).map(|(_, name)| name).collect();
            assert_eq!(now.as_deref(), Some(&*flags.join(" ")));
            // Whoever was told flags at all was told of every change.
            assert!(told.is_none() || told == *now, "{} had {told:?} and has {now:?}", message.uid);
        }
    }
}

#[test]
fn two_clients_can_follow() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, clients) = runtime.block_on(async {
        let server = Server::new();
        let clients = [server.login().await, server.login().await];
        (server, clients)
    });
    let shared = RefCell::new((clients, 0));
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let result = runner.run(&prop::collection::vec(op(), 1..40), |ops| {
        let (clients, number) = &mut *shared.borrow_mut();
        *number += 1;
        runtime.block_on(case(&server, clients, &format!("m{number}"), ops));
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}
