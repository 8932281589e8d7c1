//! HTTP: what machines fetch, what agents and nodes call, what the operator calls.

mod accept;
pub mod connection;
mod counted;
pub mod error;
mod machine_cache;
pub mod plain;
pub mod request;
mod state;
pub mod tls;
pub mod unix;

pub mod admin;
pub mod node;
pub mod public;

#[cfg(test)]
mod routes;
