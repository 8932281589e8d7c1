//! What the demo and the end-to-end tests are made of.

pub mod k3s;
pub mod lab;

#[cfg(test)]
mod count;
