//! What a booting machine is, and what it gets.
//!
//! Pure: no sockets, files, clock or randomness. The modules stand in the order of one boot.
//!
//! | module | turns | into |
//! |---|---|---|
//! | [`request`] | a packet's bytes | a boot request, or the reason to ignore it |
//! | [`decide`] | a machine and the policy | what it gets |
//! | [`manner`] | what firmware took and what it ignored | the form and the loader to try next |
//! | [`local_boot`] | what followed when it was sent to its disk | the way there to try next |
//! | [`reply`], [`lease`] | the decision and the request | a DHCP answer |
//! | [`frame`] | a datagram, a question about an address | an Ethernet frame, and back |
//! | [`file`] | the name of a file | whose it is, and what |
//! | [`tftp`] | a request for a file | its blocks, in time |
//! | [`script`] | the decision | what a boot loader reads, in its language |
//! | [`install`] | the calls of a machine under installation | events, or a refusal |
//! | [`span`] | chosen disks | what also lies on others, and so forbids it |
//! | [`plan`] | hardware, profile, release | what will be done to the disks |
//! | [`consent`] | what is on the disks | what an operator must say yes to first |
//! | [`disk_key`] | random bits | a key of encrypted disks that can be typed |
//! | [`boot_order`] | UEFI's boot entries | the network first, the installed disk next |
//! | [`report`] | what the agent says | progress |
//! | [`rivals`] | what other servers say | what an operator should know of the LAN |
//! | [`firewall`] | the rules of the host's firewall | whether machines can get in |
//! | [`operate`] | an operator's command | events, or a refusal |
//! | [`nix_log`] | what Nix says | progress, and the words for a failure |
//! | [`closure`] | two closures | what becomes of each package |
//! | [`installer`] | an installer that is published | whether machines could boot it, and events |
//! | [`follow`] | the commit that a branch has | whether it is published now |
//! | [`retention`] | releases, and what machines do | what stays in the cache |
//! | [`room`] | a disk's free space, and what is promised of it | whether an upload is let in |
//! | [`bounds`] | what callers say | how much of it goes on record |
//! | [`attempts`] | calls with a wrong token | whether the next is listened to |
//! | [`narinfo`], [`nar`] | what was put into the cache | what is signed, what is in it |
//! | [`world`] | events | everything the appliance knows |
//! | [`timeline`] | what was seen of a boot | where it is stuck, and why that may be |
//! | [`checkup`] | what was found on the appliance | what is in order, and what to do |
//! | [`pcap`] | packets | a capture file |

pub mod mac;
pub mod name;
pub mod store_path;
pub mod timestamp;
pub mod token;

pub mod decide;
pub mod file;
pub mod frame;
pub mod lease;
pub mod local_boot;
pub mod manner;
pub mod reply;
pub mod request;
pub mod script;
pub mod tftp;

pub mod boot_order;
pub mod consent;
pub mod disk_key;
pub mod hardware;
pub mod layout;
pub mod nix_toml;
pub mod plan;
pub mod problem;
pub mod profile;
pub mod span;

pub mod checkup;
pub mod event;
pub mod machine;
pub mod pcap;
pub mod report;
pub mod timeline;
pub mod world;

pub mod nar;
pub mod narinfo;

pub mod attempts;
pub mod bounds;
pub mod firewall;
pub mod rivals;

pub mod closure;
pub mod nix_log;

pub mod follow;
pub mod install;
pub mod installer;
pub mod operate;
pub mod refusal;
pub mod retention;
pub mod room;
pub mod wire;
