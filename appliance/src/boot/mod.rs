//! What a machine boots, decided once for every door, and what it was seen doing.

pub mod local_boot;
pub mod packets;
pub mod requester;
pub mod script;
pub mod timelines;
