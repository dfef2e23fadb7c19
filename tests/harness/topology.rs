//! The networks of the tests: a client, the balancer, and backends on a switch.
//!
//! ```text
//! two arms:  client eth0 ─── eth0 balancer eth1 ─── lb [switch] b1 … ─── eth0 backend
//!            198.51.100.10   .1       10.0.0.1                           10.0.0.11 …
//!
//! one arm:   client eth0 ─── client [switch] b1 … ─── eth0 backend
//!            balancer eth0 ─── lb [switch]
//! ```
//!
//! The service address 203.0.113.10 is on the balancer's `lo`, and both sides route through the
//! balancer. Forwarding sysctls are left alone: they are the controller's job.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{NetNs, wait_until};

/// The address that clients reach, on the balancer's `lo`.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The balancer's address on the clients' side.
pub const BALANCER_CLIENT_SIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The balancer's address on the backends' side.
pub const BALANCER_BACKEND_SIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The last byte of the first client address and of the backend before the first.
const FIRST_HOST: u8 = 10;

/// How many NICs the balancer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arms {
    /// `eth0` for clients and backends: packets leave by the NIC that they came from.
    One,
    /// `eth0` for clients, `eth1` for backends.
    Two,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct TopologySpec {
    /// How many NICs the balancer has.
    pub arms: Arms,
    /// How many backends: 10.0.0.11 and on. At most 200.
    pub backends: u8,
    /// How many addresses the client has: 198.51.100.10 and on. At most 200.
    pub client_addresses: u8,
}

impl Default for TopologySpec {
    /// Two arms, three backends, four client addresses.
    fn default() -> Self {
        Self { arms: Arms::Two, backends: 3, client_addresses: 4 }
    }
}

/// The namespaces, wired and addressed.
#[derive(Debug)]
pub struct Topology {
    /// Where clients run; its NIC is `eth0`.
    pub client: NetNs,
    /// The client's addresses.
    pub client_addresses: Vec<Ipv4Addr>,
    /// Where foobar-lb runs; its NICs are [`Topology::interfaces`].
    pub balancer: NetNs,
    /// The bridge `br0`; its ports are `lb`, `b1` and on, and with one arm `client`.
    pub switch: NetNs,
    /// The backends, in the order of their addresses.
    pub backends: Vec<BackendHost>,
    /// How many NICs the balancer has.
    pub arms: Arms,
}

/// A backend's host.
#[derive(Debug)]
pub struct BackendHost {
    /// Its namespace; its NIC is `eth0`.
    pub ns: NetNs,
    /// Its address.
    pub address: Ipv4Addr,
    /// The switch's port that it hangs on.
    pub port: String,
}

impl BackendHost {
    /// Its address with a port.
    pub fn endpoint(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }
}

impl Topology {
    /// Builds it, and waits until every link has a carrier.
    pub fn build(spec: &TopologySpec) -> Result<Self> {
        ensure!(spec.backends <= 200 && spec.client_addresses <= 200, "at most 200 of each");
        let client = NetNs::new("client")?;
        let balancer = NetNs::new("balancer")?;
        let switch = NetNs::new("switch")?;
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set br0 up")?;

        let balancer_side = match spec.arms {
            Arms::Two => {
                wire((&client, "eth0", [1, FIRST_HOST]), (&balancer, "eth0", [1, 1]))?;
                "eth1"
            }
            Arms::One => {
                plug(&switch, "client", &client, "eth0", [1, FIRST_HOST])?;
                "eth0"
            }
        };
        plug(&switch, "lb", &balancer, balancer_side, [2, 1])?;
        balancer.ip(&format!(
            "addr add {BALANCER_CLIENT_SIDE}/24 dev eth0\n\
             addr add {BALANCER_BACKEND_SIDE}/24 dev {balancer_side}\n\
             addr add {SERVICE}/32 dev lo"
        ))?;

        let client_addresses: Vec<_> = (0..spec.client_addresses)
            .map(|n| Ipv4Addr::new(198, 51, 100, FIRST_HOST + n))
            .collect();
        let mut batch = String::new();
        for address in &client_addresses {
            writeln!(batch, "addr add {address}/24 dev eth0")?;
        }
        client.ip(&format!("{batch}route add default via {BALANCER_CLIENT_SIDE}"))?;

        let backends = (1..=spec.backends)
            .map(|n| backend(&switch, n).with_context(|| format!("cannot make backend {n}")))
            .collect::<Result<Vec<_>>>()?;
        let net = Self { client, client_addresses, balancer, switch, backends, arms: spec.arms };
        net.wait_for_carriers()?;
        Ok(net)
    }

    /// The balancer's NICs.
    pub fn interfaces(&self) -> &'static [&'static str] {
        match self.arms {
            Arms::One => &["eth0"],
            Arms::Two => &["eth0", "eth1"],
        }
    }

    /// Pulls the cable of a backend (by index): its link goes down on both ends.
    pub fn unplug(&self, backend: usize) -> Result<()> {
        self.switch.ip(&format!("link set {} down", self.port(backend)?))
    }

    /// Puts the cable of a backend back.
    pub fn replug(&self, backend: usize) -> Result<()> {
        self.switch.ip(&format!("link set {} up", self.port(backend)?))
    }

    /// Takes the NIC of the backends' side out of a balancer with two arms.
    pub fn remove_nic(&self) -> Result<()> {
        ensure!(self.arms == Arms::Two, "with one arm nothing would be left");
        self.balancer.ip("link del eth1")
    }

    /// Puts that NIC back: the same name and addresses, a new interface to the kernel.
    pub fn insert_nic(&self) -> Result<()> {
        plug(&self.switch, "lb", &self.balancer, "eth1", [2, 1])?;
        self.balancer.ip(&format!("addr add {BALANCER_BACKEND_SIDE}/24 dev eth1"))
    }

    /// Makes the balancer forget every neighbour that is not permanent.
    pub fn flush_neighbours(&self) -> Result<()> {
        self.balancer.ip("neigh flush all")
    }

    fn port(&self, backend: usize) -> Result<&str> {
        let host = self.backends.get(backend);
        Ok(&host.with_context(|| format!("there is no backend with index {backend}"))?.port)
    }

    fn wait_for_carriers(&self) -> Result<()> {
        let hosts = [&self.client, &self.balancer, &self.switch].into_iter();
        for ns in hosts.chain(self.backends.iter().map(|b| &b.ns)) {
            wait_until("links to have a carrier", Duration::from_secs(5), || {
                let text = ns.run(&["ip", "-j", "link", "show", "up"])?;
                let links: Vec<serde_json::Value> = serde_json::from_str(&text)?;
                for link in links.iter().filter(|link| link["ifname"] != "lo") {
                    let (name, state) = (&link["ifname"], &link["operstate"]);
                    ensure!(state == "UP", "{}: {name} is {state}", ns.name());
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Makes the backend `10.0.0.(10 + n)` on the switch's port `b{n}`.
fn backend(switch: &NetNs, n: u8) -> Result<BackendHost> {
    let ns = NetNs::new(&format!("backend{n}"))?;
    let (port, host) = (format!("b{n}"), FIRST_HOST + n);
    plug(switch, &port, &ns, "eth0", [2, host])?;
    let address = Ipv4Addr::new(10, 0, 0, host);
    ns.ip(&format!(
        "addr add {address}/24 dev eth0\nroute add default via {BALANCER_BACKEND_SIDE}"
    ))?;
    Ok(BackendHost { ns, address, port })
}

/// Wires a NIC of `host` to a new port of the switch.
fn plug(switch: &NetNs, port: &str, host: &NetNs, nic: &str, mac: [u8; 2]) -> Result<()> {
    // The port's own address must differ from the host's: the bridge would take it for its own.
    wire((switch, port, [mac[0] | 0x80, mac[1]]), (host, nic, mac))?;
    switch.ip(&format!("link set {port} master br0"))
}

/// Joins two namespaces by a veth pair: each end a namespace, a NIC and a MAC's last two bytes.
///
/// Checksum and VLAN offloads are off, since the packet path updates checksums incrementally and
/// a partial one would come out wrong. GRO is on: without it a veth silently drops the frames
/// that a program sends into its peer.
pub fn wire(one: (&NetNs, &str, [u8; 2]), other: (&NetNs, &str, [u8; 2])) -> Result<()> {
    let ((a, a_nic, a_mac), (b, b_nic, b_mac)) = (one, other);
    let mac = |[net, host]: [u8; 2]| format!("02:00:00:00:{net:02x}:{host:02x}");
    a.ip(&format!(
        "link add {a_nic} address {} type veth peer name {b_nic} address {} netns {}\n\
         link set {a_nic} up",
        mac(a_mac),
        mac(b_mac),
        b.path()
    ))?;
    b.ip(&format!("link set {b_nic} up"))?;
    for (ns, nic) in [(a, a_nic), (b, b_nic)] {
        let offloads = ["tx", "off", "txvlan", "off", "rxvlan", "off", "gro", "on"];
        ns.run(&[&["ethtool", "-K", nic][..], &offloads].concat())?;
    }
    Ok(())
}
