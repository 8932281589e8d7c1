//! A TOML 1.0 text → typed values, each with its place. What is wrong is noted with its place, and reading goes on, so that
//! a person sees all problems of a file in one go.

mod document;
mod item;
pub mod nix;
mod reader;
mod section;

pub use document::Document;
pub use reader::{Placed, Reader};
pub use section::{Node, Section};

#[cfg(test)]
mod tests;
