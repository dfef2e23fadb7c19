//! The interfaces that the packet path runs on: attached at the start, and again when one comes
//! back under the same name.

use crate::{
    api::types::EventKind,
    dataplane::Attachment,
    system::{Link, NetEvent, sysctl},
};

use super::Controller;

/// One interface, by the name that the operator gave.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    /// `None`: there is none of this name now.
    pub(super) link: Option<Link>,
    /// `None`: the packet path does not run there.
    pub(super) attachment: Option<Attachment>,
    /// Why it does not; it is tried again.
    pub(super) fault: Option<String>,
}

impl Interface {
    pub(super) fn attached_ifindex(&self) -> Option<u32> {
        self.attachment.as_ref().map(|attachment| attachment.interface)
    }

    /// Whether it is there, and the packet path does not run on it.
    pub(super) fn is_to_be_attached(&self) -> bool {
        self.link.is_some() && self.attachment.is_none()
    }
}

impl Controller {
    pub(super) async fn on_net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::LinkChanged(link) => self.on_link(link),
            NetEvent::LinkRemoved { ifindex, name } => self.on_link_removed(ifindex, &name),
            NetEvent::Overrun => match self.netlink.links().await {
                Ok(links) => {
                    self.forget_missing(&links);
                    links.into_iter().for_each(|link| self.on_link(link));
                }
                Err(error) => self.set_fault(error.to_string()),
            },
            // The next hops' keeper listens for these itself.
            NetEvent::NeighbourChanged(_)
            | NetEvent::NeighbourRemoved { .. }
            | NetEvent::RoutesChanged => {}
        }
    }

    fn on_link(&mut self, link: Link) {
        let Some(position) = self.interfaces.iter().position(|i| i.name == link.name) else {
            return;
        };
        let interface = &mut self.interfaces[position];
        let was_up = interface.link.as_ref().is_some_and(|old| old.up);
        let same = interface.attached_ifindex() == Some(link.ifindex);
        if was_up != link.up {
            let state = if link.up { "up" } else { "down" };
            self.log.push(EventKind::Interface, format!("interface {} is {state}", link.name));
        }
        interface.link = Some(link);
        if !same {
            self.attach(position);
        }
    }

    fn on_link_removed(&mut self, ifindex: u32, name: &str) {
        let ours = |i: &&mut Interface| {
            i.name == name && i.link.as_ref().is_none_or(|link| link.ifindex == ifindex)
        };
        if let Some(interface) = self.interfaces.iter_mut().find(ours) {
            interface.link = None;
            interface.attachment = None;
            interface.fault = None;
            self.log.push(
                EventKind::Interface,
                format!("interface {name} is gone; it is attached again when it comes back"),
            );
            self.detach_others();
        }
    }

    fn forget_missing(&mut self, links: &[Link]) {
        let gone: Vec<(u32, String)> = self
            .interfaces
            .iter()
            .filter_map(|i| Some((i.link.as_ref()?.ifindex, i.name.clone())))
            .filter(|(ifindex, _)| !links.iter().any(|link| link.ifindex == *ifindex))
            .collect();
        for (ifindex, name) in gone {
            self.on_link_removed(ifindex, &name);
        }
    }

    /// Attaches to the interface at `position`; a refusal is told, and the others go on.
    pub(super) fn attach(&mut self, position: usize) {
        let interface = &self.interfaces[position];
        let Some(link) = interface.link.clone() else { return };
        match self.dataplane.attach(link.ifindex, &link.name, self.xdp_mode) {
            Ok(attachment) => {
                let how = if attachment.adopted { "taken over" } else { "attached" };
                self.log.push(
                    EventKind::Interface,
                    format!("interface {}: {how}, {} mode", link.name, attachment.mode),
                );
                self.interfaces[position].attachment = Some(attachment);
                self.interfaces[position].fault = None;
                self.ensure_sysctls();
                self.reconcile();
            }
            Err(error) => {
                // Told once, and tried again every second.
                let fault = Some(error.to_string());
                if self.interfaces[position].fault != fault {
                    self.log.push(EventKind::Fault, error.to_string());
                    self.interfaces[position].fault = fault;
                }
            }
        }
    }

    /// Lets go of interfaces that are not wanted (any more).
    pub(super) fn detach_others(&mut self) {
        let keep: Vec<u32> =
            self.interfaces.iter().filter_map(Interface::attached_ifindex).collect();
        match self.dataplane.detach_others(&keep) {
            Ok(gone) => {
                for ifindex in gone {
                    self.log.push(
                        EventKind::Interface,
                        format!("detached from the interface with index {ifindex}"),
                    );
                }
            }
            Err(error) => self.set_fault(error.to_string()),
        }
    }

    /// What the mode nat needs of the kernel, on every interface that is there.
    pub(super) fn ensure_sysctls(&self) {
        let names: Vec<&str> = self
            .interfaces
            .iter()
            .filter(|interface| interface.link.is_some())
            .map(|interface| interface.name.as_str())
            .collect();
        match sysctl::ensure(names, self.config.manage_sysctls) {
            Ok(findings) => {
                for finding in findings {
                    if finding.set {
                        log::info!("{finding}");
                    } else {
                        log::warn!("{finding}");
                    }
                }
            }
            Err(error) => log::error!("{error}"),
        }
    }
}
