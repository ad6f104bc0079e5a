//! A whole mail server in one process.
fn main() {}
