use std::future::{Future, pending};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;

use tokio::runtime::Runtime;

use super::*;
use crate::directory::{MAX_PASSWORD, Verifier, VerifierLimits};

/// alice by SCRAM, bob by bcrypt, carol with alice's password, erin's as it is; everybody else is unknown.
struct Three;

impl Directory for Three {
    async fn lookup(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        let found = ["alice@example.org", "bob@example.org", "carol@example.org"].contains(&address);
        Ok(found.then(|| account(address)))
    }

    async fn credential(&self, name: &str) -> Result<Option<Credential>, DirectoryError> {
        let verifier = match name {
            "alice@example.org" | "carol@example.org" => scram("wonderland"),
            "bob@example.org" => {
                let text = "$2b$05$abcdefghijklmnopqrstuuM4ZR4iuYVYvIqRjxwoCQP8zVJkuzFWS";
                Verifier::parse(text, &VerifierLimits::default()).unwrap()
            }
            "erin@example.org" => Verifier::parse("{PLAIN}wonderland", &VerifierLimits::default()).unwrap(),
            _ => return Ok(None),
        };
        Ok(Some(Credential { account: account(name), verifier: Arc::new(verifier) }))
    }

    fn decoy(&self) -> Decoy {
        Decoy::shaped(ITERATIONS, 4)
    }
}

/// Cannot be asked.
struct Down;

impl Directory for Down {
    async fn lookup(&self, _: &str) -> Result<Option<Account>, DirectoryError> {
        Err(DirectoryError::Unavailable("no route to host".into()))
    }

    async fn credential(&self, _: &str) -> Result<Option<Credential>, DirectoryError> {
        Err(DirectoryError::Unavailable("no route to host".into()))
    }
}

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

fn account(address: &str) -> Account {
    Account::new(address).unwrap()
}

fn scram(password: &str) -> Verifier {
    Verifier::Scram(ScramVerifier::derive(password.as_bytes(), ITERATIONS, b"salt"))
}

/// Without delays, so that tests do not wait.
fn limits() -> LoginLimits {
    let attempts = AttemptLimits { first_delay: Duration::ZERO, ..AttemptLimits::default() };
    LoginLimits { attempts, verification: VerificationLimits { parallel: 1, ..VerificationLimits::default() } }
}

fn three() -> Accounts {
    Accounts::new(Three, limits())
}

async fn login(accounts: &Accounts, name: &str, password: &str) -> Result<Account, Why> {
    accounts.login(None, name.as_bytes(), password.as_bytes()).await
}

#[tokio::test]
async fn a_right_password_logs_in_and_anything_else_does_not() {
    let accounts = three();
    assert_eq!(login(&accounts, "Alice@Example.ORG", "wonderland").await, Ok(account("alice@example.org")));
    assert_eq!(login(&accounts, "alice@example.org", "wonderlan").await, Err(Why::Denied));
    assert_eq!(login(&accounts, "alice@example.org", "").await, Err(Why::Denied));
    assert_eq!(login(&accounts, "dave@example.org", "wonderland").await, Err(Why::Denied));
    assert_eq!(login(&accounts, "alice@example.org\0x", "wonderland").await, Err(Why::Malformed));
    assert_eq!(login(&accounts, "", "wonderland").await, Err(Why::Malformed));
}

/// bcrypt goes through its key in circles, so that for it `x NUL x` is `x`.
#[tokio::test]
async fn a_password_with_a_nul_is_never_right() {
    let hash = "$2b$05$abcdefghijklmnopqrstuuLZNkQ1VL/QsuI/EN8Qq4Ia5232KBp7m";
    let verifier = Arc::new(Verifier::parse(hash, &VerifierLimits::default()).unwrap());
    assert!(verifier.matches(b"wonder\0wonder"));
    let accounts = three();
    let credential = Credential { account: account("bob@example.org"), verifier };
    let pool = accounts.verification();
    let check =
        async |password| pool.check(Some(credential.clone()), &Directory::decoy(&Three), password).await.unwrap();
    assert!(check(b"wonder").await.is_some());
    assert_eq!(check(b"wonder\0wonder").await, None);
    assert_eq!(check(&[b'x'; MAX_PASSWORD + 1]).await, None);
}

#[tokio::test]
async fn a_proof_is_held_against_some_password_whoever_it_is() {
    let accounts = three();
    let prove = async |name: &str, password: &[u8]| {
        let mut held_against = Vec::new();
        let fits = |kept: &[u8]| {
            held_against = kept.to_vec();
            kept == password
        };
        let outcome = accounts.prove(None, name.as_bytes(), fits).await;
        (outcome, held_against)
    };
    let (outcome, kept) = prove("Erin@example.org", b"wonderland").await;
    assert_eq!((outcome, kept.as_slice()), (Ok(account("erin@example.org")), &b"wonderland"[..]));
    assert_eq!(prove("erin@example.org", b"wonder").await.0, Err(Why::Denied));
    for name in ["alice@example.org", "bob@example.org", "dave@example.org"] {
        let (outcome, kept) = prove(name, b"wonderland").await;
        assert!(outcome == Err(Why::Denied) && !kept.is_empty(), "{name}");
        assert_eq!(prove(name, &kept).await.0, Err(Why::Denied), "not even by the password of nobody");
    }
    let (outcome, kept) = prove("erin@example.org\0x", b"wonderland").await;
    assert_eq!((outcome, kept), (Err(Why::Malformed), Vec::new()));
}

#[tokio::test]
async fn too_many_wrong_proofs_are_throttled_as_passwords_are() {
    let accounts = Accounts::new(Three, {
        let mut few = limits();
        few.attempts.per_account = 2;
        few
    });
    for _ in 0..2 {
        assert_eq!(accounts.prove(None, b"erin@example.org", |_| false).await, Err(Why::Denied));
    }
    let looked_at = |_: &[u8]| panic!("it was looked at");
    assert!(matches!(accounts.prove(None, b"erin@example.org", looked_at).await, Err(Why::Throttled { .. })));
    assert!(matches!(login(&accounts, "erin@example.org", "wonderland").await, Err(Why::Throttled { .. })));
}

#[tokio::test]
async fn lookup_folds_and_takes_what_is_no_address_for_nobody() {
    let accounts = three();
    assert_eq!(accounts.lookup("ALICE@example.org").await.unwrap(), Some(account("alice@example.org")));
    for address in ["dave@example.org", "alice@example.org\0", ""] {
        assert_eq!(accounts.lookup(address).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_cost_the_same_derivation() {
    let accounts = three();
    let mut done = 0;
    for name in ["alice@example.org", "bob@example.org", "dave@example.org", "dave@example.org"] {
        assert_eq!(login(&accounts, name, "guess").await, Err(Why::Denied));
        done += 1;
        assert_eq!(accounts.verification().derivations(), done, "{name}");
    }
}

#[tokio::test]
async fn a_polling_client_pays_one_derivation_and_a_wrong_password_is_never_remembered() {
    let accounts = three();
    for _ in 0..5 {
        assert!(login(&accounts, "alice@example.org", "wonderland").await.is_ok());
    }
    assert_eq!(accounts.verification().derivations(), 1);
    for derivations in 2..5 {
        assert_eq!(login(&accounts, "alice@example.org", "guess").await, Err(Why::Denied));
        assert_eq!(accounts.verification().derivations(), derivations);
    }
}

#[tokio::test]
async fn users_of_the_same_password_and_verifier_share_nothing() {
    let accounts = three();
    assert!(login(&accounts, "alice@example.org", "wonderland").await.is_ok());
    assert!(login(&accounts, "carol@example.org", "wonderland").await.is_ok());
    assert_eq!(accounts.verification().derivations(), 2);
}

#[tokio::test]
async fn a_remembered_password_is_void_once_the_credential_changes() {
    let pool = Verification::new(&VerificationLimits::default());
    let check = async |verifier: &Verifier| {
        let credential = Credential { account: account("alice@example.org"), verifier: Arc::new(verifier.clone()) };
        pool.check(Some(credential), &Decoy::shaped(ITERATIONS, 4), b"wonderland").await.unwrap()
    };
    let before = scram("wonderland");
    assert!(check(&before).await.is_some());
    assert_eq!(check(&scram("looking-glass")).await, None);
    assert!(check(&before).await.is_some());
    assert_eq!(pool.derivations(), 2);
    assert_eq!(pool.check(None, &Decoy::shaped(ITERATIONS, 4), b"wonderland").await.unwrap(), None);
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_denies_nobody_for_good() {
    let accounts = Accounts::new(Down, limits());
    assert_eq!(login(&accounts, "alice@example.org", "wonderland").await, Err(Why::Unavailable));
    assert!(accounts.lookup("alice@example.org").await.is_err());
}

/// The time is stopped here, and moves on when everybody waits for it.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_held_back_longer_each_time_and_alike_for_all_causes() {
    let accounts = Accounts::new(Three, LoginLimits::default());
    for name in ["alice@example.org", "dave@example.org"] {
        for delay in [250, 500, 1000] {
            let begun = tokio::time::Instant::now();
            assert_eq!(login(&accounts, name, "guess").await, Err(Why::Denied));
            let held = begun.elapsed();
            assert!(held >= Duration::from_millis(delay) && held < Duration::from_millis(delay + 10), "{held:?}");
        }
    }
}

#[tokio::test]
async fn too_many_failures_are_throttled_before_anything_is_verified() {
    let accounts = Accounts::new(Three, {
        let mut few = limits();
        few.attempts.per_account = 2;
        few
    });
    for _ in 0..2 {
        assert_eq!(login(&accounts, "alice@example.org", "guess").await, Err(Why::Denied));
    }
    let before = accounts.verification().derivations();
    assert!(matches!(login(&accounts, "alice@example.org", "wonderland").await, Err(Why::Throttled { .. })));
    assert_eq!(accounts.verification().derivations(), before);
}

/// A runtime whose only blocking thread is kept busy until the sender is dropped, so that no derivation begins.
fn held_up() -> (Runtime, mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || released.recv().is_err());
    (runtime, release)
}

/// Runs a future as far as it goes now.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|task| match future.as_mut().poll(task) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn who_goes_away_does_not_free_a_slot_before_the_work_is_done() {
    let (runtime, release) = held_up();
    let accounts = Accounts::new(Three, {
        let mut one = limits();
        one.verification.waiting = 0;
        one
    });
    runtime.block_on(async {
        assert_eq!(poll_once(login(&accounts, "alice@example.org", "guess")).await, None);
        // The one before was dropped; its derivation still stands in line, and this one waits behind it.
        let mut next = pin!(login(&accounts, "alice@example.org", "wonderland"));
        assert_eq!(poll_once(next.as_mut()).await, None);
        assert_eq!(accounts.verification().derivations(), 1);
        drop(release);
        assert!(next.await.is_ok());
        assert_eq!(accounts.verification().derivations(), 2);
    });
}

#[test]
fn who_comes_when_the_line_is_full_is_told_to_come_again() {
    let (runtime, _release) = held_up();
    let accounts = Accounts::new(Three, {
        let mut one = limits();
        one.verification.waiting = 1;
        one
    });
    runtime.block_on(async {
        let mut first = pin!(login(&accounts, "alice@example.org", "guess"));
        let mut second = pin!(login(&accounts, "alice@example.org", "guess"));
        assert_eq!(poll_once(first.as_mut()).await, None);
        assert_eq!(poll_once(second.as_mut()).await, None);
        assert_eq!(poll_once(login(&accounts, "alice@example.org", "guess")).await, Some(Err(Why::Unavailable)));
    });
}

#[test]
fn the_many_connections_of_one_client_pay_one_derivation() {
    let (runtime, release) = held_up();
    let accounts = three();
    runtime.block_on(async {
        let mut first = pin!(login(&accounts, "alice@example.org", "wonderland"));
        let mut second = pin!(login(&accounts, "alice@example.org", "wonderland"));
        assert_eq!(poll_once(first.as_mut()).await, None);
        assert_eq!(poll_once(second.as_mut()).await, None);
        drop(release);
        assert!(first.await.is_ok());
        assert!(second.await.is_ok());
    });
    assert_eq!(accounts.verification().derivations(), 1);
}

#[test]
fn guesses_let_in_together_are_not_told_beyond_the_limit() {
    let (runtime, release) = held_up();
    let accounts = Accounts::new(Three, {
        let mut few = limits();
        few.attempts.per_account = 2;
        few
    });
    runtime.block_on(async {
        let mut guesses: Vec<_> = ["a", "b", "c", "wonderland"]
            .map(|password| Box::pin(login(&accounts, "alice@example.org", password)))
            .into();
        for guess in &mut guesses {
            assert_eq!(poll_once(guess.as_mut()).await, None);
        }
        drop(release);
        let mut told = Vec::new();
        for guess in guesses {
            told.push(guess.await.unwrap_err().as_str());
        }
        assert_eq!(told, ["denied", "denied", "throttled", "throttled"]);
    });
}

#[test]
fn accounts_are_shared_between_tasks() {
    fn needs<T: Clone + Send + Sync + 'static>() {}
    needs::<Accounts>();
    let held: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async {
        let _ = three().login(None, b"alice", b"wonderland").await;
        pending::<()>().await;
    });
    drop(held);
}

#[tokio::test]
async fn whom_a_proxy_vouches_for_is_somebody_here() {
    let accounts = three();
    for name in ["erin@example.org", "Alice@Example.ORG"] {
        assert_eq!(accounts.vouched_for(name.as_bytes()).await, Ok(account(&name.to_lowercase())));
    }
    assert_eq!(accounts.vouched_for(b"dave@example.org").await, Err(Why::Denied));
    assert_eq!(accounts.vouched_for(b"alice@example.org\0").await, Err(Why::Malformed));
    let down = Accounts::new(Down, limits());
    assert_eq!(down.vouched_for(b"alice@example.org").await, Err(Why::Unavailable));
    let verifying = Accounts::new(Verifying, limits());
    assert_eq!(verifying.vouched_for(b"alice@example.org").await, Ok(account("alice@example.org")));
}

/// Knows addresses, and keeps nothing to hold a password against.
struct Verifying;

impl Directory for Verifying {
    async fn lookup(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        Three.lookup(address).await
    }

    async fn credential(&self, _: &str) -> Result<Option<Credential>, DirectoryError> {
        Ok(None)
    }
}
