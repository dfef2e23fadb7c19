//! A case reads as a story: what is given, then packets, each with what must become of it.
//!
//! The words that end a `send` name the verdict: `redirects`, `transmits`, `passes`,
//! `leaves_to_kernel`, `drops`, `answers`. So a reason whose verdict changes fails its cases.

use anyhow::{Context as _, Result, ensure};
use foobar_lb::{dataplane::Action, model::Protocol};
use foobar_lb_common::{Reason, map::Traffic};

use crate::{
    fate::{Afterwards, Fate, Out},
    given::{Machine, Spec},
    ground::{At, Side},
    judge,
    lab::{Lab, on_a_thread},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, Packet, tcp},
};

/// One case.
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Every reason that it expects of some packet.
    pub reasons: Vec<Reason>,
    machine: Machine,
    given: Vec<Spec>,
    steps: Vec<Step>,
}

type Act = Box<dyn FnOnce(&mut Lab) -> Result<()> + Send>;

struct Step {
    what: String,
    act: Act,
}

/// A flow table.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// `flows`.
    Established,
    /// `new_flows`.
    New,
}

/// A packet whose fate is still to be told.
pub struct Sent {
    case: Case,
    side: Side,
    packet: Packet,
}

/// Begins a case.
pub fn case(name: impl Into<String>) -> Case {
    Case {
        name: name.into(),
        reasons: vec![],
        machine: Machine::default(),
        given: vec![],
        steps: vec![],
    }
}

/// What is given.
impl Case {
    /// The services that are configured from the start.
    pub fn given(self, services: impl Into<Vec<Spec>>) -> Self {
        Self { given: services.into(), ..self }
    }

    /// One more line for `ip`, without the word `ip`, when the lab is built.
    pub fn ip(mut self, line: &str) -> Self {
        self.machine.ip.push(line.to_owned());
        self
    }

    /// One more sysctl below `/proc/sys/net/ipv4`.
    pub fn sysctl(mut self, name: &str, value: &'static str) -> Self {
        self.machine.sysctls.push((name.to_owned(), value));
        self
    }

    /// The program is attached to this side only.
    pub fn attached_only(mut self, side: Side) -> Self {
        self.machine.attached = vec![side];
        self
    }

    /// The sizes of the tables of established and new flows.
    pub fn flow_tables(mut self, established: u32, new: u32) -> Self {
        self.machine.flows = (established, new);
        self
    }
}

/// What happens.
impl Case {
    /// A packet arrives.
    pub fn send(self, side: Side, packet: Packet) -> Sent {
        Sent { case: self, side, packet }
    }

    /// A packet from a client arrives.
    pub fn client(self, packet: Packet) -> Sent {
        self.send(Side::Client, packet)
    }

    /// A packet from a backend arrives.
    pub fn backend(self, packet: Packet) -> Sent {
        self.send(Side::Backend, packet)
    }

    /// The configuration, or the backends' health, is this from now on.
    pub fn now(self, services: impl Into<Vec<Spec>>) -> Self {
        let services = services.into();
        self.then("the configuration changes", move |lab| lab.configure(&services))
    }

    /// Anything else.
    pub fn then(
        mut self,
        what: impl Into<String>,
        act: impl FnOnce(&mut Lab) -> Result<()> + Send + 'static,
    ) -> Self {
        self.steps.push(Step { what: what.into(), act: Box::new(act) });
        self
    }

    /// The same story for each item.
    pub fn each<T>(
        self,
        items: impl IntoIterator<Item = T>,
        story: impl Fn(Self, T) -> Self,
    ) -> Self {
        items.into_iter().fold(self, story)
    }

    /// A TCP handshake, each packet of which goes where it should, and is known to be established.
    pub fn establish(self, client: At, service: At, backend: At) -> Self {
        self.client(tcp(client, service).syn())
            .goes_to(backend)
            .backend(syn_ack(backend, client))
            .goes_back_from(service)
            .client(handshake_ack(client, service))
            .goes_to(backend)
            .established(client, service)
    }

    /// The flow is in the table of established flows.
    pub fn established(self, client: At, service: At) -> Self {
        self.established_is(Protocol::Tcp, client, service, true)
    }

    /// The flow is not in the table of established flows.
    pub fn not_established(self, client: At, service: At) -> Self {
        self.established_is(Protocol::Tcp, client, service, false)
    }

    /// Whether the flow is in the table of established flows.
    pub fn established_is(self, protocol: Protocol, client: At, service: At, wanted: bool) -> Self {
        self.then(format!("{client:?} is established: {wanted}"), move |lab| {
            let found = lab.flow(protocol, client, service, true)?.is_some();
            ensure!(found == wanted, "established: {found}");
            Ok(())
        })
    }

    /// One direction of a flow has had no packet for this long: `from` and `to` are as its packets
    /// carry them.
    pub fn silent(self, protocol: Protocol, from: At, to: At, table: Table, seconds: u32) -> Self {
        let established = matches!(table, Table::Established);
        self.then(format!("{seconds} seconds pass without a packet"), move |lab| {
            lab.age(protocol, from, to, established, seconds)
        })
    }

    /// The traffic of the service, or of one of its backends, is exactly this.
    pub fn traffic(
        self,
        protocol: Protocol,
        service: At,
        backend: Option<At>,
        expected: Traffic,
    ) -> Self {
        self.then(format!("the traffic of {service:?} {backend:?}"), move |lab| {
            let traffic = match backend {
                Some(backend) => lab.backend_traffic(protocol, service, backend)?,
                None => lab.service_traffic(protocol, service)?,
            };
            ensure!(traffic == expected, "expected {expected:?}\n  actual {traffic:?}");
            Ok(())
        })
    }

    /// Runs it.
    pub fn run(self) -> Result<()> {
        let Self { machine, given, steps, .. } = self;
        on_a_thread(move || {
            let mut lab = Lab::new(&machine)?;
            lab.configure(&given)?;
            for (number, Step { what, act }) in (1..).zip(steps) {
                act(&mut lab).with_context(|| format!("step {number}: {what}"))?;
            }
            Ok(())
        })
    }
}

/// The backend's answer to a SYN of [`tcp`]'s.
pub fn syn_ack(backend: At, client: At) -> Packet {
    tcp(backend, client).seq(BACKEND_SEQUENCE).syn().ack(CLIENT_SEQUENCE + 1)
}

/// The client's answer to [`syn_ack`].
pub fn handshake_ack(client: At, service: At) -> Packet {
    tcp(client, service).seq(CLIENT_SEQUENCE + 1).ack(BACKEND_SEQUENCE + 1)
}

/// What becomes of the packet.
impl Sent {
    /// It leaves by the other interface, as this frame.
    pub fn redirects(self, expected: Packet) -> Case {
        let out = Out::Leaving(self.side.other());
        self.ends(Reason::ForwardedRedirect, Action::Redirect, Afterwards::Exactly(expected, out))
    }

    /// It leaves by the interface it came in by, as this frame.
    pub fn transmits(self, expected: Packet) -> Case {
        let out = Out::Leaving(self.side);
        self.ends(Reason::ForwardedTx, Action::Tx, Afterwards::Exactly(expected, out))
    }

    /// It leaves by the other interface: this very packet, one hop later, to another destination.
    pub fn goes_to(self, backend: At) -> Case {
        let expected = self.packet.clone().sent_to(backend).hop();
        self.redirects(expected)
    }

    /// It leaves by the other interface: this very packet, one hop later, from another source.
    pub fn goes_back_from(self, service: At) -> Case {
        let expected = self.packet.clone().sent_from(service).hop();
        self.redirects(expected)
    }

    /// It is handed to the kernel, not a bit changed.
    pub fn passes(self, reason: Reason) -> Case {
        self.ends(reason, Action::Pass, Afterwards::Untouched)
    }

    /// It is handed to the kernel as this packet; the MAC addresses are those of the input.
    pub fn leaves_to_kernel(self, reason: Reason, expected: Packet) -> Case {
        self.ends(reason, Action::Pass, Afterwards::Exactly(expected, Out::AsBefore))
    }

    /// It is discarded.
    pub fn drops(self, reason: Reason) -> Case {
        self.ends(reason, Action::Drop, Afterwards::Anything)
    }

    /// This frame is sent back to where it came from.
    pub fn answers(self, reason: Reason, expected: Packet) -> Case {
        self.ends(reason, Action::Tx, Afterwards::Exactly(expected, Out::Swapped))
    }

    fn ends(self, reason: Reason, action: Action, afterwards: Afterwards) -> Case {
        let Self { mut case, side, packet } = self;
        case.reasons.push(reason);
        let what = format!("a packet arrives on the {side:?} side, expected: {}", reason.name());
        case.then(what, move |lab| {
            let ran = lab.run(side, &packet)?;
            let fate = Fate { reason, action, afterwards };
            fate.judge(&ran, side).with_context(|| {
                format!(
                    "the packet that was put in:\n  {}",
                    judge::describe(&ran.input).join("\n  ")
                )
            })
        })
    }
}
