//! Boot loaders over TFTP.
