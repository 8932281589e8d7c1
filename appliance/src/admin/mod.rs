//! `pxe-admin`: commands, and how they speak to people.
