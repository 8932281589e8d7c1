//! Before the agent runs: a machine is seen, and its boot script carries the ticket.

use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::base::token::Ticket;
use crate::dhcp::offer_fallback::Manner;
use crate::dhcp::request::Facts;
use crate::machine::decide::{Decision, Policy, Reason, decide};
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::World;
use crate::machine::{Attempt, Machine, State};

/// Who asks in a machine's name: anybody on the LAN can write a MAC into a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The machine, by its address, or because it was just heard to ask over DHCP.
    Itself,
    /// Nobody knows who. It may read what the machine may read, and that is no boot of the machine: no attempt is counted,
    /// and none that runs is ended by it.
    Somebody,
}

/// A machine asked for something to boot: what is new about it. `most` bounds the machines on record that no operator
/// enrolled. Anybody can send a DISCOVER in its name, so what is known of it is replaced only now and then.
/// Also the place where a machine is given up whose attempts are used up, or whose order expired in the middle: in proxy
/// mode it is answered with silence from here on, so no other door would ever hear of it.
pub fn observe(
    world: &World,
    mac: Mac,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
    asker: Asker,
    most: usize,
) -> Verdict<()> {
    let Some(machine) = world.by_mac(mac) else {
        let strangers = world
            .machines
            .values()
            .filter(|m| m.state == State::Seen || m.enrolled_itself)
            .count();
        let seen = Draft::of(
            mac,
            Happening::Seen {
                facts: facts.clone(),
            },
        );
        return Verdict::yes(
            (),
            if strangers < most {
                vec![seen]
            } else {
                Vec::new()
            },
        );
    };
    let mut drafts = Vec::new();
    let facts = world.taken_over(machine, facts, now);
    if machine.facts.clone().learn(&facts) {
        drafts.push(Draft::of(machine.id, Happening::Seen { facts }));
    }
    drafts.extend(given_up(
        machine,
        &decide(Some(machine), policy, now),
        asker,
    ));
    Verdict::yes((), drafts)
}

/// The machine came to its boot script, by this form and loader: kept, so that its next boot begins with them.
pub fn reached(world: &World, mac: Mac, manner: &Manner) -> Verdict<()> {
    let machine = world.by_mac(mac);
    let news = machine.filter(|machine| machine.manner.as_ref() != Some(manner));
    let draft = news.map(|machine| {
        let manner = manner.clone();
        Draft::of(machine.id, Happening::Reached { manner })
    });
    Verdict::yes((), draft.into_iter().collect())
}

fn given_up(machine: &Machine, decision: &Decision, asker: Asker) -> Option<Draft> {
    // One that waits for a yes may do so for ever, and nothing was begun on one that no agent ran on.
    let waits = machine.attempt.as_ref().is_some_and(Attempt::only_waited);
    let begun = machine.state == State::Installing && !waits;
    match decision {
        _ if asker == Asker::Somebody => None,
        Decision::Disk(reason @ Reason::AttemptsUsed(_)) => Some(reason),
        Decision::Disk(reason @ Reason::Expired(_)) if begun => Some(reason),
        _ => None,
    }
    .map(|reason| {
        let reason = reason.to_string();
        Draft::of(machine.id, Happening::GaveUp { reason })
    })
}

/// The boot script door: decides, hands out the ticket, counts attempts. `fresh` is used only if a new
/// attempt begins. Who is not known to be the machine gets the ticket that there is.
pub fn serve(
    world: &World,
    mac: Mac,
    policy: &Policy,
    now: Timestamp,
    asker: Asker,
    fresh: Ticket,
) -> Verdict<(Decision, Option<Ticket>)> {
    let machine = world.by_mac(mac);
    let decision = decide(machine, policy, now);
    let Some(machine) = machine else {
        return Verdict::yes((decision, None), Vec::new());
    };
    if decision == Decision::Discover {
        let same = machine.discovery.as_ref();
        let same = same.is_some_and(|discovery| discovery.is_same_boot(now));
        let counts = !same && asker == Asker::Itself;
        let draft = counts.then(|| Draft::of(machine.id, Happening::Discovering));
        return Verdict::yes((decision, None), draft.into_iter().collect());
    }
    if decision != Decision::Install {
        let drafts = given_up(machine, &decision, asker).into_iter().collect();
        return Verdict::yes((decision, None), drafts);
    }
    let draft = |what| Draft::of(machine.id, what);
    let (ticket, drafts) = match &machine.attempt {
        Some(attempt) if asker == Asker::Somebody => (attempt.ticket.clone(), Vec::new()),
        Some(attempt) if !attempt.is_spent(now) => {
            let ticket = attempt.ticket.clone();
            let first = attempt.served.is_none();
            let served = first.then(|| {
                draft(Happening::Served {
                    ticket: ticket.clone(),
                })
            });
            (ticket, served.into_iter().collect())
        }
        spent => {
            let number = spent.as_ref().map_or(1, Attempt::next_number);
            let next = draft(Happening::Attempt {
                number,
                ticket: fresh.clone(),
            });
            let served = draft(Happening::Served {
                ticket: fresh.clone(),
            });
            (fresh, vec![next, served])
        }
    };
    Verdict::yes((decision, Some(ticket)), drafts)
}
