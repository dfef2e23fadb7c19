//! foobar-lb's controller: turns one configuration file and the health of the backends into the
//! maps that the packet path reads. It never touches a packet.

pub mod api;
pub mod cli;
pub mod config;
pub mod controller;
pub mod dataplane;
pub mod health;
pub mod model;
pub mod plan;
pub mod system;
pub mod text;
