//! Hardware, profile and release → what is done to which disk; and what the agent reports of it.

pub mod plan;
pub mod report;
