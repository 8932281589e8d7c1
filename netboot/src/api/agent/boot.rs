//! Before the agent runs: a machine is seen, and its boot script carries the ticket.

use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::base::token::Ticket;
use crate::dhcp::offer_fallback::BootMethod;
use crate::dhcp::request::Facts;
use crate::machine::decide::{Decision, Policy, Reason, decide};
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::machine::{Attempt, Machine, State};

/// Who asks in a machine's name: anybody on the LAN can write a MAC into a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequesterIdentity {
    /// The machine, by its address, or because it was just heard to ask over DHCP.
    Verified,
    /// It is not known who asks. It may read what the machine may read, but that does not count as a boot of the
    /// machine: no attempt is counted, and none that runs is ended by it.
    Unverified,
}

/// A machine asked for something to boot: what is new about it. `most` bounds the machines on record that no operator
/// enrolled. Anybody can send a DISCOVER in its name, so what is known of it is replaced only now and then. Also the
/// place where a machine is given up whose attempts are used up, or whose order expired in the middle: in proxy mode it
/// gets no answer from here on, so it would not ask anywhere else.
pub fn observe(
    state: &ApplianceState,
    mac: Mac,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
    identity: RequesterIdentity,
    most: usize,
) -> Decided<()> {
    let Some(machine) = state.by_mac(mac) else {
        let strangers = state
            .machines
            .values()
            .filter(|m| m.state == State::Seen || m.enrolled_itself)
            .count();
        let seen = NewEvent::of(
            mac,
            EventKind::Seen {
                facts: facts.clone(),
            },
        );
        return Decided::yes(
            (),
            if strangers < most {
                vec![seen]
            } else {
                Vec::new()
            },
        );
    };
    let mut events = Vec::new();
    let facts = state.taken_over(machine, facts, now);
    if machine.facts.clone().learn(&facts) {
        events.push(NewEvent::of(machine.id, EventKind::Seen { facts }));
    }
    events.extend(given_up(
        machine,
        &decide(Some(machine), policy, now),
        identity,
    ));
    Decided::yes((), events)
}

/// The machine came to its boot script, by this form and loader: kept, so that its next boot begins with them.
pub fn reached(state: &ApplianceState, mac: Mac, boot_method: &BootMethod) -> Decided<()> {
    let machine = state.by_mac(mac);
    let news = machine.filter(|machine| machine.boot_method.as_ref() != Some(boot_method));
    let event = news.map(|machine| {
        let boot_method = boot_method.clone();
        NewEvent::of(machine.id, EventKind::Reached { boot_method })
    });
    Decided::yes((), event.into_iter().collect())
}

fn given_up(
    machine: &Machine,
    decision: &Decision,
    identity: RequesterIdentity,
) -> Option<NewEvent> {
    // A machine that waits for an operator may wait for ever, and on a machine without an agent no install has begun.
    let waits = machine.attempt.as_ref().is_some_and(Attempt::only_waited);
    let begun = machine.state == State::Installing && !waits;
    match decision {
        _ if identity == RequesterIdentity::Unverified => None,
        Decision::Disk(reason @ Reason::AttemptsUsed(_)) => Some(reason),
        Decision::Disk(reason @ Reason::Expired(_)) if begun => Some(reason),
        _ => None,
    }
    .map(|reason| {
        let reason = reason.to_string();
        NewEvent::of(machine.id, EventKind::GaveUp { reason })
    })
}

/// The boot script: decides, hands out the ticket, counts attempts. `fresh` is used only if a new attempt begins. A
/// requester that is not known to be the machine gets the ticket of the running attempt.
pub fn serve(
    state: &ApplianceState,
    mac: Mac,
    policy: &Policy,
    now: Timestamp,
    identity: RequesterIdentity,
    fresh: Ticket,
) -> Decided<(Decision, Option<Ticket>)> {
    let machine = state.by_mac(mac);
    let decision = decide(machine, policy, now);
    let Some(machine) = machine else {
        return Decided::yes((decision, None), Vec::new());
    };
    if decision == Decision::Discover {
        let same = machine.discovery.as_ref();
        let same = same.is_some_and(|discovery| discovery.is_same_boot(now));
        let counts = !same && identity == RequesterIdentity::Verified;
        let event = counts.then(|| NewEvent::of(machine.id, EventKind::Discovering));
        return Decided::yes((decision, None), event.into_iter().collect());
    }
    if decision != Decision::Install {
        let events = given_up(machine, &decision, identity).into_iter().collect();
        return Decided::yes((decision, None), events);
    }
    let event = |what| NewEvent::of(machine.id, what);
    let (ticket, events) = match &machine.attempt {
        Some(attempt) if identity == RequesterIdentity::Unverified => {
            (attempt.ticket.clone(), Vec::new())
        }
        Some(attempt) if !attempt.is_spent(now) => {
            let ticket = attempt.ticket.clone();
            let first = attempt.served.is_none();
            let served = first.then(|| {
                event(EventKind::Served {
                    ticket: ticket.clone(),
                })
            });
            (ticket, served.into_iter().collect())
        }
        spent => {
            let number = spent.as_ref().map_or(1, Attempt::next_number);
            let next = event(EventKind::Attempt {
                number,
                ticket: fresh.clone(),
            });
            let served = event(EventKind::Served {
                ticket: fresh.clone(),
            });
            (fresh, vec![next, served])
        }
    };
    Decided::yes((decision, Some(ticket)), events)
}
