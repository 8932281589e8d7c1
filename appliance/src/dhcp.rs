//! Boot requests on UDP 67 and 4011.
