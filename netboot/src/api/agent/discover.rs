//! A stranger tells its hardware. There is no proof that it is the machine that it says it is: it is only a hint for an
//! operator.

use serde_json::Value;

use super::refused;
use crate::base::mac::Mac;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::disk::hardware::Hardware;
use crate::machine::State;
use crate::machine::decide::{Policy, UnknownPolicy};
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::journal_limits;
use crate::machine::state::ApplianceState;

/// `POST /node/v1/discovered`: taken once from each stranger that was sent a boot script for it.
pub fn discovered(
    state: &ApplianceState,
    mac: Mac,
    hardware: &Hardware,
    policy: &Policy,
    now: Timestamp,
    from: &str,
) -> Decided<()> {
    let asked = state.by_mac(mac).and_then(|machine| {
        let open = machine.state == State::Seen && policy.unknown == UnknownPolicy::Discover;
        let discovery = machine.discovery.as_ref().filter(|_| open)?;
        Some((machine, discovery))
    });
    let Some((machine, discovery)) = asked else {
        let refusal = Refusal::new(
            RefusalCode::WrongState,
            "nobody asked this machine what it is",
        )
        .tip(format!("pxe-admin show {mac}"));
        return refused(state, None, refusal, now, from);
    };
    if machine.hardware.as_ref() == Some(hardware) && discovery.discovered.is_some() {
        return Decided::yes((), Vec::new());
    }
    if discovery.discovered.is_some() {
        let refusal = Refusal::new(RefusalCode::WrongState, "its hardware is known already")
            .tip(format!("to have it told again: pxe-admin forget {mac}"));
        return Decided::no(refusal);
    }
    if !is_printable(hardware) {
        let refusal = Refusal::new(
            RefusalCode::TooLarge,
            "the inventory of the machine is too large",
        );
        return refused(state, Some(machine.id), refusal, now, from);
    }
    let hardware = hardware.clone();
    let told = NewEvent::of(machine.id, EventKind::Discovered { hardware });
    Decided::yes((), vec![told])
}

/// Whether it can be kept and shown on a terminal.
fn is_printable(hardware: &Hardware) -> bool {
    fn has_no_control_characters(value: &Value) -> bool {
        match value {
            Value::String(text) => !text.chars().any(char::is_control),
            Value::Array(items) => items.iter().all(has_no_control_characters),
            Value::Object(fields) => fields.values().all(has_no_control_characters),
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }
    serde_json::to_value(hardware).is_ok_and(|value| {
        value.to_string().len() <= journal_limits::INVENTORY && has_no_control_characters(&value)
    })
}
