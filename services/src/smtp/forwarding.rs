//! Mail that goes on to others: what came in is judged, and a seal of ours tells the next hop.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::authenticate::{Authenticator, Claims, Unknown};
use crate::outbound::DnsSetupError;
use crate::sign::{BadResults, SealError, Sealed, Sealer, Signer, Unsealed};

/// Seals what `smtp` takes from strangers and gives to others, because an alias or the table says so (RFC 8617): SPF no
/// longer holds behind us, and the seal says what it was. One serves a whole process, so that its limits are the process's.
///
/// A message goes without a seal where there is no key for the domain that forwards it nor for the host, where a limit
/// is reached, and where nothing can be said of it in time. It is never refused for that.
///
/// The judgement is mail-auth's, which has to have the whole message in memory. Its release 0.13.3 misreads bodies that
/// end with lines of white space, and calls valid signatures over them broken (RFC 6376 §3.4.4): then so does the seal.
pub struct Forwarding {
    signer: Arc<Signer>,
    authenticator: Authenticator,
    message: usize,
    patience: Duration,
    /// Octets that may still be held.
    memory: Arc<Semaphore>,
    /// Messages that may still be judged beside those that are.
    turns: Arc<Semaphore>,
}

/// How mail that goes on is judged.
#[derive(Clone, Debug)]
pub struct ForwardingOptions {
    /// The name servers; those of the system (`/etc/resolv.conf`) if empty.
    pub name_servers: Vec<SocketAddr>,
    /// The octets of the largest message that is sealed. Each is held in memory while it comes in. Default: 10 MiB, which
    /// few forwarded messages exceed.
    pub message: usize,
    /// The octets of all messages that are held at a time. Default: 64 MiB.
    pub memory: usize,
    /// How long one message may take, from its end to its seal; the client waits. Default: 10 s, far below the ten minutes
    /// that it has to wait (RFC 5321 §4.5.3.2.6).
    pub patience: Duration,
    /// The messages that are judged at a time; others wait. Each takes a thread. Default: 64.
    pub at_once: usize,
}

impl Default for ForwardingOptions {
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            message: 10 << 20,
            memory: 64 << 20,
            patience: Duration::from_secs(10),
            at_once: 64,
        }
    }
}

impl Forwarding {
    /// Seals by the keys of this signer, which are those for DKIM too.
    ///
    /// # Errors
    /// DNS cannot be asked.
    pub fn new(signer: Arc<Signer>, options: &ForwardingOptions) -> Result<Self, DnsSetupError> {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Ok(Self {
            signer,
            authenticator: Authenticator::new(&options.name_servers)?,
            message: options.message.min(MAX_MESSAGE),
            patience: options.patience,
            memory: semaphore(options.memory),
            turns: semaphore(options.at_once),
        })
    }

    /// Begins to collect a message that this domain forwards, on this host.
    pub(super) fn begin(self: &Arc<Self>, domain: &str, host: &str, claims: Claims) -> Option<Forwarded> {
        let Some(identity) = self.signer.identity_of(domain).or_else(|| self.signer.identity_of(host)) else {
            tell("no_key");
            return None;
        };
        let sealer = Sealer::new(identity.clone());
        let (forwarding, host) = (Arc::clone(self), host.to_owned());
        Some(Forwarded { forwarding, sealer, host, claims, text: Ok(Text::default()) })
    }
}

impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarding").field("signer", &self.signer).finish_non_exhaustive()
    }
}

/// What a count of permits can hold.
const MAX_MESSAGE: usize = 1 << 30;

/// A message that goes on, collected as it comes in.
pub(super) struct Forwarded {
    forwarding: Arc<Forwarding>,
    sealer: Sealer,
    host: String,
    claims: Claims,
    text: Result<Text, NoSeal>,
}

#[derive(Default)]
struct Text {
    octets: Vec<u8>,
    /// For as many octets as there is room for.
    held: Option<OwnedSemaphorePermit>,
}

/// Why a message goes on without a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum NoSeal {
    #[error("it is too large")]
    TooLarge,
    #[error("other messages take up the memory for it")]
    NoMemory,
    #[error("it was not judged in time")]
    Late,
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    Results(#[from] BadResults),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("its ARC chain is known to be broken")]
    ChainFailed,
    #[error("its ARC chain is as long as can be")]
    ChainFull,
    #[error("the judgement broke down")]
    Broken,
}

impl NoSeal {
    /// For operators who count.
    const fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NoMemory => "no_memory",
            Self::Late => "late",
            Self::Unknown(Unknown::Header) | Self::Seal(SealError::Header(_)) => "header",
            Self::Unknown(Unknown::NotNow) => "dns",
            Self::ChainFailed => "chain_failed",
            Self::ChainFull => "chain_full",
            Self::Results(_) | Self::Seal(SealError::Crypto(_) | SealError::OtherChain) | Self::Broken => "fault",
        }
    }
}

impl Forwarded {
    /// Takes the message's next octets.
    pub(super) fn write(&mut self, chunk: &[u8]) {
        if let Ok(text) = &mut self.text
            && let Err(why) = text.write(chunk, &self.forwarding)
        {
            // What was held is free again.
            self.text = Err(why);
        }
    }

    /// Judges the message, and makes the set of fields to put on top of it.
    pub(super) async fn seal(self) -> Result<Vec<u8>, NoSeal> {
        let sealed = self.sealed().await;
        tell(sealed.as_ref().map_or_else(|why| why.word(), |_| "made"));
        sealed
    }

    async fn sealed(self) -> Result<Vec<u8>, NoSeal> {
        let Self { forwarding, sealer, host, claims, text } = self;
        let text = text?;
        let deadline = Instant::now() + forwarding.patience;
        let turn = timeout_at(deadline, Arc::clone(&forwarding.turns).acquire_owned());
        let turn = turn.await.map_err(|_| NoSeal::Late)?.map_err(|_| NoSeal::Broken)?;
        let runtime = Handle::current();
        // In a thread of its own: hashes and signatures over such a message would keep others waiting here.
        let judged = spawn_blocking(move || {
            // Held until the thread is done, which may outlive who waits for it.
            let (_turn, Text { held: _held, octets }) = (turn, text);
            let judgement = forwarding.authenticator.judge(&octets, &claims, &host);
            let evidence = runtime.block_on(timeout_at(deadline, judgement)).map_err(|_| NoSeal::Late)??;
            let mut sealing = sealer.begin(&evidence.results, evidence.chain, SystemTime::now())?;
            sealing.write(&octets);
            match sealing.finish(b"")? {
                Sealed::With(set) => Ok(set),
                Sealed::Not(Unsealed::Failed) => Err(NoSeal::ChainFailed),
                Sealed::Not(Unsealed::Full) => Err(NoSeal::ChainFull),
            }
        });
        judged.await.map_err(|_| NoSeal::Broken)?
    }
}

impl Text {
    fn write(&mut self, chunk: &[u8], forwarding: &Forwarding) -> Result<(), NoSeal> {
        let length = self.octets.len().saturating_add(chunk.len());
        if length > forwarding.message {
            return Err(NoSeal::TooLarge);
        }
        let room = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if length > room {
            let wanted = length.max(room.saturating_mul(2)).max(FIRST).min(forwarding.message);
            let more = u32::try_from(wanted.saturating_sub(room)).map_err(|_| NoSeal::TooLarge)?;
            let more = Arc::clone(&forwarding.memory).try_acquire_many_owned(more).map_err(|_| NoSeal::NoMemory)?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
            self.octets.reserve_exact(wanted.saturating_sub(self.octets.len()));
        }
        self.octets.extend_from_slice(chunk);
        Ok(())
    }
}

/// The octets that are set aside for a message at first. Most have no more.
const FIRST: usize = 16 * 1024;

fn tell(seal: &'static str) {
    metrics::counter!("posthaste_messages_forwarded_total", "seal" => seal).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{Identity, Key, KeyKind, SignOptions};

    const MEMORY: usize = 1 << 20;

    fn forwarding(message: usize, memory: usize) -> Arc<Forwarding> {
        let name_servers = vec!["127.0.0.1:1".parse().unwrap()];
        with(&ForwardingOptions { name_servers, message, memory, ..ForwardingOptions::default() })
    }

    /// One that judges one message at a time.
    fn forwarding_by(name_server: SocketAddr, patience: Duration) -> Arc<Forwarding> {
        let name_servers = vec![name_server];
        with(&ForwardingOptions { name_servers, patience, memory: MEMORY, at_once: 1, ..ForwardingOptions::default() })
    }

    fn with(options: &ForwardingOptions) -> Arc<Forwarding> {
        let mut signer = Signer::new(SignOptions::default());
        let (key, _) = Key::generate(KeyKind::Ed25519).unwrap();
        signer.add(Identity::new("near.example", "s", key).unwrap()).unwrap();
        Arc::new(Forwarding::new(Arc::new(signer), options).unwrap())
    }

    fn begun(forwarding: &Arc<Forwarding>) -> Forwarded {
        let claims = Claims { client: None, hello: None, from: None };
        forwarding.begin("near.example", "mail.near.example", claims).unwrap()
    }

    fn why(forwarded: &Forwarded) -> Option<NoSeal> {
        forwarded.text.as_ref().err().copied()
    }

    #[tokio::test]
    async fn messages_share_the_memory_and_give_it_back() {
        let forwarding = forwarding(1 << 20, 100_000);
        let (mut one, mut two) = (begun(&forwarding), begun(&forwarding));
        (0..60).for_each(|_| one.write(&[b'a'; 1000]));
        assert_eq!(why(&one), None);
        assert_eq!(one.text.as_ref().unwrap().octets.len(), 60_000);
        assert_eq!(forwarding.memory.available_permits(), 100_000 - 65_536);
        (0..60).for_each(|_| two.write(&[b'a'; 1000]));
        assert_eq!(why(&two), Some(NoSeal::NoMemory));
        drop(one);
        assert_eq!(forwarding.memory.available_permits(), 100_000);
        two.write(b"a");
        assert_eq!(why(&two), Some(NoSeal::NoMemory), "a part of it is lost");
        let mut three = begun(&forwarding);
        three.write(&[b'a'; 90_000]);
        assert_eq!(why(&three), None);
    }

    #[tokio::test]
    async fn who_does_not_wait_for_the_seal_frees_no_memory_that_is_in_use() {
        // Nobody answers there, and nobody says so.
        let bound = (20_000..32_000).find_map(|port| std::net::UdpSocket::bind(("127.0.0.1", port)).ok()).unwrap();
        bound.set_nonblocking(true).unwrap();
        let deaf = tokio::net::UdpSocket::from_std(bound).unwrap();
        let forwarding = forwarding_by(deaf.local_addr().unwrap(), Duration::from_secs(2));
        let hello = Some("mail.example.org".to_owned());
        let claims = Claims { client: Some([192, 0, 2, 7].into()), hello, from: None };
        let mut message = forwarding.begin("near.example", "mail.near.example", claims).unwrap();
        message.write(b"From: a@example.org\r\n\r\n");
        let waiting = tokio::spawn(message.seal());
        let mut question = [0; 512];
        deaf.recv(&mut question).await.unwrap();
        waiting.abort();
        assert!(waiting.await.is_err());
        assert!(forwarding.memory.available_permits() < MEMORY && forwarding.turns.available_permits() == 0);
        drop(forwarding.turns.acquire().await.unwrap());
        assert_eq!(forwarding.memory.available_permits(), MEMORY);
    }

    #[tokio::test]
    async fn what_is_held_never_exceeds_the_largest_message() {
        let forwarding = forwarding(20_000, 1 << 20);
        let mut message = begun(&forwarding);
        (0..20).for_each(|_| message.write(&[b'a'; 1000]));
        assert_eq!(why(&message), None);
        assert_eq!(forwarding.memory.available_permits(), (1 << 20) - 20_000);
        message.write(b"a");
        assert_eq!(why(&message), Some(NoSeal::TooLarge));
        assert_eq!(forwarding.memory.available_permits(), 1 << 20);
    }
}
