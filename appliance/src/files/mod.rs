//! Files of this host: written durably and within a budget of disk space, received over the network, or boot loaders of
//! the distribution.

pub mod budget;
pub mod durable;
pub mod loaders;
pub mod receive;
