//! Reports, whole, as a strict reader of our own and an independent MIME parser see them.

#[cfg(test)]
mod examples;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod setting;
