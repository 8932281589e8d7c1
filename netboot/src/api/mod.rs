//! DHCP packets and calls of machines and of operators → events and answers, or a refusal.

pub mod admin;
pub mod agent;
pub mod auth_throttle;
pub mod dhcp;
pub mod event_view;
pub mod machine_view;
pub mod types;
