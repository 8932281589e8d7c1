//! The commands, a file for each group of them: each asks the appliance and returns an answer.

pub(crate) mod doctor;
pub(crate) mod enroll;
pub(crate) mod events;
pub(crate) mod generations;
pub(crate) mod key;
pub(crate) mod machines;
pub(crate) mod plan;
pub(crate) mod publish;
pub(crate) mod releases;
pub(crate) mod show;
pub(crate) mod watch;
