//! Changes by command: what they do to traffic, and what is in the file afterwards.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{
    Child, FoobarLb, HttpServer, Lab, Topology, TopologySpec, foobar_lb_binary, judge,
    topology::SERVICE, wait_until,
};
use nix::mount::{MsFlags, mount};

use crate::{
    cases, measured,
    support::{
        http::Connection,
        stage::{SOON, Spec, Stage, WEB, wait_up},
    },
};

cases![
    services_and_backends_come_and_go,
    drain_and_weight_0_keep_open_connections,
    maint_and_remove_end_them,
    a_file_edited_by_hand_is_not_overwritten,
    a_first_start_needs_no_file,
];

/// With comments, an order and a spacing of its own.
const HAND_WRITTEN: &str = "\
# The web servers.

[[service]]
name    = \"web\"             # what clients know
address = \"203.0.113.10\"
port    = 80

# In the rack by the door.
[[service.backend]]
port    = 80
address = \"10.0.0.11\"

[[service.backend]]
address = \"10.0.0.12\"   # the new one

# Nothing below this line.
";

fn services_and_backends_come_and_go(lab: &Lab) -> Result<()> {
    let net = Topology::build(&TopologySpec::default())?;
    let stage = Stage::build_on(lab, net, HAND_WRITTEN, &Spec::default())?;
    let shares = |wanted: &[&str]| -> Result<()> {
        let shares = judge::shares(&stage.requests(60)?);
        let names: Vec<&str> = shares.keys().map(String::as_str).collect();
        ensure!(names == wanted, "shares {shares:?}, wanted {wanted:?}");
        judge::check_even(&shares.into_values().collect::<Vec<_>>(), judge::possible_cpus()?)
    };
    shares(&["b1", "b2"])?;

    stage.lb.ok(&["backend", "add", "web/10.0.0.13:80"])?;
    shares(&["b1", "b2", "b3"])?;
    expect_lines_kept(&stage.config, &["address = \"10.0.0.13\""])?;

    stage.lb.ok(&["service", "add", "second", "203.0.113.10:8080"])?;
    stage.lb.ok(&["backend", "add", "second/10.0.0.12:80", "--weight", "2"])?;
    let second = "203.0.113.10:8080".parse()?;
    let answer = Connection::open(&stage.net.client, second)?.get("/")?;
    ensure!(answer.server == "b2", "the second service answers as {}", answer.server);
    expect_lines_kept(&stage.config, &["name = \"second\"", "port = 8080", "weight = 2"])?;

    stage.lb.ok(&["service", "remove", "second"])?;
    let error = Connection::open(&stage.net.client, second).err().context("it still answers")?;
    ensure!(format!("{error:#}").contains("refused"), "{error:#}");
    stage.lb.ok(&["backend", "remove", "web/10.0.0.13"])?;
    shares(&["b1", "b2"])?;
    expect_lines_kept(&stage.config, &[])?;
    let text = fs::read_to_string(&stage.config)?;
    ensure!(!text.contains("second") && !text.contains("10.0.0.13"), "left over:\n{text}");
    measured("a backend and a service added and removed, comments and order kept");
    Ok(())
}

fn drain_and_weight_0_keep_open_connections(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    let target = "web/10.0.0.11";
    for (change, value, back) in [("--state", "drain", "ready"), ("--weight", "0", "1")] {
        let mut kept = stage.connection_to("b1")?;
        let mut slow = stage.connection_to("b1")?;
        slow.send("/slow/1500")?;
        let begun = Instant::now();
        stage.lb.ok(&["backend", "set", target, change, value])?;
        let flows = || stage.lb.stats()?.service("web")?.new_flows_of("10.0.0.11");
        let before = flows()?;
        let shares = judge::shares(&stage.requests(100)?);
        ensure!(shares.keys().collect::<Vec<_>>() == ["b2", "b3"], "{value}: shares {shares:?}");
        ensure!(flows()? == before, "{value}: it was given a flow");
        // What is open goes on: the answer under way, and further requests.
        ensure!(slow.receive()?.server == "b1" && begun.elapsed().as_millis() > 1000);
        ensure!(kept.get("/bytes/100000")?.body.len() == 100_000);
        let status = stage.lb.status()?;
        let backend = status.backend("10.0.0.11")?;
        ensure!(backend.effective_weight == 0 && backend.health == "up", "{backend:?}");
        let table = stage.lb.ok(&["backend", "list"])?;
        ensure!(table.contains("DRAIN"), "{table}");
        let file = fs::read_to_string(&stage.config)?;
        let line = if value == "0" { "weight = 0" } else { "state = \"drain\"" };
        ensure!(file.contains(line), "the file lacks {line:?}:\n{file}");

        stage.lb.ok(&["backend", "set", target, change, back])?;
        let again = judge::shares(&stage.requests(60)?);
        judge::check_even(&again.values().copied().collect::<Vec<_>>(), judge::possible_cpus()?)?;
        ensure!(again.len() == 3, "{back}: shares {again:?}");
        measured(format!("{change} {value}: new flows {shares:?}, open ones went on"));
    }
    Ok(())
}

fn maint_and_remove_end_them(lab: &Lab) -> Result<()> {
    // The resets leave by the interface that the client's packets came in by.
    let stage = Stage::build(lab, &Spec { tx: true, ..Default::default() })?;
    for args in [&["set", "web/10.0.0.12", "--state", "maint"][..], &["remove", "web/10.0.0.13"]] {
        let server = if args[0] == "set" { "b2" } else { "b3" };
        let mut ended = stage.connection_to(server)?;
        let mut kept = stage.connection_to("b1")?;
        let before = stage.lb.stats()?.reason("reset_backend_gone")?;
        stage.lb.ok(&[&["backend"], args].concat())?;
        let begun = Instant::now();
        let error = ended.get("/").err().context("the connection goes on")?;
        let waited = begun.elapsed();
        ensure!(format!("{error:#}").contains("reset"), "the client was told {error:#}");
        ensure!(waited.as_secs() < 2, "the client was told after {waited:?}");
        ensure!(stage.lb.stats()?.reason("reset_backend_gone")? > before, "it was not counted");
        ensure!(kept.get("/")?.server == "b1");
        let shares = judge::shares(&stage.requests(60)?);
        ensure!(!shares.contains_key(server), "shares {shares:?}");
        measured(format!("{}: an open connection was reset after {waited:?}", args.join(" ")));
    }
    let status = stage.lb.status()?;
    let backend = status.backend("10.0.0.12")?;
    ensure!(backend.state == "maint" && backend.check.is_none(), "it is probed: {backend:?}");

    stage.lb.ok(&["backend", "set", "web/10.0.0.12", "--state", "ready"])?;
    wait_until("the backend to be back", SOON, || stage.lb.status()?.all_up())?;
    let shares = judge::shares(&stage.requests(60)?);
    ensure!(shares.keys().collect::<Vec<_>>() == ["b1", "b2"], "shares {shares:?}");
    Ok(())
}

fn a_file_edited_by_hand_is_not_overwritten(lab: &Lab) -> Result<()> {
    let net = Topology::build(&TopologySpec::default())?;
    let stage = Stage::build_on(lab, net, HAND_WRITTEN, &Spec::default())?;
    let edited = HAND_WRITTEN.replace("# Nothing below", "# By hand, meanwhile. Nothing below");
    fs::write(&stage.config, &edited)?;
    let set = ["backend", "set", "web/10.0.0.12", "--weight", "7"];
    let refused = stage.lb.cli(&set)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(4), "it ended with {}", refused.status);
    ensure!(said.contains("somebody else") && said.contains("foobar-lb reload"), "{said}");
    ensure!(fs::read_to_string(&stage.config)? == edited, "the edit is lost");
    ensure!(stage.lb.status()?.config.revision == 1, "it is in force all the same");

    stage.lb.ok(&["reload"])?;
    stage.lb.ok(&set)?;
    let text = fs::read_to_string(&stage.config)?;
    ensure!(text.contains("# By hand, meanwhile.") && text.contains("weight = 7"), "{text}");
    ensure!(stage.lb.status()?.backend("10.0.0.12")?.effective_weight == 7);
    measured(said.trim().to_owned());
    Ok(())
}

fn a_first_start_needs_no_file(lab: &Lab) -> Result<()> {
    // The default place is the machine's. The lab covers it where the machine has it; elsewhere
    // nothing may be made there, so all of /etc is covered.
    if !Path::new("/etc/foobar-lb").exists() {
        mount(Some("tmpfs"), "/etc", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    }
    let file = Path::new("/etc/foobar-lb/foobar-lb.toml");
    ensure!(!file.exists(), "the lab sees the machine's configuration");
    let net = Topology::build(&TopologySpec { backends: 1, ..Default::default() })?;
    let host = &net.backends[0];
    let _server = HttpServer::start(lab, &host.ns, host.endpoint(80), "b1")?;
    let lb = FoobarLb::new(foobar_lb_binary()?, &net.balancer);
    let mut command = net.balancer.command(lb.binary());
    command.args(["run", "--iface", "eth0", "--iface", "eth1"]);
    let mut controller = Child::spawn(lab, "foobar-lb", &mut command)?;
    let status = wait_up(&lb, &mut controller)?;
    ensure!(status.services.is_empty() && !file.exists());

    lb.ok(&[
        "service",
        "add",
        "web",
        &WEB.to_string(),
        "--probe",
        "http",
        "--probe-path",
        "/healthz",
    ])?;
    lb.ok(&["backend", "add", "web/10.0.0.11"])?;
    wait_up(&lb, &mut controller)?;
    ensure!(Connection::open(&net.client, WEB)?.get("/")?.server == "b1");
    let text = fs::read_to_string(file).context("the file was not made")?;
    ensure!(text.contains(&SERVICE.to_string()) && text.contains("/healthz"), "{text}");

    // What it wrote, it reads.
    controller.kill()?;
    controller = Child::spawn(lab, "foobar-lb", &mut command)?;
    let status = wait_up(&lb, &mut controller)?;
    ensure!(status.adopted && status.services.len() == 1);

    // A file that was named has to be there.
    let named =
        lb.cli(&["run", "--iface", "eth0", "--socket", "/run/2.sock", "--config", "/run/no.toml"])?;
    let said = String::from_utf8_lossy(&named.stderr).into_owned();
    ensure!(named.status.code() == Some(1) && said.contains("no such file"), "{said}");
    measured(format!("made {} of {} lines", file.display(), text.lines().count()));
    Ok(())
}

/// Every line of [`HAND_WRITTEN`] is there still, in its order, and so is what was added.
fn expect_lines_kept(file: &Path, added: &[&str]) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines();
    for wanted in HAND_WRITTEN.lines().filter(|line| !line.is_empty()) {
        ensure!(lines.any(|line| line == wanted), "{wanted:?} is gone or elsewhere:\n{text}");
    }
    for wanted in added {
        ensure!(text.contains(wanted), "{wanted:?} is missing:\n{text}");
    }
    Ok(())
}
