//! Tests of the configuration as its users meet it: text in; a model, messages or text out.

mod docs;
mod edits;
mod files;
mod mistakes;
mod properties;
mod reading;

/// A file that uses every key.
pub(crate) const FULL: &str = r#"# The balancer of rack 7.
[global]
manage_sysctls = false

[limits]
services = 16
backends = 64
flows = 1_024
new_flows = 0x200

# Shop and blog.
[[service]]
name = "web"            # as in DNS
address = "203.0.113.10"
port = 80
protocol = "tcp"
scheduler = "round-robin"
forward = "nat"

[service.probe]
kind = "http"
path = "/healthz?full=1"
host = "www.foobar.com"
expect = "200-299"
interval_ms = 500
timeout_ms = 250
rise = 1
fall = 5
port = 8081

[[service.backend]]     # old hardware
address = "10.0.0.11"
port = 8080
weight = 3
state = "drain"

[[service.backend]]
address = "10.0.0.12"

[[service]]
name = "dns"
address = "203.0.113.10"
port = 53
protocol = "udp"
backend = [
    { address = "10.0.0.21" }, # north
    { address = "10.0.0.22", state = "maint" }, # south
]
"#;

/// The errors that the manual shows.
fn mistakes_in_docs() -> String {
    let text = "[[service]]\nname = \"web\"\nadress = \"203.0.113.10\"\nport = 80\n\n\
                [[service.backend]]\naddress = \"10.0.0.11\"\nport = 80800\n\n\
                [[service]]\nname = \"web\"\naddress = \"203.0.113.11\"\nport = 80\n";
    super::parse(text, "foobar-lb.toml").unwrap_err().to_string()
}
