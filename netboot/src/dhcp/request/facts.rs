//! What firmware says of itself in its packets, and how it is learnt.

use serde::{Deserialize, Serialize};

use crate::base::arch::Arch;

/// What the firmware said of itself, from its packets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Option 60, printable characters only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_class: Option<String>,
    /// Option 97 as SMBIOS prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// From iPXE or the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

impl Facts {
    /// Takes over what `newer` knows; true if anything changed.
    pub fn learn(&mut self, newer: &Self) -> bool {
        let before = self.clone();
        let Self {
            arch,
            vendor_class,
            uuid,
            serial,
        } = newer.clone();
        self.arch = arch.or(self.arch);
        // The class of the firmware itself says more than the one that iPXE sends after it.
        if self.vendor_class.is_none() {
            self.vendor_class = vendor_class;
        }
        self.uuid = uuid.or(self.uuid.take());
        self.serial = serial.or(self.serial.take());
        *self != before
    }

    /// The facts of `newer` that are absent here.
    #[must_use]
    pub fn new_in(&self, newer: &Self) -> Self {
        let Self {
            arch,
            vendor_class,
            uuid,
            serial,
        } = newer.clone();
        Self {
            arch: arch.filter(|_| self.arch.is_none()),
            vendor_class: vendor_class.filter(|_| self.vendor_class.is_none()),
            uuid: uuid.filter(|_| self.uuid.is_none()),
            serial: serial.filter(|_| self.serial.is_none()),
        }
    }

    /// Whether learning from `newer` would replace what is known.
    pub fn contradicts(&self, newer: &Self) -> bool {
        let mut learnt = self.clone();
        learnt.learn(newer);
        let mut added = self.clone();
        added.learn(&self.new_in(newer));
        learnt != added
    }
}
