//! What was seen of boots and found on the appliance → what is wrong, and what to try.

pub mod boot_trace;
pub mod checks;
pub mod firewall;
