//! For any file and any edit: the new text means the old model with the edit made, and no comment
//! of what is left is lost. For any text at all: an answer, never a panic.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::FULL;
use crate::{
    config::{
        edit::{Edit, EditError, apply, change},
        parse,
    },
    model::{AdminState, Endpoint, ForwardMode, Probe, ProbeKind, Protocol, Scheduler},
};

/// Names and endpoints from small sets, so that edits meet what is there.
fn name() -> impl Strategy<Value = String> {
    select(vec!["web", "dns", "mail", "a.b-c_d"]).prop_map(str::to_owned)
}

fn endpoint(network: u8) -> impl Strategy<Value = Endpoint> {
    (1u8..6, select(vec![53u16, 80, 8080]))
        .prop_map(move |(host, port)| Endpoint { address: [192, 0, network, host].into(), port })
}

fn state() -> impl Strategy<Value = AdminState> {
    select(vec![AdminState::Ready, AdminState::Drain, AdminState::Maint])
}

fn probe() -> impl Strategy<Value = Probe> {
    let status = || select(vec![200u16, 204, 302, 399, 404]);
    let http = (
        "/[a-zA-Z0-9/?%&=~!$'()*+,;:@._-]{0,12}",
        option::of("[a-z.]{1,9}(:80)?"),
        status(),
        status(),
    )
        .prop_map(|(path, host, a, b)| ProbeKind::Http {
            path,
            host,
            expect: (a.min(b), a.max(b)),
        });
    let kind = prop_oneof![Just(ProbeKind::Tcp), http];
    let millis = select(vec![10u64, 1000, 2000, 60_000]).prop_map(Duration::from_millis);
    (kind, millis.clone(), millis, 1u32..256, 1u32..4, option::of(1u16..)).prop_map(
        |(kind, interval, timeout, rise, fall, port)| Probe {
            kind,
            interval,
            timeout,
            rise,
            fall,
            port,
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Udp]);
    let weight = || select(vec![0u32, 1, 7, 65_535]);
    prop_oneof![
        2 => (name(), protocol, endpoint(2), option::of(probe())).prop_map(
            |(name, protocol, endpoint, probe)| Edit::AddService {
                name,
                protocol,
                endpoint,
                scheduler: Scheduler::RoundRobin,
                forward: ForwardMode::Nat,
                probe,
            }
        ),
        1 => name().prop_map(|name| Edit::RemoveService { name }),
        4 => (name(), endpoint(0), weight(), state()).prop_map(
            |(service, endpoint, weight, state)| Edit::AddBackend { service, endpoint, weight, state }
        ),
        2 => (name(), endpoint(0))
            .prop_map(|(service, endpoint)| Edit::RemoveBackend { service, endpoint }),
        3 => (name(), endpoint(0), option::of(weight()), option::of(state())).prop_map(
            |(service, endpoint, weight, state)| Edit::SetBackend { service, endpoint, weight, state }
        ),
    ]
}

/// A file as a person writes it: choices between equal ways of writing, drawn from `dice`.
fn written(dice: &[u8]) -> String {
    let mut dice = dice.iter().copied().cycle();
    let mut roll = |sides: u8| dice.next().unwrap_or(0) % sides;
    let mut text = String::new();
    let mut comment = 0;
    let mut note = |lead: &str| {
        comment += 1;
        format!("{lead}# note {comment}.")
    };
    if roll(2) == 0 {
        text += &(note("") + "\n\n");
    }
    if roll(3) == 0 {
        text += &format!("[limits]{}\nflows = 4096\n\n", note(" "));
    }
    for (n, name) in ["web", "dns"].iter().take(usize::from(roll(3))).enumerate() {
        if roll(2) == 0 {
            text += &(note("") + "\n");
        }
        text += "[[service]]\n";
        text += &format!("name = \"{name}\"{}\n", note("  "));
        text += &format!("address = '192.0.2.{}'\nport = 80\n", n + 1);
        let backends = usize::from(roll(4));
        match roll(3) {
            0 => {
                let tail = if roll(2) == 0 { "," } else { "" };
                let list: Vec<String> =
                    (1..=backends).map(|n| format!("{{ address = '192.0.0.{n}' }}")).collect();
                let tail = if backends > 0 { tail } else { "" };
                text += &format!("backend = [{}{tail}]{}\n", list.join(", "), note(" "));
            }
            1 => {
                text += "backend = [\n";
                for n in 1..=backends {
                    let comma = if n < backends || roll(2) == 0 { "," } else { "" };
                    let element = format!("  {{ address = '192.0.0.{n}', weight = {n} }}{comma}");
                    text += &format!("{element}{}\n", note(" "));
                }
                text += "]\n";
            }
            _ => {
                for n in 1..=backends {
                    text += ["", "\n", "\n\n"][usize::from(roll(3))];
                    if roll(2) == 0 {
                        text += &(note("  ") + "\n");
                    }
                    let indent = ["", "  "][usize::from(roll(2))];
                    text += &format!("{indent}[[service.backend]]\n");
                    text += &format!("{indent}address = '192.0.0.{n}'{}\n", note(" "));
                    if roll(2) == 0 {
                        text += &format!("{indent}state = 'drain'\n");
                    }
                }
            }
        }
        text += "\n";
    }
    match roll(4) {
        0 => text.truncate(text.trim_end().len()),
        1 => text += &note(""),
        _ => {}
    }
    if roll(3) == 0 { text.replace('\n', "\r\n") } else { text }
}

/// The comments of a text, by their numbers.
fn comments(text: &str) -> Vec<&str> {
    text.match_indices("# note ")
        .map(|(at, _)| text[at..].split_inclusive('.').next().unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_text_means_what_the_model_says(dice in vec(any::<u8>(), 64), edits in vec(edit(), 1..8)) {
        let mut text = written(&dice);
        let mut model = parse(&text, "x").unwrap_or_else(|e| panic!("{e}\n{text}"));
        for edit in edits {
            let mut wanted = model.clone();
            let possible = change(&mut wanted, &edit);
            match apply(&text, &edit) {
                Ok(new) => {
                    prop_assert_eq!(&possible, &Ok(()));
                    let read = parse(&new, "x").unwrap_or_else(|e| panic!("{e}\n{new}"));
                    prop_assert_eq!(&read, &wanted, "{}", new);
                    let lost = comments(&text).len() - comments(&new).len();
                    match edit {
                        Edit::RemoveService { .. } => {}
                        Edit::RemoveBackend { .. } => prop_assert!(lost <= 1, "{}\n->\n{}", text, new),
                        _ => prop_assert_eq!(comments(&text), comments(&new)),
                    }
                    let crlf = text.contains("\r\n");
                    if crlf {
                        prop_assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
                    }
                    (text, model) = (new, wanted);
                }
                Err(EditError::Refused(_)) => prop_assert!(possible.is_ok()),
                Err(error @ EditError::Unsupported { .. }) => panic!("{error}\n{text}"),
                Err(error) => prop_assert_eq!(possible, Err(error)),
            }
        }
    }

    #[test]
    fn any_text_gets_an_answer(text in "(\\PC|[\\[\\]{}=.,#'\"\n\r\t ]){0,60}") {
        if let Err(errors) = parse(&text, "x") {
            prop_assert!(!errors.errors.is_empty());
            let _ = (errors.render(true), errors.render(false), errors.summary());
        }
    }

    #[test]
    fn any_damage_to_a_file_gets_an_answer(
        at in 0..FULL.len(), length in 0usize..40, new in "[\\[\\]{}=.,#'\"\na1é\u{0}-]{0,6}",
    ) {
        let end = FULL.floor_char_boundary((at + length).min(FULL.len()));
        let at = FULL.floor_char_boundary(at).min(end);
        let text = [&FULL[..at], &new, &FULL[end..]].concat();
        if let Err(errors) = parse(&text, "x") {
            prop_assert!(!errors.errors.is_empty());
            let _ = (errors.render(true), errors.render(false), errors.summary());
        } else {
            let edit = Edit::RemoveService { name: "web".into() };
            let _ = apply(&text, &edit);
        }
    }
}
