//! A durable, retrying mail queue over a segmented, group-committed log.
