//! The netboot service.
