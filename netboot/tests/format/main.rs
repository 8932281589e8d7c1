//! What is stored and what crosses HTTP: the JSON of every event, mark, record and call, as golden text. Journals of an
//! older version must stay readable, and a machine may boot an agent of another version than the appliance.
//!
//! Every sample is written as it is in its file, and what the file says is read and written again. Samples are struct
//! literals without `..`, so that a new field needs a value here; `variants!` does the same for the kinds of an enum.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p netboot --test format` writes the files anew, and fails all the same: the
//! difference is for a person to judge. A name that changes in it is a journal that can no longer be read.

mod calls;
mod golden;
mod journal;
mod machine;
mod marks;
mod operators;
mod plan;
mod samples;
mod views;
mod words;
