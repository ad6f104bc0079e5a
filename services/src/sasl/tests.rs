use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;

use super::*;
use crate::directory::{
    AttemptLimits, Credential, Decoy, Directory, DirectoryError, LoginLimits, Verifier, VerifierLimits,
};

/// alice and two users of awkward names by SCRAM; bob by SHA-512-crypt of a password with a superscript two.
struct Users;

impl Directory for Users {
    async fn lookup(&self, _: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    async fn credential(&self, name: &str) -> Result<Option<Credential>, DirectoryError> {
        let verifier = match name {
            "alice@example.org" => ScramVerifier::derive(b"wonderland", ITERATIONS, b"salt of alice..."),
            "a,b=c@example.org" => ScramVerifier::derive(b"looking,glass=", ITERATIONS, b"salt of another."),
            "emoji@example.org" => ScramVerifier::derive("\u{1f984}".as_bytes(), ITERATIONS, b"salt of a third."),
            "bob@example.org" => {
                let text = "$6$rounds=1000$abcdefgh$SFIwD3L5MhGxtZVUZijke6W8E4.emc3PnfVbxuriJmJcC3ZSGVv52kqIIaVUpcjwBKA7Svw03fRE1RqFtbqge/";
                let verifier = Arc::new(Verifier::parse(text, &VerifierLimits::default()).unwrap());
                return Ok(Some(Credential { account: account(name), verifier }));
            }
            "down@example.org" => return Err(DirectoryError::Busy),
            _ => return Ok(None),
        };
        Ok(Some(Credential { account: account(name), verifier: Arc::new(Verifier::Scram(verifier)) }))
    }

    fn decoy(&self) -> Decoy {
        Decoy::shaped(ITERATIONS, 16)
    }
}

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

fn account(address: &str) -> Account {
    Account::new(address).unwrap()
}

fn alice() -> Account {
    account("alice@example.org")
}

fn accounts() -> Accounts {
    let attempts = AttemptLimits {
        first_delay: Duration::ZERO,
        per_account: 10_000,
        per_address: 10_000,
        ..AttemptLimits::default()
    };
    Accounts::new(Users, LoginLimits { attempts, ..LoginLimits::default() })
}

fn server() -> SaslServer {
    SaslServer::new(accounts(), None)
}

async fn start(sasl: &mut SaslServer, mechanism: &str, initial: &[u8]) -> Progress {
    sasl.start(Channel::Private, mechanism, Some(initial)).await
}

fn challenge(progress: Progress) -> String {
    match progress {
        Progress::Challenge(text) => String::from_utf8(text).unwrap(),
        Progress::Done(_) | Progress::Failed(_) => panic!("no challenge: {progress:?}"),
    }
}

/// A client of SCRAM-SHA-256, written from RFC 5802 §3 and without rsasl.
struct Client {
    password: &'static str,
    gs2: &'static str,
    bare: String,
}

impl Client {
    fn new(name: &str, password: &'static str) -> Self {
        Self { password, gs2: "n,,", bare: format!("n={name},r=clientnonce") }
    }

    fn first(&self) -> Vec<u8> {
        format!("{}{}", self.gs2, self.bare).into_bytes()
    }

    /// The final message, and the server's proof that has to follow.
    fn last(&self, server_first: &str) -> (String, String) {
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        let salt = BASE64.decode(field("s=")).unwrap();
        let mut salted = [0u8; 32];
        let iterations = field("i=").parse().unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, self.password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let without_proof = format!("c={},r={}", BASE64.encode(self.gs2), field("r="));
        let message = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = sign(&salted, "Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), &message);
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server = sign(sign(&salted, "Server Key").as_ref(), &message);
        (format!("{without_proof},p={}", BASE64.encode(proof)), format!("v={}", BASE64.encode(server)))
    }

    /// The exchange up to the server's answer to the proof.
    async fn prove(&self, sasl: &mut SaslServer) -> (Progress, String) {
        let server_first = challenge(start(sasl, "SCRAM-SHA-256", &self.first()).await);
        let (last, server_proof) = self.last(&server_first);
        (sasl.respond(last.as_bytes()).await, server_proof)
    }

    /// The whole exchange.
    async fn run(&self, sasl: &mut SaslServer) -> Progress {
        let (progress, server_proof) = self.prove(sasl).await;
        if let Progress::Failed(_) = progress {
            return progress;
        }
        assert_eq!(challenge(progress), server_proof);
        sasl.respond(b"").await
    }
}

#[tokio::test]
async fn plain_logs_in_with_and_without_an_initial_response() {
    let mut sasl = server();
    let message = b"\0alice@example.org\0wonderland";
    assert_eq!(start(&mut sasl, "plain", message).await, Progress::Done(alice()));
    assert_eq!(sasl.start(Channel::Private, "PLAIN", None).await, Progress::Challenge(Vec::new()));
    assert_eq!(sasl.respond(message).await, Progress::Done(alice()));
    assert_eq!(start(&mut sasl, "PLAIN", b"\0alice@example.org\0guess").await, Progress::Failed(Why::Denied));
}

#[tokio::test]
async fn plain_keeps_nuls_apart() {
    let mut sasl = server();
    for message in [
        &b""[..],
        b"\0",
        b"\0\0",
        b"alice@example.org\0wonderland",
        b"\0alice@example.org\0wonderland\0",
        b"\0alice@example.org\0\0wonderland",
        b"\0alice@example.org\0x\0wonderland",
        b"\0\0wonderland",
        b"\0alice\r\n@example.org\0wonderland",
        b"\0\xff\0wonderland",
    ] {
        let why = start(&mut sasl, "PLAIN", message).await;
        assert_eq!(why, Progress::Failed(Why::Malformed), "{:?}", String::from_utf8_lossy(message));
    }
    let empty = start(&mut sasl, "PLAIN", b"\0alice@example.org\0").await;
    assert_eq!(empty, Progress::Failed(Why::Denied));
}

/// SASLprep would refuse the first and turn the second's superscript into a plain two.
#[tokio::test]
async fn plain_hands_the_password_on_as_it_was_sent() {
    let mut sasl = server();
    let emoji = "\0emoji@example.org\0\u{1f984}".as_bytes();
    assert_eq!(start(&mut sasl, "PLAIN", emoji).await, Progress::Done(account("emoji@example.org")));
    let crypt = "\0bob@example.org\0wonder\u{b2}land".as_bytes();
    assert_eq!(start(&mut sasl, "PLAIN", crypt).await, Progress::Done(account("bob@example.org")));
    let altered = b"\0bob@example.org\0wonder2land";
    assert_eq!(start(&mut sasl, "PLAIN", altered).await, Progress::Failed(Why::Denied));
}

#[tokio::test]
async fn login_asks_twice_in_the_words_that_clients_compare() {
    let mut sasl = server();
    assert_eq!(challenge(sasl.start(Channel::Private, "LOGIN", None).await), "Username:");
    assert_eq!(challenge(sasl.respond(b"alice@example.org").await), "Password:");
    assert_eq!(sasl.respond(b"wonderland").await, Progress::Done(alice()));
}

#[tokio::test]
async fn login_takes_the_name_as_initial_response() {
    let mut sasl = server();
    assert_eq!(challenge(start(&mut sasl, "LOGIN", b"alice@example.org").await), "Password:");
    assert_eq!(sasl.respond(b"guess").await, Progress::Failed(Why::Denied));
}

#[tokio::test]
async fn a_name_with_a_nul_never_logs_in_as_what_stands_before_it() {
    let mut sasl = server();
    assert_eq!(challenge(start(&mut sasl, "LOGIN", b"alice@example.org\0x").await), "Password:");
    assert_eq!(sasl.respond(b"wonderland").await, Progress::Failed(Why::Malformed));
    let scram = start(&mut sasl, "SCRAM-SHA-256", b"n,,n=alice@example.org\0x,r=nonce").await;
    assert_eq!(scram, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn scram_proves_both_sides_and_ends_with_an_empty_response() {
    let mut sasl = server();
    let client = Client::new("alice@example.org", "wonderland");
    let (progress, server_proof) = client.prove(&mut sasl).await;
    assert_eq!(challenge(progress), server_proof);
    assert_eq!(sasl.respond(b"").await, Progress::Done(alice()));
    assert_eq!(sasl.respond(b"").await, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn scram_takes_nothing_but_silence_for_the_last_response() {
    let mut sasl = server();
    let (progress, _) = Client::new("alice@example.org", "wonderland").prove(&mut sasl).await;
    challenge(progress);
    assert_eq!(sasl.respond(b"x").await, Progress::Failed(Why::Malformed));
    assert_eq!(sasl.respond(b"").await, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn scram_with_a_wrong_password_finishes_and_logs_nobody_in() {
    let mut sasl = server();
    let wrong = Client::new("alice@example.org", "looking-glass").run(&mut sasl).await;
    assert_eq!(wrong, Progress::Failed(Why::Denied));
    assert_eq!(sasl.respond(b"").await, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn scram_shows_unknown_users_and_crypt_users_like_everybody() {
    let mut sasl = server();
    for name in ["alice@example.org", "nobody@example.org", "bob@example.org"] {
        let client = Client::new(name, "guess");
        let mut shown = Vec::new();
        for _ in 0..2 {
            let server_first = challenge(start(&mut sasl, "SCRAM-SHA-256", &client.first()).await);
            let (nonce, rest) = server_first.split_once(',').unwrap();
            assert_eq!(nonce.len(), "r=clientnonce".len() + 24, "{name}");
            assert_eq!((rest.len(), rest.ends_with(",i=4096")), (2 + 24 + 7, true), "{name}");
            shown.push(rest.to_owned());
            let (last, _) = client.last(&server_first);
            assert_eq!(sasl.respond(last.as_bytes()).await, Progress::Failed(Why::Denied), "{name}");
        }
        assert_eq!(shown[0], shown[1], "the salt of {name} changes");
    }
}

#[tokio::test]
async fn scram_costs_no_derivation_for_anybody() {
    let accounts = accounts();
    let mut sasl = SaslServer::new(accounts.clone(), None);
    for name in ["alice@example.org", "nobody@example.org", "bob@example.org"] {
        Client::new(name, "wonderland").run(&mut sasl).await;
    }
    assert_eq!(accounts.verification().derivations(), 0);
}

#[tokio::test]
async fn scram_undoes_the_escapes_of_a_name() {
    let mut sasl = server();
    let done = Client::new("a=2Cb=3Dc@example.org", "looking,glass=").run(&mut sasl).await;
    assert_eq!(done, Progress::Done(account("a,b=c@example.org")));
    for name in ["alice=2@example.org", "alice=", "alice=2c@example.org", "=", ""] {
        let why = start(&mut sasl, "SCRAM-SHA-256", &Client::new(name, "").first()).await;
        assert_eq!(why, Progress::Failed(Why::Malformed), "{name}");
    }
}

#[tokio::test]
async fn scram_takes_clients_that_could_bind_and_refuses_those_that_do() {
    let mut sasl = server();
    let could = Client { gs2: "y,,", ..Client::new("alice@example.org", "wonderland") };
    assert_eq!(could.run(&mut sasl).await, Progress::Done(alice()));
    let does = Client { gs2: "p=tls-exporter,,", ..Client::new("alice@example.org", "wonderland") };
    assert_eq!(start(&mut sasl, "SCRAM-SHA-256", &does.first()).await, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn scram_holds_the_client_to_the_header_it_sent_first() {
    let mut sasl = server();
    let client = Client::new("alice@example.org", "wonderland");
    let server_first = challenge(start(&mut sasl, "SCRAM-SHA-256", &client.first()).await);
    let other = Client { gs2: "y,,", ..Client::new("alice@example.org", "wonderland") };
    let (last, _) = other.last(&server_first);
    assert_eq!(sasl.respond(last.as_bytes()).await, Progress::Failed(Why::Denied));
}

#[tokio::test]
async fn a_proof_overheard_is_worth_nothing_in_another_exchange() {
    let mut sasl = server();
    let client = Client::new("alice@example.org", "wonderland");
    let server_first = challenge(start(&mut sasl, "SCRAM-SHA-256", &client.first()).await);
    let (overheard, _) = client.last(&server_first);
    assert_ne!(challenge(start(&mut sasl, "SCRAM-SHA-256", &client.first()).await), server_first);
    assert_eq!(sasl.respond(overheard.as_bytes()).await, Progress::Failed(Why::Denied));
}

/// Each of these makes rsasl's parser slice beyond its input, or step a session that failed.
#[tokio::test]
async fn messages_cut_short_are_malformed_and_end_the_exchange() {
    let mut sasl = server();
    for first in
        ["", "n", "n,", "n,,", "n,a,n=a,r=b", "n,,n,r=b", "n,,,", "n,,n=a", "n,,n=a,", "n,,n=a,r", "n,,n=a,r=", ",,,"]
    {
        let why = start(&mut sasl, "SCRAM-SHA-256", first.as_bytes()).await;
        assert_eq!(why, Progress::Failed(Why::Malformed), "{first}");
        assert_eq!(sasl.respond(b"n,,n=alice@example.org,r=b").await, Progress::Failed(Why::Malformed), "{first}");
    }
    let client = Client::new("alice@example.org", "wonderland");
    for cut in [
        "",
        "c",
        "c=",
        "c=biws",
        "c=biws,",
        "c=biws,r",
        "c=biws,r=x",
        "c=biws,r=x,",
        "c=biws,r=x,p",
        "c=biws,r=x,p=x,",
        ",,",
    ] {
        let server_first = challenge(start(&mut sasl, "SCRAM-SHA-256", &client.first()).await);
        assert_eq!(sasl.respond(cut.as_bytes()).await, Progress::Failed(Why::Malformed), "{cut}");
        let (last, _) = client.last(&server_first);
        assert_eq!(sasl.respond(last.as_bytes()).await, Progress::Failed(Why::Malformed), "{cut}");
    }
}

#[tokio::test]
async fn a_user_acts_as_nobody_else() {
    let mut sasl = server();
    for own in ["", "alice@example.org", "ALICE@example.org"] {
        let message = format!("{own}\0Alice@example.org\0wonderland");
        assert_eq!(start(&mut sasl, "PLAIN", message.as_bytes()).await, Progress::Done(alice()), "{own}");
    }
    for other in ["bob@example.org", "root", "alice"] {
        let message = format!("{other}\0alice@example.org\0wonderland");
        let why = start(&mut sasl, "PLAIN", message.as_bytes()).await;
        assert_eq!(why, Progress::Failed(Why::NotAuthorized), "{other}");
    }
    let wrong = start(&mut sasl, "PLAIN", b"bob@example.org\0alice@example.org\0guess").await;
    assert_eq!(wrong, Progress::Failed(Why::Denied));

    let own = Client { gs2: "n,a=alice@example.org,", ..Client::new("alice@example.org", "wonderland") };
    assert_eq!(own.run(&mut sasl).await, Progress::Done(alice()));
    let other = Client { gs2: "n,a=bob@example.org,", ..Client::new("alice@example.org", "wonderland") };
    assert_eq!(other.run(&mut sasl).await, Progress::Failed(Why::NotAuthorized));
    assert_eq!(sasl.respond(b"").await, Progress::Failed(Why::Malformed));
    let wrong = Client { gs2: "n,a=bob@example.org,", ..Client::new("alice@example.org", "guess") };
    assert_eq!(wrong.run(&mut sasl).await, Progress::Failed(Why::Denied));
}

#[tokio::test]
async fn nothing_is_taken_before_tls_and_nothing_unknown_ever() {
    let mut sasl = server();
    for mechanism in mechanisms(Channel::Private) {
        let early = sasl.start(Channel::Open, mechanism, Some(b"\0alice@example.org\0wonderland")).await;
        assert_eq!(early, Progress::Failed(Why::NeedsTls), "{mechanism}");
    }
    for mechanism in ["CRAM-MD5", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "", "PLAIN "] {
        let unknown = sasl.start(Channel::Private, mechanism, None).await;
        assert_eq!(unknown, Progress::Failed(Why::Unsupported), "{mechanism}");
    }
}

#[tokio::test]
async fn a_message_beyond_the_bound_is_not_looked_at() {
    let mut sasl = server();
    let long = [b"\0alice@example.org\0", vec![b'x'; MAX_MESSAGE].as_slice()].concat();
    assert_eq!(start(&mut sasl, "PLAIN", &long).await, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn an_exchange_that_was_cancelled_or_dropped_halfway_does_not_go_on() {
    let mut sasl = server();
    challenge(start(&mut sasl, "LOGIN", b"alice@example.org").await);
    sasl.cancel();
    assert_eq!(sasl.respond(b"wonderland").await, Progress::Failed(Why::Malformed));

    challenge(start(&mut sasl, "LOGIN", b"alice@example.org").await);
    {
        let mut halfway = pin!(sasl.respond(b"guess"));
        std::future::poll_fn(|task| {
            assert!(halfway.as_mut().poll(task).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!(sasl.respond(b"wonderland").await, Progress::Failed(Why::Malformed));
}

#[tokio::test]
async fn a_directory_without_an_answer_denies_nobody() {
    let mut sasl = server();
    let plain = start(&mut sasl, "PLAIN", b"\0down@example.org\0wonderland").await;
    assert_eq!(plain, Progress::Failed(Why::Unavailable));
    let scram = start(&mut sasl, "SCRAM-SHA-256", b"n,,n=down@example.org,r=nonce").await;
    assert_eq!(scram, Progress::Failed(Why::Unavailable));
}

#[tokio::test]
async fn failures_of_all_mechanisms_count_together() {
    let attempts = AttemptLimits { first_delay: Duration::ZERO, per_account: 3, ..AttemptLimits::default() };
    let accounts = Accounts::new(Users, LoginLimits { attempts, ..LoginLimits::default() });
    let mut sasl = SaslServer::new(accounts.clone(), "192.0.2.1".parse().ok());
    let denied = Progress::Failed(Why::Denied);
    assert_eq!(start(&mut sasl, "PLAIN", b"\0alice@example.org\0guess").await, denied);
    assert_eq!(Client::new("alice@example.org", "guess").run(&mut sasl).await, denied);
    challenge(start(&mut sasl, "LOGIN", b"alice@example.org").await);
    assert_eq!(sasl.respond(b"guess").await, denied);

    let mut other = SaslServer::new(accounts, "192.0.2.2".parse().ok());
    for sasl in [&mut sasl, &mut other] {
        let plain = start(sasl, "PLAIN", b"\0alice@example.org\0wonderland").await;
        assert!(matches!(plain, Progress::Failed(Why::Throttled { .. })), "{plain:?}");
        let scram = start(sasl, "SCRAM-SHA-256", b"n,,n=alice@example.org,r=nonce").await;
        assert!(matches!(scram, Progress::Failed(Why::Throttled { .. })), "{scram:?}");
    }
}

#[tokio::test]
async fn debug_output_holds_no_name_and_no_password() {
    let mut sasl = server();
    challenge(start(&mut sasl, "LOGIN", b"alice@example.org").await);
    let shown = format!("{sasl:?}");
    assert_eq!(shown, "SaslServer { peer: None, state: \"login password\" }");
}

#[test]
fn a_connection_s_task_may_move_between_threads() {
    fn needs<T: Send>(_: T) {}
    let mut sasl = server();
    needs(async move { sasl.respond(b"").await });
}

/// What peers send: pieces of the real messages, cut and mixed, and anything else.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(
        &[
            "n",
            "y",
            "p=x",
            ",",
            ",,",
            "n=",
            "a=",
            "r=",
            "c=biws",
            "p=",
            "=2C",
            "=3D",
            "=",
            "\0",
            "alice@example.org",
            "m=",
            "\u{e5}",
        ][..],
    );
    prop_oneof![
        proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_exchange_panics_or_logs_in_without_a_password(
        mechanism in proptest::sample::select(mechanisms(Channel::Private)),
        messages in proptest::collection::vec(message(), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sasl = server();
            let mut progress = sasl.start(Channel::Private, mechanism, None).await;
            for message in messages {
                prop_assert!(!matches!(progress, Progress::Done(_)));
                progress = sasl.respond(&message).await;
            }
            prop_assert!(!matches!(progress, Progress::Done(_)));
            Ok(())
        })?;
    }

    #[test]
    fn whatever_is_found_whole_is_safe_for_rsasl(message in message()) {
        if let Some(first) = ClientFirst::parse(&message) {
            let verifier = ScramVerifier::nobody(ITERATIONS, 16);
            let held = Held { sent_name: first.sent_name.to_owned(), verifier };
            let exchange = Exchange::of(&SCRAM_SHA256, Some(held)).unwrap();
            prop_assert!(exchange.step(Some(&message)).is_some(), "the two readings differ");
        }
    }
}
