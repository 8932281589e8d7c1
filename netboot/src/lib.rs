//! What a booting machine is, and what it gets.
//!
//! Pure: no sockets, files, clock or randomness. The modules stand in the order of one boot.
//!
//! | module | turns | into |
//! |---|---|---|
//! | [`request`] | a packet's bytes | a boot request, or the reason to ignore it |
//! | [`decide`] | a machine and the policy | what it gets |
//! | [`reply`], [`lease`] | the decision and the request | a DHCP answer |
//! | [`script`] | the decision | an iPXE script |
//! | [`install`] | the calls of a machine under installation | events, or a refusal |
//! | [`plan`] | hardware, profile, release | what will be done to the disks |
//! | [`report`] | what the agent says | progress |
//! | [`operate`] | an operator's command | events, or a refusal |
//! | [`world`] | events | everything the appliance knows |

pub mod mac;
pub mod name;
pub mod store_path;
pub mod timestamp;
pub mod token;

pub mod decide;
pub mod lease;
pub mod reply;
pub mod request;
pub mod script;

pub mod hardware;
pub mod layout;
pub mod plan;
pub mod problem;
pub mod profile;

pub mod event;
pub mod machine;
pub mod report;
pub mod world;

pub mod install;
pub mod operate;
pub mod refusal;
pub mod wire;
