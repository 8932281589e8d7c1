//! The form in which a machine's firmware is answered, and the loader that it is told: tried in turn until a pair works.
//!
//! Some ROMs ignore an offer that most understand and never say why: HP and Intel ROMs drop offers that carry both an
//! address and a boot file or never ask port 4011, UEFI of 2014 to 2017 drops option 43, old BIOS ROMs insist on it,
//! some read the file only in the header and some only in options 66 and 67. The only sign of a refusal is that the
//! machine asks again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::arch::Arch;
use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::{BootClient, NetbootRequest};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfferForm {
    /// What works for most firmware of this kind.
    #[default]
    Usual,
    /// With option 43 where it is usually left out, and the other way round.
    Turned,
    /// Server mode: the address in one offer, the boot file in a second one without an address.
    Split,
    /// The boot file in the header only.
    InHeader,
    /// The boot file in options 66 and 67 only.
    InOptions,
}

impl OfferForm {
    /// For a log line, behind what was offered; empty for the usual form.
    pub fn log_suffix(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Turned => " (option 43 turned round)",
            Self::Split => " (in an offer of its own)",
            Self::InHeader => " (in the header only)",
            Self::InOptions => " (in options 66 and 67 only)",
        }
    }

    /// The forms to try, in their order. Only PXE ROMs differ from one another; for the others one form is specified.
    pub fn all(boot: NetbootRequest, server_mode: bool) -> &'static [Self] {
        match (boot.client, boot.arch, server_mode) {
            (BootClient::Pxe, _, true) => &[
                Self::Usual,
                Self::Turned,
                Self::Split,
                Self::InHeader,
                Self::InOptions,
            ],
            (BootClient::Pxe, Arch::Bios, false) => {
                &[Self::Usual, Self::InHeader, Self::Turned, Self::InOptions]
            }
            (BootClient::Pxe, _, false) => {
                &[Self::Usual, Self::Turned, Self::InOptions, Self::InHeader]
            }
            _ => &[Self::Usual],
        }
    }
}

/// The form and the loader that got a machine's firmware to its script: kept with the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BootMethod {
    #[serde(default)]
    pub form: OfferForm,
    /// The loader's name, such as `snponly.efi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<String>,
}

/// What is being tried with machines that have not come to their script yet. Kept in memory only: after a restart each
/// machine begins with the first form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoaderAttempts(BTreeMap<Mac, LoaderAttempt>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct LoaderAttempt {
    boot: NetbootRequest,
    /// DISCOVERs since the last sign that an answer was taken.
    asked: u32,
    form: usize,
    loader: usize,
    /// The whole loader was sent, and the machine has not asked for its script since.
    loaded: bool,
    /// The manner of the last answer.
    given: BootMethod,
    last: Timestamp,
}

/// The number of DISCOVERs without a sign that an answer was taken after which the next form is tried. Two, because one
/// packet may be lost, and because firmware collects offers for some seconds before it takes one.
const PATIENCE: u32 = 2;

/// Machines that are remembered: a flood of invented MACs must not fill the memory.
const MOST: usize = 1024;

/// How long a trial is remembered after the machine's last question.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

impl LoaderAttempts {
    /// The manner in which to answer this DISCOVER of a machine's firmware. `known` worked before; `loaders` are at hand.
    pub fn discover(
        &mut self,
        mac: Mac,
        boot: NetbootRequest,
        known: Option<&BootMethod>,
        forms: &[OfferForm],
        loaders: &[&str],
        now: Timestamp,
    ) -> BootMethod {
        self.make_room(now);
        let trial = self
            .0
            .entry(mac)
            .or_insert_with(|| LoaderAttempt::new(boot, known, forms, loaders));
        if trial.boot != boot {
            // The machine tries another entry of its boot menu, such as BIOS after UEFI or HTTP after PXE: what was
            // learnt does not hold for it.
            *trial = LoaderAttempt::new(boot, known, forms, loaders);
        }
        if trial.loaded {
            // It asks again without having asked for its script: the loader did not run, or found no network.
            trial.loaded = false;
            trial.loader += 1;
            trial.asked = 0;
        }
        if trial.asked >= PATIENCE {
            trial.asked = 0;
            trial.form += 1;
        }
        trial.asked += 1;
        trial.last = now;
        trial.given = trial.boot_method(forms, loaders);
        trial.given.clone()
    }

    /// The manner of the last answer, so that port 4011 says the same as port 67.
    pub fn current(
        &self,
        mac: Mac,
        boot: NetbootRequest,
        known: Option<&BootMethod>,
        forms: &[OfferForm],
        loaders: &[&str],
    ) -> BootMethod {
        match self.0.get(&mac).filter(|trial| trial.boot == boot) {
            Some(trial) => trial.given.clone(),
            None => LoaderAttempt::new(boot, known, forms, loaders).boot_method(forms, loaders),
        }
    }

    /// The answer was taken: the machine asks on port 4011, or asks for the loader.
    pub fn taken(&mut self, mac: Mac) {
        if let Some(trial) = self.0.get_mut(&mac) {
            trial.asked = 0;
        }
    }

    /// The whole loader was sent.
    pub fn loaded(&mut self, mac: Mac) {
        if let Some(trial) = self.0.get_mut(&mac) {
            trial.asked = 0;
            trial.loaded = true;
        }
    }

    /// The manner that got the machine to its script, for which it asks now. `None` if its firmware loaded no loader from
    /// here, as with iPXE in a ROM.
    pub fn arrived(&mut self, mac: Mac) -> Option<BootMethod> {
        let trial = self.0.get_mut(&mac)?;
        trial.asked = 0;
        std::mem::take(&mut trial.loaded).then(|| trial.given.clone())
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.0.len() >= MOST {
            self.0.retain(|_, trial| now.since(trial.last) < KEPT);
        }
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, trial)| trial.last);
            if let Some(mac) = oldest.map(|(mac, _)| *mac) {
                self.0.remove(&mac);
            }
        }
    }
}

impl LoaderAttempt {
    /// Begins with what worked before, if that loader is one for this firmware.
    fn new(
        boot: NetbootRequest,
        known: Option<&BootMethod>,
        forms: &[OfferForm],
        loaders: &[&str],
    ) -> Self {
        let same = |name: &&str| known.is_some_and(|k| k.loader.as_deref() == Some(*name));
        let loader = loaders.iter().position(same);
        let form = known.filter(|_| loader.is_some()).map(|known| known.form);
        let form = forms.iter().position(|f| Some(*f) == form);
        Self {
            boot,
            asked: 0,
            form: form.unwrap_or(0),
            loader: loader.unwrap_or(0),
            loaded: false,
            given: BootMethod::default(),
            last: Timestamp::default(),
        }
    }

    fn boot_method(&self, forms: &[OfferForm], loaders: &[&str]) -> BootMethod {
        let turn = |at: usize, of: usize| if of == 0 { 0 } else { at % of };
        BootMethod {
            form: forms
                .get(turn(self.form, forms.len()))
                .copied()
                .unwrap_or_default(),
            loader: loaders
                .get(turn(self.loader, loaders.len()))
                .map(|name| (*name).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::mac;

    const UEFI: NetbootRequest = NetbootRequest {
        arch: Arch::X64,
        client: BootClient::Pxe,
    };
    const LOADERS: [&str; 3] = ["snponly.efi", "ipxe.efi", "shimx64.efi"];

    fn at(seconds: u64) -> Timestamp {
        Timestamp::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn firmware_that_ignores_an_offer_is_answered_in_every_form_in_turn() {
        for server in [false, true] {
            let forms = OfferForm::all(UEFI, server);
            let mut loader_attempts = LoaderAttempts::default();
            let mut seen = Vec::new();
            for turn in 0..=2 * forms.len() as u64 {
                let boot_method =
                    loader_attempts.discover(mac(0x56), UEFI, None, forms, &LOADERS, at(turn * 4));
                assert_eq!(
                    boot_method.loader.as_deref(),
                    Some("snponly.efi"),
                    "the form is at fault"
                );
                seen.push(boot_method.form);
            }
            let twice: Vec<OfferForm> = forms.iter().flat_map(|f| [*f, *f]).collect();
            assert_eq!(seen[..twice.len()], twice, "each of them twice");
            assert_eq!(
                seen.last(),
                Some(&OfferForm::Usual),
                "and then from the start"
            );
        }
    }

    #[test]
    fn an_answer_that_is_taken_stays_as_it_is() {
        let forms = OfferForm::all(UEFI, false);
        let mut loader_attempts = LoaderAttempts::default();
        for turn in 0..3 {
            let _ = loader_attempts.discover(mac(0x56), UEFI, None, forms, &LOADERS, at(turn));
        }
        let third = loader_attempts.current(mac(0x56), UEFI, None, forms, &LOADERS);
        assert_eq!(third.form, OfferForm::Turned);
        for turn in 3..20 {
            loader_attempts.taken(mac(0x56));
            assert_eq!(
                loader_attempts.discover(mac(0x56), UEFI, None, forms, &LOADERS, at(turn)),
                third
            );
        }
    }

    #[test]
    fn a_loader_that_never_asks_for_the_script_gives_way_to_the_next() {
        let forms = OfferForm::all(UEFI, false);
        let mut loader_attempts = LoaderAttempts::default();
        for want in ["snponly.efi", "ipxe.efi", "shimx64.efi", "snponly.efi"] {
            let boot_method =
                loader_attempts.discover(mac(0x56), UEFI, None, forms, &LOADERS, at(0));
            assert_eq!(boot_method.loader.as_deref(), Some(want));
            assert_eq!(
                boot_method.form,
                OfferForm::Usual,
                "its form was understood"
            );
            loader_attempts.taken(mac(0x56));
            loader_attempts.loaded(mac(0x56));
        }
        let reached = loader_attempts.arrived(mac(0x56)).expect("it did");
        assert_eq!(reached.loader.as_deref(), Some("snponly.efi"));
        assert_eq!(loader_attempts.arrived(mac(0x56)), None, "once a boot");
        let boot_method = loader_attempts.discover(mac(0x56), UEFI, None, forms, &LOADERS, at(0));
        assert_eq!(
            boot_method.loader.as_deref(),
            Some("snponly.efi"),
            "the one that worked stays"
        );
    }

    #[test]
    fn what_worked_before_is_tried_first() {
        let forms = OfferForm::all(UEFI, true);
        let known = BootMethod {
            form: OfferForm::Split,
            loader: Some("ipxe.efi".to_owned()),
        };
        let mut loader_attempts = LoaderAttempts::default();
        assert_eq!(
            loader_attempts.current(mac(0x56), UEFI, Some(&known), forms, &LOADERS),
            known
        );
        assert_eq!(
            loader_attempts.discover(mac(0x56), UEFI, Some(&known), forms, &LOADERS, at(0)),
            known
        );
        let gone = BootMethod {
            form: OfferForm::InHeader,
            loader: Some("removed.efi".to_owned()),
        };
        let mut loader_attempts = LoaderAttempts::default();
        let boot_method =
            loader_attempts.discover(mac(0x56), UEFI, Some(&gone), forms, &LOADERS, at(0));
        assert_eq!(
            boot_method.loader.as_deref(),
            Some("snponly.efi"),
            "a loader that is no more"
        );
    }

    #[test]
    fn another_firmware_of_the_same_machine_begins_anew() {
        let bios = NetbootRequest {
            arch: Arch::Bios,
            client: BootClient::Pxe,
        };
        let (forms, undionly) = (OfferForm::all(UEFI, true), ["undionly.kpxe"]);
        let known = BootMethod {
            form: OfferForm::Split,
            loader: Some("ipxe.efi".to_owned()),
        };
        let mut loader_attempts = LoaderAttempts::default();
        let _ = loader_attempts.discover(mac(0x56), UEFI, Some(&known), forms, &LOADERS, at(0));
        for boot_method in [
            loader_attempts.current(mac(0x56), bios, Some(&known), forms, &undionly),
            loader_attempts.discover(mac(0x56), bios, Some(&known), forms, &undionly, at(1)),
        ] {
            assert_eq!(boot_method.form, OfferForm::Usual);
            assert_eq!(boot_method.loader.as_deref(), Some("undionly.kpxe"));
        }
    }

    #[test]
    fn no_flood_of_machines_fills_the_memory() {
        let mut loader_attempts = LoaderAttempts::default();
        for number in 0..3 * MOST {
            let [.., a, b] = number.to_be_bytes();
            let mac = Mac::new([0x52, 0x54, 0, 0, a, b]).expect("a MAC");
            let _ = loader_attempts.discover(
                mac,
                UEFI,
                None,
                &[OfferForm::Usual],
                &[],
                at(number as u64),
            );
        }
        assert_eq!(loader_attempts.0.len(), MOST);
    }
}
