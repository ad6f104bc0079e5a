//! Sequence numbers: a client that does what RFC 3501 tells clients to do never loses count, whatever happens to the
//! mailbox and whenever it is reported.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail, and an application need not know each event"
)]

mod common;

use std::collections::BTreeMap;

use common::{Case, flags, selected};
use imap_proto::{Changes, Criterion, Event, Flag, FlagChange, Flags, Step, UidSet};
use proptest::prelude::*;

/// What happens, in the mailbox or from the client.
#[derive(Clone, Debug)]
enum Act {
    Arrive(u8),
    Vanish(prop::sample::Index),
    Touch(prop::sample::Index),
    /// The application learns of what happened.
    Report,
    Noop,
    /// The parts of the UID space that a set names, in percent.
    Fetch(u8, u8),
    UidFetch(u8, u8),
    Store(u8, u8),
    UidStore(u8, u8),
    Search,
    UidSearch,
    Expunge,
    Move(u8, u8),
    Idle(Vec<Self>),
}

fn act() -> impl Strategy<Value = Act> {
    let world = prop_oneof![
        (1..4_u8).prop_map(Act::Arrive),
        any::<prop::sample::Index>().prop_map(Act::Vanish),
        any::<prop::sample::Index>().prop_map(Act::Touch),
        Just(Act::Report),
    ];
    let range = || (0..100_u8, 0..100_u8);
    let client = prop_oneof![
        2 => Just(Act::Noop),
        2 => range().prop_map(|(a, b)| Act::Fetch(a, b)),
        1 => range().prop_map(|(a, b)| Act::UidFetch(a, b)),
        1 => range().prop_map(|(a, b)| Act::Store(a, b)),
        1 => range().prop_map(|(a, b)| Act::UidStore(a, b)),
        1 => Just(Act::Search),
        1 => Just(Act::UidSearch),
        1 => Just(Act::Expunge),
        1 => range().prop_map(|(a, b)| Act::Move(a, b)),
        1 => prop::collection::vec(world.clone(), 0..6).prop_map(Act::Idle),
    ];
    prop_oneof![3 => world, 2 => client]
}

/// The mailbox, as the store has it.
struct World {
    messages: BTreeMap<u32, Flags>,
    next: u32,
    unreported: Changes,
}

impl World {
    fn nth(&self, index: prop::sample::Index) -> Option<u32> {
        (!self.messages.is_empty()).then(|| *self.messages.keys().nth(index.index(self.messages.len())).unwrap())
    }

    fn remove(&mut self, uid: u32) {
        if self.messages.remove(&uid).is_some() {
            self.unreported.gone.insert(uid);
        }
    }

    fn set(&mut self, uid: u32, flags: Flags) {
        if let Some(present) = self.messages.get_mut(&uid) {
            *present = flags;
            self.unreported.touched.insert(uid);
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Arrive(count) => {
                for _ in 0..*count {
                    self.messages.insert(self.next, Flags::new());
                    self.unreported.exists.insert(self.next);
                    self.unreported.recent.insert(self.next);
                    // Some UIDs are given in vain.
                    self.next += 1 + u32::from(self.next.is_multiple_of(3));
                }
            }
            Act::Vanish(index) => {
                if let Some(uid) = self.nth(*index) {
                    self.remove(uid);
                }
            }
            Act::Touch(index) => {
                if let Some(uid) = self.nth(*index) {
                    let toggled = if self.messages[&uid].is_empty() { flags("\\Deleted") } else { flags("") };
                    self.set(uid, toggled);
                }
            }
            _ => panic!("{act:?} is the client's"),
        }
    }
}

/// What the client believes: for each number the UID, once it was told, and the flags.
#[derive(Default)]
struct Client {
    numbers: Vec<(Option<u32>, Option<Flags>)>,
}

impl Client {
    fn hear(&mut self, said: &str, expunges: bool) {
        for line in said.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["*", number, "EXISTS"] => {
                    let exists = number.parse().unwrap();
                    assert!(exists >= self.numbers.len(), "EXISTS went down: {said}");
                    self.numbers.resize(exists, (None, None));
                }
                ["*", number, "EXPUNGE"] => {
                    assert!(expunges, "EXPUNGE in a command that may not have it: {said}");
                    self.numbers.remove(number.parse::<usize>().unwrap() - 1);
                }
                ["*", number, "FETCH", items] => self.fetched(number.parse().unwrap(), items),
                _ => {}
            }
        }
    }

    fn fetched(&mut self, number: usize, items: &str) {
        let (uid, told) = &mut self.numbers[number - 1];
        let items = items.strip_prefix('(').unwrap().strip_suffix(')').unwrap();
        let (head, list) = items.split_once("FLAGS (").unwrap();
        if let Some(now) = head.trim().strip_prefix("UID ") {
            let now = now.parse().unwrap();
            assert_eq!(*uid.get_or_insert(now), now, "a number means two messages");
        }
        *told = Some(list.trim_end_matches(')').split(' ').filter_map(Flag::from_name).collect());
    }
}

struct Play {
    case: Case,
    world: World,
    client: Client,
    tag: u32,
}

impl Play {
    fn new() -> Self {
        let mut case = Case::logged_in();
        case.asked("s SELECT x\r\n");
        let present: UidSet = (1..=5_u32).collect();
        case.session.select(selected(&present.iter().collect::<Vec<_>>()), case.now, &mut case.out).unwrap();
        let mut client = Client::default();
        client.hear(&case.said(), false);
        let messages = present.iter().map(|uid| (uid, Flags::new())).collect();
        Self { case, world: World { messages, next: 6, unreported: Changes::default() }, client, tag: 0 }
    }

    fn report(&mut self) {
        let changes = core::mem::take(&mut self.world.unreported);
        self.case.session.changed(&changes);
    }

    fn act(&mut self, act: &Act) {
        let count = self.client.numbers.len();
        let number = |percent: u8| usize::from(percent) * count / 100 + 1;
        let uid = |percent: u8| usize::from(percent) * self.world.next as usize / 100 + 1;
        let by_number = |a, b| format!("{}:{}", number(a), number(b));
        let by_uid = |a, b| format!("{}:{}", uid(a), uid(b));
        match act {
            Act::Report => {
                self.report();
                assert_eq!(self.case.next(), Step::NeedInput);
                assert_eq!(self.case.said(), "", "nothing is told between commands");
            }
            Act::Noop => self.command("NOOP", true),
            Act::Fetch(..) | Act::Store(..) | Act::Move(..) if count == 0 => {}
            Act::Fetch(a, b) => self.command(&format!("FETCH {} (FLAGS UID)", by_number(*a, *b)), false),
            Act::UidFetch(a, b) => self.command(&format!("UID FETCH {} FLAGS", by_uid(*a, *b)), true),
            Act::Store(a, b) => self.command(&format!("STORE {} +FLAGS \\Deleted", by_number(*a, *b)), false),
            Act::UidStore(a, b) => self.command(&format!("UID STORE {} -FLAGS.SILENT \\Deleted", by_uid(*a, *b)), true),
            Act::Search => self.command("SEARCH DELETED", false),
            Act::UidSearch => self.command("UID SEARCH 1:*", true),
            Act::Expunge => self.command("EXPUNGE", true),
            Act::Move(a, b) => self.command(&format!("MOVE {} y", by_number(*a, *b)), true),
            Act::Idle(acts) => self.idle(acts),
            Act::Arrive(_) | Act::Vanish(_) | Act::Touch(_) => self.world.act(act),
        }
    }

    fn idle(&mut self, acts: &[Act]) {
        self.case.send("i IDLE\r\n");
        assert_eq!(self.case.event(), Event::Idle);
        for act in acts {
            match act {
                Act::Report => self.report(),
                other => self.world.act(other),
            }
            self.answer_all();
        }
        self.case.send("DONE\r\n");
        self.answer_all();
        let said = self.case.said();
        assert!(said.ends_with("i OK IDLE completed\r\n"), "{said}");
        self.client.hear(&said, true);
    }

    fn command(&mut self, command: &str, expunges: bool) {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.case.send(&format!("{tag} {command}\r\n"));
        self.answer_all();
        let said = self.case.said();
        let last = said.lines().last().unwrap_or_default();
        let empty = self.client.numbers.is_empty() && last.contains("BAD no message has that number");
        assert!(last.starts_with(&format!("{tag} OK ")) || empty, "{command}: {said}");
        self.client.hear(&said, expunges);
        if let Some(numbers) = said.lines().find_map(|line| line.strip_prefix("* SEARCH ")) {
            let most = numbers.split(' ').map(|number| number.parse::<usize>().unwrap()).max();
            assert!(expunges || most <= Some(self.client.numbers.len()), "{said}");
        }
    }

    fn answer_all(&mut self) {
        loop {
            match self.case.next() {
                Step::Event(event) => self.answer(event),
                Step::NeedInput => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::Fetch(fetch) => self.tell(&fetch.uids),
            Event::Tell { uids } => self.tell(&uids),
            Event::Store(store) => {
                for uid in store.uids.iter() {
                    let flags = match &store.change {
                        FlagChange::Add(flags) | FlagChange::Replace(flags) => flags.clone(),
                        FlagChange::Remove(_) => Flags::new(),
                    };
                    self.world.set(uid, flags);
                }
                self.tell(&store.uids);
                self.report();
            }
            Event::Search { key } => {
                let deleted = |flags: &Flags| key == Criterion::All || !flags.is_empty();
                let found =
                    self.world.messages.iter().filter(|(_, flags)| deleted(flags)).map(|(uid, _)| *uid).collect();
                self.case.session.search_results(&found, &mut self.case.out).unwrap();
            }
            Event::Expunge { uids: None } => {
                let deleted = |flags: &Flags| flags.contains(&Flag::Deleted);
                let deleted: Vec<u32> =
                    self.world.messages.iter().filter(|(_, flags)| deleted(flags)).map(|(uid, _)| *uid).collect();
                deleted.into_iter().for_each(|uid| self.world.remove(uid));
                self.report();
            }
            Event::Move(moved) => {
                moved.uids.iter().for_each(|uid| self.world.remove(uid));
                self.report();
            }
            Event::Poll => self.report(),
            Event::Done | Event::Violation(_) => return,
            other => panic!("{other:?}"),
        }
        self.case.session.accept(self.case.now, &mut self.case.out).unwrap();
    }

    fn tell(&mut self, uids: &UidSet) {
        let (session, out) = (&mut self.case.session, &mut self.case.out);
        for (uid, flags) in uids.iter().filter_map(|uid| Some((uid, self.world.messages.get(&uid)?))) {
            session.fetch_begin(uid, out).unwrap();
            session.fetch_flags(flags, out).unwrap();
            session.fetch_end(out).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_counts_never_errs(acts in prop::collection::vec(act(), 0..60)) {
        let mut play = Play::new();
        for act in &acts {
            play.act(act);
        }
        // In the end it knows all that is so.
        play.act(&Act::Noop);
        let told: Vec<_> = play.client.numbers.clone();
        if !told.is_empty() {
            play.command("FETCH 1:* (UID FLAGS)", false);
        }
        let present: Vec<_> = play.world.messages.iter().map(|(uid, flags)| (Some(*uid), Some(flags.clone()))).collect();
        prop_assert_eq!(&play.client.numbers, &present);
        // And what it knew before that was so already.
        for ((uid, flags), (present_uid, present_flags)) in told.iter().zip(&present) {
            prop_assert!(uid.is_none() || uid == present_uid);
            prop_assert!(flags.is_none() || flags == present_flags, "{:?} {:?}", uid, flags);
        }
    }
}
