//! Mail services on the engines.
