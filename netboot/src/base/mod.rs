//! The words that all other layers are made of. Each is parsed once, where it comes in, and is valid from then on.

pub mod address;
pub mod arch;
pub mod mac;
pub mod name;
pub(crate) mod open_enum;
pub mod problem;
pub mod refusal;
pub mod release;
pub mod size;
pub mod store_path;
pub mod timestamp;
pub mod token;
pub mod toml_reader;
