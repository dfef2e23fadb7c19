//! Is the packet for a service?

use foobar_lb_common::{
    Reason,
    map::{Service, ServiceKey},
};

use crate::{maps::SERVICES, parse::Packet};

/// The service that the packet is for.
#[inline(always)]
pub fn service(packet: &Packet) -> Result<Service, Reason> {
    let key = ServiceKey::new(packet.destination, packet.destination_port, packet.protocol);
    // SAFETY: copied out at once. The controller replaces a service as a whole; a slot that is
    // re-used under our eyes gives, at worst, the table of another service, whose backends carry
    // that service's id (see `select`).
    unsafe { SERVICES.get(key) }.copied().ok_or(Reason::NotService)
}
