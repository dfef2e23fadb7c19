//! What a person sees after each of the typical mistakes. The snapshots are in `../snapshots`.

use crate::config::parse;

const SERVICE: &str = "[[service]]\nname = \"web\"\naddress = \"203.0.113.10\"\nport = 80\n";

#[track_caller]
fn errors(text: &str) -> crate::config::ConfigErrors {
    parse(text, "lb.toml").expect_err("the text has a mistake")
}

/// Compares what is shown with the snapshot of this name.
#[track_caller]
fn shows(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, errors(text).to_string()));
}

#[test]
fn unknown_keys() {
    shows("mistyped_key", "[[service]]\nname = \"web\"\nadress = \"203.0.113.10\"\nport = 80\n");
    shows("key_of_another_tool", &format!("{SERVICE}vip = \"1\"\nhealthcheck = true\n"));
    shows(
        "key_below_the_wrong_header",
        &format!("{SERVICE}[service.probe]\nkind = \"tcp\"\nscheduler = \"round-robin\"\n"),
    );
    shows("key_out_of_nowhere", &format!("{SERVICE}colour = \"blue\"\n"));
    shows("section_at_the_top", &format!("{SERVICE}[[backend]]\naddress = \"10.0.0.11\"\n"));
}

#[test]
fn values() {
    shows("ipv6", "[[service]]\nname = \"web\"\naddress = \"2001:db8::1\"\nport = 80\n");
    shows(
        "not_an_address",
        &format!(
            "{SERVICE}backend = [\n  {{ address = \"10.0.0.300\" }},\n  \
             {{ address = \"10.0.0.1:8080\" }},\n  {{ address = \"www1\" }},\n  \
             {{ address = \"10.0.0.0/24\" }},\n  {{ address = \"127.0.0.1\" }},\n  \
             {{ address = \"224.0.0.1\" }},\n]\n"
        ),
    );
    shows(
        "out_of_range",
        "[[service]]\nname = \"web\"\naddress = \"203.0.113.10\"\nport = 80800\n\
         [[service.backend]]\naddress = \"10.0.0.11\"\nweight = -1\n",
    );
    shows(
        "wrong_type",
        "[global]\nmanage_sysctls = \"true\"\n[[service]]\nname = 7\n\
         address = \"203.0.113.10\"\nport = \"80\"\n",
    );
    shows(
        "unknown_word",
        &format!(
            "{SERVICE}protocol = \"TCP\"\nscheduler = \"maglev\"\nforward = \"masq\"\n\
             [[service.backend]]\naddress = \"10.0.0.11\"\nstate = \"drian\"\n"
        ),
    );
    shows("name", "[[service]]\nname = \"my web\"\naddress = \"203.0.113.10\"\nport = 80\n");
    shows("missing_keys", "[[service]]\n[[service.backend]]\n");
}

#[test]
fn probes() {
    shows("tcp_probe_with_a_path", &format!("{SERVICE}probe = {{ kind = \"tcp\", path = \"/\" }}"));
    shows(
        "udp_probe_without_a_port",
        &format!("{SERVICE}protocol = \"udp\"\n[service.probe]\nkind = \"tcp\"\n"),
    );
    shows(
        "probe_values",
        &format!(
            "{SERVICE}[service.probe]\nkind = \"https\"\npath = \"healthz\"\n\
             host = \"a b\"\nexpect = \"399-200\"\ninterval_ms = 1\n"
        ),
    );
}

#[test]
fn clashes() {
    shows("same_name", &format!("{SERVICE}\n{}", SERVICE.replace("80", "81")));
    shows("same_endpoint", &format!("{SERVICE}\n{}", SERVICE.replace("web", "shop")));
    shows(
        "same_backend",
        &format!(
            "{SERVICE}[[service.backend]]\naddress = \"10.0.0.11\"\n\n\
             [[service.backend]]\naddress = \"10.0.0.11\"\nport = 80\n"
        ),
    );
    shows(
        "backend_is_the_service",
        &format!("{SERVICE}[[service.backend]]\naddress = \"203.0.113.10\"\n"),
    );
    shows(
        "over_the_limits",
        &format!(
            "[limits]\nservices = 1\n{SERVICE}\n[[service]]\nname = \"b\"\naddress = \"203.0.113.11\"\nport = 80\n"
        ),
    );
}

#[test]
fn not_toml() {
    shows("no_quotes", "[[service]]\nname = web\naddress = 203.0.113.10\nport = 80\n");
    shows("open_quote", "[[service]]\nname = \"web\naddress = \"203.0.113.10\"\nport = 80\n");
    shows("open_header", "[[service]\nname = \"web\"\n");
    shows("no_equals_sign", "[[service]]\nname \"web\"\n");
    shows("key_twice", &format!("{SERVICE}port = 81\nprotcol = \"tcp\"\n"));
    shows("single_brackets", "[service]\nname = \"a\"\n\n[service]\nname = \"b\"\n");
    shows("one_service_in_single_brackets", &SERVICE.replace("[[service]]", "[service]"));
    shows("open_array", &format!("{SERVICE}backend = [\n  {{ address = \"10.0.0.11\" }}\n"));
}

#[test]
fn one_line_for_logs() {
    let text = format!("{SERVICE}colour = \"blue\"\nport2 = 1\n");
    assert_eq!(
        errors(&text).summary(),
        "lb.toml:5:1: there is no key `colour` in [[service]] (the keys are `name`, `address`, `port`, \
         `protocol`, `scheduler`, `forward`, `probe` and `backend`); and 1 more error"
    );
    let json = serde_json::to_value(&errors(&text).errors[0]).unwrap();
    assert_eq!((&json["line"], &json["column"]), (&5.into(), &1.into()));
}

#[test]
fn columns_count_characters() {
    let text = "service = [{ name = \"ümläut\", adress = \"x\" }]";
    let errors = errors(text).errors;
    assert_eq!((errors[0].line, errors[0].column), (1, 12), "the port is missing");
    assert_eq!((errors[1].line, errors[1].column), (1, 21));
    assert_eq!((errors[2].line, errors[2].column), (1, 31));
}

#[test]
fn dos_line_ends_are_not_shown() {
    let text = format!("{SERVICE}colour = 1\n").replace('\n', "\r\n");
    let unix = errors(&text.replace('\r', "")).to_string();
    assert_eq!(errors(&text).to_string(), unix);
}

#[test]
fn many_errors_are_counted() {
    let text: String = (0..50).map(|n| format!("key{n} = 1\n")).collect();
    let shown = errors(&text).to_string();
    assert_eq!(shown.matches("error: there is no key").count(), 20);
    assert!(shown.ends_with("and 30 more\n\nlb.toml: 50 errors"), "{shown}");
}

#[test]
fn colour_only_if_asked_for() {
    let errors = errors("x = 1");
    assert!(!errors.render(false).contains('\u{1b}'));
    assert!(errors.render(true).contains('\u{1b}'));
}

#[test]
fn text_from_the_file_cannot_steer_a_terminal() {
    let text = SERVICE.replace("web", "a\\u001b[2Jb") + "\"\\u001b[2J\" = 1\n";
    let errors = errors(&text);
    assert!(!errors.to_string().contains('\u{1b}'));
    assert!(!errors.summary().contains('\u{1b}'));
}
