//! What may go wrong within a mailbox, on its way to becoming one of the public errors.

use crate::error::{AppendError, CopyError, FlagsError, MailboxError, OpenError, ReadError, RenameError, Trouble};

#[derive(Debug)]
pub(crate) enum Fault {
    /// The mailbox, or the message, is gone.
    Gone,
    Trouble(Trouble),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

macro_rules! becomes {
    ($($error:ident::$gone:ident)*) => {$(
        impl From<Fault> for $error {
            fn from(fault: Fault) -> Self {
                match fault {
                    Fault::Gone => Self::$gone,
                    Fault::Trouble(trouble) => Self::Trouble(trouble),
                }
            }
        }
    )*};
}

becomes! {
    MailboxError::Gone
    FlagsError::Gone
    ReadError::Gone
    AppendError::Gone
    CopyError::Gone
    OpenError::NotFound
    RenameError::NotFound
}
