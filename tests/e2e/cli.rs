//! The command line as such: exit codes, JSON, and who may use the socket.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    process::Output,
};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{Lab, proc::output_within};
use serde_json::Value;

use crate::{
    cases, measured,
    support::stage::{SOCKET, SOON, Stage},
};

cases![exit_codes_and_their_words, json_is_json, the_socket_is_roots_alone];

fn exit_codes_and_their_words(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    let file = stage.config.to_str().context("a path")?;
    let bad = lab.write("bad.toml", "[[service]]\nnme = \"web\"\n")?;
    let bad = bad.to_str().context("a path")?;
    let missing = "/run/lab/no-such-file.toml";
    let new = "203.0.113.10:8080";
    let cases: &[(i32, &[&str], &str)] = &[
        (0, &["check", file], "good: 1 service, 3 backends"),
        (0, &["status"], "config"),
        (0, &["backend", "list"], "web/10.0.0.11:80"),
        (0, &["backend", "list", "web"], "web/10.0.0.13:80"),
        (0, &["--help"], "Exit codes"),
        (0, &["--version"], "foobar-lb "),
        (1, &["check", bad], "did you mean `name`"),
        (1, &["check", missing], "no such file"),
        (2, &["nonsense"], "unrecognized subcommand"),
        (2, &["backend", "set", "web/10.0.0.11"], "--weight"),
        (2, &["backend", "set", "10.0.0.11", "--weight", "1"], "web/10.0.0.11:8080"),
        (2, &["backend", "set", "web/10.0.0.11", "--state", "off"], "ready, drain, maint"),
        (2, &["run"], "--iface"),
        (3, &["--socket", "/run/none.sock", "status"], "foobar-lb run"),
        (4, &["service", "remove", "wbe"], "web"),
        (4, &["service", "add", "web", new], "already"),
        (4, &["service", "add", "x", new, "--probe", "http", "--rise", "0"], "rise"),
        (4, &["backend", "list", "wbe"], "there are: web"),
        (4, &["backend", "add", "web/10.0.0.11"], "already"),
        (4, &["backend", "add", "web/203.0.113.10"], "itself"),
        (4, &["backend", "add", "web/10.0.0.14", "--weight", "70000"], "65535"),
        (4, &["backend", "remove", "web/10.0.0.99"], "10.0.0.99"),
        (4, &["backend", "set", "web/10.0.0.99", "--weight", "1"], "10.0.0.99"),
    ];
    let before = fs::read_to_string(&stage.config)?;
    for (code, args, words) in cases {
        let output = stage.lb.cli(args)?;
        let all = both(&output);
        let line = args.join(" ");
        ensure!(
            output.status.code() == Some(*code),
            "`{line}`: {}, not {code}: {all}",
            output.status
        );
        ensure!(all.contains(words), "`{line}` does not say {words:?}: {all}");
        // What failed says so on stderr, and leaves stdout to what is wanted.
        ensure!(
            output.stdout.is_empty() == (*code != 0),
            "`{line}`: stdout is not as it should be"
        );
    }
    ensure!(fs::read_to_string(&stage.config)? == before, "a refused change is in the file");
    ensure!(stage.lb.status()?.config.revision == 1, "a refused change is in force");
    let codes: BTreeSet<i32> = cases.iter().map(|(code, ..)| *code).collect();
    measured(format!("{} command lines, exit codes {codes:?}", cases.len()));
    Ok(())
}

fn json_is_json(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    stage.get()?;
    let file = stage.config.to_str().context("a path")?;
    let json = |args: &[&str]| -> Result<Value> {
        let text = stage.lb.ok(&[args, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{args:?} says {text}"))
    };
    let status = json(&["status"])?;
    ensure!(status["adopted"] == false && status["fault"].is_null(), "{status}");
    ensure!(status["services"][0]["name"] == "web" && status["interfaces"][1]["name"] == "eth1");
    let stats = json(&["stats"])?;
    ensure!(stats["services"][0]["new_flows"] == 1, "{}", stats["services"]);
    ensure!(stats["reasons"].as_array().is_some_and(|reasons| reasons.len() > 20), "{stats}");
    let services = json(&["service", "list"])?;
    ensure!(services[0]["address"] == "203.0.113.10" && services[0]["port"] == 80, "{services}");
    let backends = json(&["backend", "list"])?;
    ensure!(backends[2]["service"] == "web" && backends[2]["address"] == "10.0.0.13", "{backends}");
    ensure!(
        backends[2]["health"] == "up" && backends[2]["check"]["result"] == "L7OK",
        "{backends}"
    );
    ensure!(json(&["check", file])?["good"] == true);
    let set = json(&["backend", "set", "web/10.0.0.11", "--weight", "3"])?;
    ensure!(set["revision"] == 2 && set["done"].as_str().is_some(), "{set}");
    ensure!(json(&["reload"])?["revision"] == 2);

    // Errors are JSON too where they are what was asked for.
    let bad = lab.write("bad.toml", "[[service]]\nnme = \"web\"\n")?;
    let output = stage.lb.cli(&["check", bad.to_str().context("a path")?, "-o", "json"])?;
    let check: Value = serde_json::from_slice(&output.stdout).context("`check -o json`")?;
    ensure!(output.status.code() == Some(1) && check["good"] == false, "{check}");
    let errors = check["errors"].as_array().context("errors")?;
    ensure!(errors.iter().any(|error| error["line"] == 2 && error["column"] == 1), "{check}");
    ensure!(json(&["unload"])?["done"].as_str().is_some());
    measured("status, stats, service, backend, check, reload, unload parse");
    Ok(())
}

fn the_socket_is_roots_alone(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    let metadata = fs::metadata(SOCKET).context("the socket")?;
    let mode = metadata.permissions().mode() & 0o7777;
    ensure!(metadata.file_type().is_socket() && mode == 0o600, "its mode is {mode:o}");

    // Another user may run the program, but not talk to the controller.
    let copy = lab.dir().join("foobar-lb");
    fs::copy(stage.lb.binary(), &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    let nobody = |args: &[&str]| {
        let mut command = stage.net.balancer.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
        output_within(command.arg("--").arg(&copy).args(args), SOON)
    };
    let version = nobody(&["--version"])?;
    ensure!(version.status.success(), "another user cannot even run it: {}", both(&version));
    for args in
        [&["status"][..], &["unload"], &["backend", "set", "web/10.0.0.11", "--weight", "0"]]
    {
        let output = nobody(args)?;
        let said = both(&output);
        ensure!(!output.status.success(), "another user may {args:?}: {said}");
        ensure!(said.contains("root"), "{args:?}: {said}");
    }
    let run = nobody(&["--socket", "/tmp/none.sock", "run", "--iface", "eth0"])?;
    ensure!(run.status.code() == Some(1), "another user may run it: {}", both(&run));
    ensure!(stage.lb.status()?.config.revision == 1);
    stage.get()?;
    measured(format!("mode {mode:o}; as another user: {}", both(&nobody(&["status"])?).trim()));
    Ok(())
}

fn both(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(stdout).into_owned() + &String::from_utf8_lossy(stderr)
}
