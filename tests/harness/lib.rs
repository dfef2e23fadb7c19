//! The ground that the demo and the end-to-end tests stand on: network namespaces without names,
//! a topology, servers, clients and captures, all of which vanish with the process.
//!
//! A test reads like this:
//!
//! ```no_run
//! use std::time::Duration;
//! use foobar_lb_tests::{FoobarLb, HttpServer, Lab, Topology, TopologySpec, wait_until};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::new()?;
//! let net = Topology::build(&TopologySpec::default())?;
//! let server = HttpServer::start(&lab, &net.backends[0].ns, net.backends[0].endpoint(80), "b1")?;
//! let lb = FoobarLb::new(foobar_lb_tests::foobar_lb_binary()?, &net.balancer);
//! let config = lab.write("foobar-lb.toml", "# …")?;
//! let controller = lb.run(&lab, &["eth0", "eth1"], &config, &[])?;
//! wait_until("the service to be up", Duration::from_secs(5), || lb.status()?.all_up())?;
//! # Ok(()) }
//! ```
//!
//! Everything here needs root and fails without it. Nothing here leads to the `foobar-lb` crate:
//! xtask builds this library before the packet path can be compiled.
#![forbid(unsafe_code)]

pub mod capture;
pub mod controller;
pub mod http_server;
pub mod judge;
pub mod lab;
pub mod load;
pub mod netns;
pub mod proc;
pub mod topology;
pub mod wait;

pub use capture::Capture;
pub use controller::{FoobarLb, foobar_lb_binary};
pub use http_server::HttpServer;
pub use lab::Lab;
pub use load::{LoadClient, LoadPlan};
pub use netns::NetNs;
pub use proc::Child;
pub use topology::{Arms, Topology, TopologySpec};
pub use wait::wait_until;

#[cfg(test)]
mod selftest;
