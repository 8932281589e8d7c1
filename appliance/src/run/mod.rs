//! Binds everything, runs it, stops it.

mod bind;
pub(crate) mod components;
mod listeners;
pub mod log;
pub mod notify;
mod remote;
mod service;
mod tasks;

pub use bind::bind;
pub use service::Service;

#[cfg(test)]
mod tests;
