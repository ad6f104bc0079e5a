//! What a delivery promises, whatever the server does.

use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use smtp_proto::{
    Chunking, ClientConfig, ClientLimits, Deadline, Domain, Envelope, Outcome, Policy, Protocol, Reuse, ShutDown, Step,
    Trouble,
};

use crate::case::{Client, MESSAGE, envelope};
use crate::model::{Mood, Offers, Server};

/// What happens beside the dialogue, and when.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    ShutDown(ShutDown),
    Abort,
}

#[derive(Clone, Debug)]
struct Scene {
    protocol: Protocol,
    policy: Policy,
    offers: Offers,
    whims: Vec<u8>,
    /// How many recipients each message has.
    messages: Vec<usize>,
    window: usize,
    transactions: u32,
    piece: usize,
    event: (usize, Event),
}

fn scene() -> impl Strategy<Value = Scene> {
    let event = prop_oneof![
        3 => Just(Event::Nothing),
        1 => Just(Event::ShutDown(ShutDown::Stopping)),
        1 => Just(Event::ShutDown(ShutDown::Fault)),
        1 => Just(Event::Abort),
    ];
    let limit = || prop_oneof![2 => Just(None), 1 => (1_usize..4).prop_map(Some)];
    let offers = (any::<bool>(), any::<bool>(), limit(), limit())
        .prop_map(|(pipelining, chunking, rcpt_max, mail_max)| Offers { pipelining, chunking, rcpt_max, mail_max });
    let kind = (any::<bool>(), any::<bool>(), any::<bool>());
    let whims = prop::collection::vec(prop_oneof![3 => 0_u8..190, 1 => any::<u8>()], 0..60);
    let numbers = (1_usize..6, 1_u32..5, 1_usize..30);
    (kind, offers, whims, prop::collection::vec(0_usize..7, 1..4), numbers, (0_usize..30, event)).prop_map(
        |((lmtp, chunks, reuse), offers, whims, messages, (window, transactions, piece), event)| Scene {
            protocol: if lmtp { Protocol::Lmtp } else { Protocol::Smtp },
            policy: Policy {
                chunking: if chunks { Chunking::WhereOffered } else { Chunking::WhereNeeded },
                reuse: if reuse { Reuse::Ask } else { Reuse::No },
                ..Policy::default()
            },
            offers,
            whims,
            messages,
            window,
            transactions,
            piece,
            event,
        },
    )
}

fn message(number: usize, recipients: usize) -> Envelope {
    let names: Vec<String> = (0..recipients).map(|n| format!("m{number}u{n}")).collect();
    let mut envelope = envelope(&names.iter().map(String::as_str).collect::<Vec<_>>());
    envelope.mail.parameters.size = Some(MESSAGE.len() as u64);
    envelope
}

/// Plays it to the end; how many messages were begun.
fn play(scene: &Scene, client: &mut Client, server: &mut Server) -> usize {
    let (mut begun, mut said) = (1, BytesMut::new());
    server.greet(&mut said);
    for turn in 0..10_000 {
        if turn == scene.event.0 {
            match scene.event.1 {
                Event::Nothing => {}
                Event::ShutDown(why) => client.delivery.shut_down(why, client.now, &mut client.out),
                Event::Abort => client.delivery.abort(),
            }
        }
        let step = client.run();
        let heard = client.out.len();
        server.hear(&mut client.out, &mut said);
        if server.mood != Mood::Talking {
            // Nobody listens.
            client.out.clear();
        }
        let piece = said.len().min(scene.piece);
        client.input.extend_from_slice(&said[..piece]);
        said.advance(piece);
        match step {
            Step::Close(_) => return begun,
            Step::YourTurn => {
                client.asked.clear();
                match scene.messages.get(begun) {
                    Some(recipients) => {
                        let next = message(begun, *recipients);
                        client.delivery.again(next, client.now, &mut client.out).unwrap();
                        begun += 1;
                    }
                    None => client.delivery.decline(client.now, &mut client.out),
                }
            }
            Step::NeedInput if piece > 0 || heard > 0 => {}
            Step::NeedInput => match server.mood {
                Mood::Gone => client.delivery.handle_eof(),
                Mood::Talking | Mood::Silent => {
                    let Deadline { at, .. } = client.delivery.poll_timeout().expect("nobody waits for ever");
                    client.now = at;
                    client.delivery.handle_timeout(at, &mut client.out);
                }
            },
            step => panic!("{step:?}"),
        }
    }
    panic!("without end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Each message has one report with an outcome for each recipient, and who is told to have the message has it, by the server's
    /// word, and once; who is told not to have it has not.
    #[test]
    fn what_is_told_is_so(scene in scene()) {
        let limits = ClientLimits { window: scene.window, transactions: scene.transactions, ..ClientLimits::default() };
        let host = Domain::parse("a.example").unwrap().into_owned();
        let config = ClientConfig { protocol: scene.protocol, limits, ..ClientConfig::new(host) };
        let mut client = Client::with(config, message(0, scene.messages[0]), scene.policy.clone());
        let mut server = Server::new(scene.protocol, scene.offers.clone(), scene.whims.clone(), MESSAGE);
        let begun = play(&scene, &mut client, &mut server);
        prop_assert_eq!(client.reports.len(), begun);
        for (number, (report, recipients)) in client.reports.iter().zip(&scene.messages).enumerate() {
            prop_assert_eq!(report.outcomes.len(), *recipients);
            for (index, outcome) in report.outcomes.iter().enumerate() {
                let times = server.delivered.get(&format!("m{number}u{index}")).copied().unwrap_or_default();
                let expected = usize::from(matches!(outcome, Outcome::Accepted(_)));
                // We did not wait for the answer.
                let unheard = matches!(report.trouble, Some(Trouble::Lost(smtp_proto::Close::Aborted | smtp_proto::Close::ShutDown(ShutDown::Fault))));
                prop_assert!(times == expected || unheard && times == 1 && matches!(outcome, Outcome::Deferred(_)), "{} {:?}", times, report);
            }
        }
    }
}
