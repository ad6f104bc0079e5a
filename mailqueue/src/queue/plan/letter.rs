//! What a sender is to be told of a message.

use std::sync::Arc;

use crate::queue::events::News;
use crate::queue::message::Message;
use crate::queue::notify::{Letter, Tale, action_of_delivery, action_of_failure};
use crate::queue::step::Step;
use crate::queue::times::Moment;
use crate::report::Action;
use crate::{Detail, MessageId, Note, Progress, Recipient, UnixMicros, Word};

use super::Plan;

impl Plan {
    /// What to write to the sender of a message, and what to record when it is written; `None` where the message is gone.
    pub(in crate::queue) fn letter(&self, id: MessageId, news: News, at: Moment) -> Option<Letter> {
        let message = self.active.get(&id)?;
        let (told, notes) = match news {
            News::Ends => ends(message),
            News::Delay => (self.delays(message, at), vec![Note::Warned]),
        };
        let wake = message.wake(&[], &self.config, id, at);
        Some(Letter { envelope: Arc::clone(&message.envelope), size: message.size, told, notes, wake })
    }

    fn delays(&self, message: &Message, at: Moment) -> Vec<(u32, Tale)> {
        let tale = |step: &Step, recipient: &Recipient| {
            let wait = match step {
                Step::Waiting(wait) => wait,
                Step::Trying { before, .. } => before,
                Step::Ended(_) => return None,
            };
            let life = message.lifetime(&recipient.destination, &self.config);
            let end = message.deadline().map_or(message.when_aged(life), |end| end.min(message.when_aged(life)));
            let action = Action::Delayed { will_retry_until: at.wall_at(end) };
            // A site where nobody answers says more than this message's last attempt.
            let site = self.ways.last_known(&recipient.destination).and_then(|site| self.lanes.find(site));
            let trouble = site.and_then(|lane| lane.trouble.as_deref());
            let detail = wait.detail().or(trouble).cloned().unwrap_or_default();
            let last_attempt = wait.last.as_ref().map(|(at, _)| *at);
            action.is_wanted(&message.envelope, recipient).then_some(Tale { action, detail, last_attempt })
        };
        let all = (0..).zip(message.seats.iter().zip(&message.envelope.recipients));
        all.filter_map(|(index, (seat, recipient))| Some((index, tale(&seat.step, recipient)?))).collect()
    }
}

fn ends(message: &Message) -> (Vec<(u32, Tale)>, Vec<Note>) {
    let mut told = Vec::new();
    let mut said = Vec::new();
    for (index, seat) in (0..).zip(&message.seats) {
        let Step::Ended(progress) = &seat.step else { continue };
        let Some((action, detail, at)) = end(progress) else { continue };
        told.push((index, Tale { action, detail: detail.clone(), last_attempt: Some(at) }));
        let mut progress = progress.clone();
        if let Progress::Delivered { word, .. } | Progress::Failed { word, .. } = &mut progress {
            *word = Word::Said;
        }
        said.push((index, progress));
    }
    // With the last of them the message is done, and nothing else about it matters.
    let notes = if message.open == 0 { vec![Note::Done] } else { vec![Note::Progress(said)] };
    (told, notes)
}

/// What is to be told of a recipient that ended.
fn end(progress: &Progress) -> Option<(Action, &Detail, UnixMicros)> {
    match progress {
        Progress::Delivered { at, handed, detail, word: Word::Due } => {
            Some((action_of_delivery(*handed)?, detail, *at))
        }
        Progress::Failed { at, why, detail, word: Word::Due, .. } => Some((action_of_failure(*why), detail, *at)),
        Progress::Delivered { word: Word::Said, .. }
        | Progress::Failed { word: Word::Said, .. }
        | Progress::Fresh
        | Progress::Trying { .. }
        | Progress::Deferred { .. } => None,
    }
}
