//! foobar-lb's controller: turns one configuration file and the health of the backends into the
//! maps that the packet path reads. It never touches a packet.

pub mod model;
