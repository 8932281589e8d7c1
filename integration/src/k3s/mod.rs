//! The k3s stand-in: the join protocol of k3s without Kubernetes, for machines that cannot have the real one.
//!
//! It is never taken for k3s: every line it prints begins with `k3s stand-in:`. What is real is what a
//! reinstalled node can get wrong: the token's form and its check, the server's certificate, the node
//! password and its 403, and the Node object that says Ready.

pub mod agent;
pub mod certs;
pub mod client;
pub mod cluster;
pub mod config;
pub mod http;
pub mod identity;
pub mod routes;
pub mod server;
pub mod token;
