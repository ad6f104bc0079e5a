//! Where a mailbox lives, and how it moves without losing mail.

use alloc::string::String;

/// Where a mailbox, a slot of mailboxes or a whole domain lives.
///
/// The epoch is the fence of a move. Whoever delivers says the epoch it was told; a store refuses one that is older
/// than its own, so that a router behind the times can cause a retry and never a message in the wrong place. For
/// each epoch there is at most one place where the mailbox is at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// The mailbox is at this place.
    At {
        /// The name of the place, which only the caller knows how to reach.
        place: String,
        /// How often the home was changed.
        epoch: u64,
    },
    /// The mailbox is on its way and takes nothing: mail waits in the queue, logins wait or are told to come back.
    Moving {
        /// The place it leaves.
        from: String,
        /// The place it goes to.
        to: String,
        /// The epoch it will have there.
        epoch: u64,
    },
}

/// Why a move cannot take this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The mailbox is on its way already.
    #[error("the mailbox is moving already")]
    Moving,
    /// The mailbox is at rest.
    #[error("the mailbox is not moving")]
    AtRest,
    /// The mailbox is where it should go.
    #[error("the mailbox is there already")]
    SamePlace,
    /// The epoch has no successor.
    #[error("the mailbox has no epoch left")]
    Spent,
}

impl Home {
    /// A home at `place` that was never changed.
    pub fn at(place: impl Into<String>) -> Self {
        Self::At { place: place.into(), epoch: 0 }
    }

    /// How often this home was changed.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        match self {
            Self::At { epoch, .. } | Self::Moving { epoch, .. } => *epoch,
        }
    }

    /// Begins a move to another place: from here on nobody delivers.
    ///
    /// # Errors
    /// If the mailbox is moving already or is there already.
    pub fn freeze(&self, to: impl Into<String>) -> Result<Self, MoveError> {
        let Self::At { place, epoch } = self else { return Err(MoveError::Moving) };
        let to = to.into();
        if *place == to {
            return Err(MoveError::SamePlace);
        }
        Ok(Self::Moving { from: place.clone(), to, epoch: next(*epoch)? })
    }

    /// Ends a move at the new place. It is said when the last sync is done and every router saw the freeze, or its
    /// lease on the old table ran out.
    ///
    /// # Errors
    /// If the mailbox is not moving.
    pub fn settle(&self) -> Result<Self, MoveError> {
        let Self::Moving { to, epoch, .. } = self else { return Err(MoveError::AtRest) };
        Ok(Self::At { place: to.clone(), epoch: *epoch })
    }

    /// Ends a move at the old place, under an epoch of its own: the old place may have fenced itself off already.
    ///
    /// # Errors
    /// If the mailbox is not moving.
    pub fn cancel(&self) -> Result<Self, MoveError> {
        let Self::Moving { from, epoch, .. } = self else { return Err(MoveError::AtRest) };
        Ok(Self::At { place: from.clone(), epoch: next(*epoch)? })
    }

    /// Whether this may be told behind `before`: the epoch rises, or the move that it stands for ends as announced.
    pub(crate) fn follows(&self, before: &Self) -> bool {
        self.epoch() > before.epoch() || self == before || before.settle().is_ok_and(|settled| *self == settled)
    }
}

fn next(epoch: u64) -> Result<u64, MoveError> {
    epoch.checked_add(1).ok_or(MoveError::Spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_freezes_then_settles_under_the_next_epoch() {
        let frozen = Home::at("a").freeze("b").unwrap();
        assert_eq!(frozen, Home::Moving { from: "a".into(), to: "b".into(), epoch: 1 });
        assert_eq!(frozen.settle(), Ok(Home::At { place: "b".into(), epoch: 1 }));
    }

    #[test]
    fn a_cancelled_move_returns_under_an_epoch_of_its_own() {
        let frozen = Home::at("a").freeze("b").unwrap();
        assert_eq!(frozen.cancel(), Ok(Home::At { place: "a".into(), epoch: 2 }));
    }

    #[test]
    fn a_step_out_of_turn_is_refused() {
        let frozen = Home::at("a").freeze("b").unwrap();
        assert_eq!(frozen.freeze("c"), Err(MoveError::Moving));
        assert_eq!(Home::at("a").settle(), Err(MoveError::AtRest));
        assert_eq!(Home::at("a").cancel(), Err(MoveError::AtRest));
        assert_eq!(Home::at("a").freeze("a"), Err(MoveError::SamePlace));
        assert_eq!(Home::At { place: "a".into(), epoch: u64::MAX }.freeze("b"), Err(MoveError::Spent));
    }

    #[test]
    fn an_older_home_does_not_follow() {
        let home = Home::at("a");
        let frozen = home.freeze("b").unwrap();
        let settled = frozen.settle().unwrap();
        for (before, after) in [(&home, &home), (&home, &frozen), (&frozen, &settled), (&home, &settled)] {
            assert!(after.follows(before), "{before:?} {after:?}");
        }
        let stolen = Home::At { place: "c".into(), epoch: 1 };
        for (before, after) in [(&frozen, &home), (&settled, &frozen), (&settled, &stolen), (&frozen, &stolen)] {
            assert!(!after.follows(before), "{before:?} {after:?}");
        }
    }
}
