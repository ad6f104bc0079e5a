//! Mailboxes behind three small traits, and Maildir in the format of Dovecot.
