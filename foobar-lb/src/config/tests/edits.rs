//! Edits: exactly the lines that a person would have changed.

use std::time::Duration;

use super::FULL;
use crate::{
    config::edit::{Edit, EditError, apply},
    model::{AdminState, ForwardMode, Probe, ProbeKind, Protocol, Scheduler},
};

fn add_service(name: &str, endpoint: &str) -> Edit {
    Edit::AddService {
        name: name.into(),
        protocol: Protocol::Tcp,
        endpoint: endpoint.parse().unwrap(),
        scheduler: Scheduler::RoundRobin,
        forward: ForwardMode::Nat,
        probe: None,
    }
}

fn add_backend(service: &str, endpoint: &str) -> Edit {
    let (endpoint, weight, state) = (endpoint.parse().unwrap(), 1, AdminState::Ready);
    Edit::AddBackend { service: service.into(), endpoint, weight, state }
}

fn remove_backend(service: &str, endpoint: &str) -> Edit {
    Edit::RemoveBackend { service: service.into(), endpoint: endpoint.parse().unwrap() }
}

fn set(service: &str, endpoint: &str, weight: Option<u32>, state: Option<AdminState>) -> Edit {
    Edit::SetBackend { service: service.into(), endpoint: endpoint.parse().unwrap(), weight, state }
}

/// Replaces one part of a text that is there exactly once.
#[track_caller]
fn with(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old:?}");
    text.replace(old, new)
}

#[track_caller]
fn check(text: &str, edit: Edit, expected: &str) {
    let mut cases = vec![(text.to_owned(), expected.to_owned())];
    if text.contains('\n') {
        cases.push((text.replace('\n', "\r\n"), expected.replace('\n', "\r\n")));
    }
    for (text, expected) in cases {
        match apply(&text, &edit) {
            Ok(new) => assert!(new == expected, "--- got\n{new}\n--- expected\n{expected}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn set_replaces_a_value_and_keeps_its_comment() {
    let text = with(FULL, "weight = 3\n", "weight = 3 # for now\n");
    let expected = with(&text, "weight = 3 # for now", "weight = 0 # for now");
    let expected = with(&expected, "state = \"drain\"", "state = \"maint\"");
    check(&text, set("web", "10.0.0.11:8080", Some(0), Some(AdminState::Maint)), &expected);
}

#[test]
fn set_adds_what_is_not_there() {
    let old = "address = \"10.0.0.12\"\n";
    let expected = with(FULL, old, &format!("{old}weight = 5\nstate = \"drain\"\n"));
    check(FULL, set("web", "10.0.0.12:80", Some(5), Some(AdminState::Drain)), &expected);

    let old = "{ address = \"10.0.0.21\" }";
    let expected = with(FULL, old, "{ address = \"10.0.0.21\", weight = 5 }");
    check(FULL, set("dns", "10.0.0.21:53", Some(5), None), &expected);
}

#[test]
fn set_to_what_it_is_changes_nothing() {
    check(FULL, set("web", "10.0.0.12:80", Some(1), Some(AdminState::Ready)), FULL);
    check(FULL, set("web", "10.0.0.12:80", None, None), FULL);
}

#[test]
fn a_backend_is_added_after_the_last_one() {
    let old = "address = \"10.0.0.12\"\n";
    let new = format!("{old}\n[[service.backend]]\naddress = \"10.0.0.13\"\nport = 8080\n");
    check(FULL, add_backend("web", "10.0.0.13:8080"), &with(FULL, old, &new));

    let old = "    { address = \"10.0.0.22\", state = \"maint\" }, # south\n";
    let new = format!("{old}    {{ address = \"10.0.0.23\" }},\n");
    check(FULL, add_backend("dns", "10.0.0.23:53"), &with(FULL, old, &new));
}

#[test]
fn a_backend_is_written_in_the_style_of_its_sibling() {
    let text = "[[service]]\nname = \"a\"\naddress = \"192.0.2.1\"\nport = 80\n\
                  [[service.backend]]\n    address = \"10.0.0.1\"\n  [[service.backend]]\n    \
                  address = \"10.0.0.2\"\n    # weight = 5\n\n# the end";
    let old = "    # weight = 5\n";
    let new = format!("{old}  [[service.backend]]\n    address = \"10.0.0.3\"\n");
    check(text, add_backend("a", "10.0.0.3:80"), &with(text, old, &new));
}

#[test]
fn the_first_backend() {
    let text = "[[service]]\nname = \"a\"\naddress = \"192.0.2.1\"\nport = 80";
    let expected = format!("{text}\n\n[[service.backend]]\naddress = \"10.0.0.1\"\n");
    check(text, add_backend("a", "10.0.0.1:80"), &expected);

    let inline = "service = [{ name = \"a\", address = \"192.0.2.1\", port = 80 }]\n";
    let expected = with(inline, " }]", ", backend = [{ address = \"10.0.0.1\" }] }]");
    check(inline, add_backend("a", "10.0.0.1:80"), &expected);

    let empty = with(inline, " }]", ", backend = [] }]");
    check(&empty, add_backend("a", "10.0.0.1:80"), &expected);
}

#[test]
fn a_service_is_added_at_the_end() {
    let new = "[[service]]\nname = \"b\"\naddress = \"192.0.2.2\"\nport = 443\n";
    let edit = || add_service("b", "192.0.2.2:443");
    check("", edit(), new);
    check("# mine\n", edit(), &format!("# mine\n\n{new}"));
    check(FULL, edit(), &format!("{FULL}\n{new}"));
    check(
        "service = []\n",
        edit(),
        "service = [{ name = \"b\", address = \"192.0.2.2\", port = 443 }]\n",
    );
}

#[test]
fn only_what_differs_from_the_defaults_is_written() {
    let mut probe = Probe {
        kind: ProbeKind::Http { path: "/".into(), host: None, expect: (200, 399) },
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 3,
        port: None,
    };
    let service = |probe: &Probe| match add_service("b", "192.0.2.2:443") {
        Edit::AddService { name, protocol, endpoint, scheduler, forward, .. } => {
            let probe = Some(probe.clone());
            Edit::AddService { name, protocol, endpoint, scheduler, forward, probe }
        }
        other => other,
    };
    let start =
        "[[service]]\nname = \"b\"\naddress = \"192.0.2.2\"\nport = 443\n\n[service.probe]\n";
    check("", service(&probe), &format!("{start}kind = \"http\"\n"));
    probe.kind = ProbeKind::Http { path: "/x".into(), host: Some("h".into()), expect: (204, 204) };
    probe.fall = 9;
    probe.port = Some(81);
    let keys =
        "kind = \"http\"\npath = \"/x\"\nhost = \"h\"\nexpect = \"204\"\nfall = 9\nport = 81\n";
    check("", service(&probe), &format!("{start}{keys}"));
}

#[test]
fn a_backend_is_removed_with_its_lines() {
    let old = "[[service.backend]]     # old hardware\naddress = \"10.0.0.11\"\nport = 8080\n\
               weight = 3\nstate = \"drain\"\n\n";
    check(FULL, remove_backend("web", "10.0.0.11:8080"), &with(FULL, old, ""));
    let old = "    { address = \"10.0.0.21\" }, # north\n";
    check(FULL, remove_backend("dns", "10.0.0.21:53"), &with(FULL, old, ""));
    let old = "    { address = \"10.0.0.22\", state = \"maint\" }, # south\n";
    check(FULL, remove_backend("dns", "10.0.0.22:53"), &with(FULL, old, ""));
}

#[test]
fn elements_of_one_line_are_removed_with_their_comma() {
    let text = |list: &str| {
        format!(
            "service = [{{ name = \"a\", address = \"192.0.2.1\", port = 1, backend = [{list}] }}]"
        )
    };
    let (a, b) = ("{ address = \"10.0.0.1\" }", "{ address = \"10.0.0.2\" }");
    let both = text(&format!("{a}, {b}"));
    check(&both, remove_backend("a", "10.0.0.1:1"), &text(b));
    check(&both, remove_backend("a", "10.0.0.2:1"), &text(a));
    check(&text(a), remove_backend("a", "10.0.0.1:1"), &text(""));
    check(&text(&format!("{a} ,")), remove_backend("a", "10.0.0.1:1"), &text(""));
    check(&text(a), add_backend("a", "10.0.0.2:1"), &both);
    check(&both, Edit::RemoveService { name: "a".into() }, "service = []");
}

#[test]
fn comments_above_what_is_removed_stay_and_stand_alone() {
    let text = "[[service]]\nname = \"a\"\naddress = \"192.0.2.1\"\nport = 80\n\n\
                # The old ones.\n[[service.backend]]\naddress = \"10.0.0.1\"\n\
                [[service.backend]]\naddress = \"10.0.0.2\"\n";
    let old = "[[service.backend]]\naddress = \"10.0.0.1\"\n[[";
    check(text, remove_backend("a", "10.0.0.1:80"), &with(text, old, "\n[["));
    let expected = "[[service]]\nname = \"a\"\naddress = \"192.0.2.1\"\nport = 80\n\n\
                # The old ones.\n[[service.backend]]\naddress = \"10.0.0.1\"\n";
    check(text, remove_backend("a", "10.0.0.2:80"), expected);
}

#[test]
fn a_service_is_removed_with_everything_below_it() {
    let start = FULL.find("[[service]]\nname = \"web\"").unwrap();
    let end = FULL.find("[[service]]\nname = \"dns\"").unwrap();
    // "# Shop and blog." stays, and must not seem to be about dns.
    let expected = format!("{}\n{}", &FULL[..start], &FULL[end..]);
    check(FULL, Edit::RemoveService { name: "web".into() }, &expected);
    let expected = FULL[..end].trim_end().to_owned() + "\n";
    check(FULL, Edit::RemoveService { name: "dns".into() }, &expected);
}

#[test]
fn other_tables_between_those_of_a_service_stay() {
    let text = "[[service]]\nname = \"a\"\naddress = \"192.0.2.1\"\nport = 80\n\n\
                [limits]\nflows = 128\n\n[[service.backend]]\naddress = \"10.0.0.1\"\n";
    check(text, Edit::RemoveService { name: "a".into() }, "[limits]\nflows = 128\n");
}

#[test]
fn what_is_not_there_or_there_already() {
    let fails = |edit: Edit| apply(FULL, &edit).unwrap_err().to_string();
    assert_eq!(
        fails(Edit::RemoveService { name: "wbe".into() }),
        "there is no service `wbe`; did you mean `web`?"
    );
    assert_eq!(
        fails(add_backend("mail", "10.0.0.1:1")),
        "there is no service `mail`; the services: `web` and `dns`"
    );
    assert_eq!(
        fails(remove_backend("web", "10.0.0.12:8080")),
        "the service `web` has no backend 10.0.0.12:8080; its backends: `10.0.0.11:8080` \
         and `10.0.0.12:80`"
    );
    assert_eq!(
        fails(add_service("web", "192.0.2.7:1")),
        "there is already a service `web`; choose another name, or remove that one first"
    );
    assert_eq!(
        fails(add_backend("web", "10.0.0.12:80")),
        "the service `web` has the backend 10.0.0.12:80 already; change it with `foobar-lb \
         backend set`"
    );
}

#[test]
fn a_result_that_would_be_wrong_is_refused_with_the_reason() {
    let fails = |edit: Edit| apply(FULL, &edit).unwrap_err().to_string();
    assert_eq!(
        fails(add_service("shop", "203.0.113.10:80")),
        "the change is not possible: another service has tcp 203.0.113.10:80 already (change \
         the address, the port or the protocol of one of them)"
    );
    assert_eq!(
        fails(add_service("my shop", "203.0.113.11:80")),
        "the change is not possible: ' ' cannot be part of a name (a name has letters (a to z, \
         A to Z), digits, `-`, `_` and `.`)"
    );
    assert_eq!(
        fails(add_backend("web", "127.0.0.1:80")),
        "the change is not possible: 127.0.0.1 is a loopback address: packets for it never \
         reach a network (use a unicast IPv4 address)"
    );
    assert_eq!(
        fails(set("web", "10.0.0.12:80", Some(70_000), None)),
        "the change is not possible: 70000 is out of range for `weight` (write a number from 0 \
         to 65535)"
    );
}

#[test]
fn a_broken_file_is_not_edited() {
    let error = apply("x = 1\n", &add_service("a", "192.0.2.1:1")).unwrap_err();
    assert!(matches!(error, EditError::Broken(_)));
    assert!(error.to_string().starts_with("the configuration has errors already"), "{error}");
}

#[test]
fn what_cannot_be_edited_safely_is_refused() {
    let text = "[[service]]\nname = \"a\"\naddress = \"192.0.2.1\"\nport = 1\n\
                backend = [{ address = \"10.0.0.1\" }, # one\n { address = \"10.0.0.2\" }]\n";
    let error = apply(text, &remove_backend("a", "10.0.0.1:1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file is written in a way that cannot be edited safely; make the change by hand \
         (remove the backend a/10.0.0.1:1), then reload"
    );
}
