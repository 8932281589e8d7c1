//! What every listening socket of the appliance needs, whether DHCP, TFTP or HTTP is spoken on it.
//!
//! | module | does |
//! |---|---|
//! | [`admission`] | bounds how much is under way at once, in all and from each source |
//! | [`transient`] | tells errors of a socket that pass from those that end it |

pub mod admission;
pub mod transient;
