use super::*;
use crate::config::{LogFormat, MasterKeySource, NewPortals};

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn file(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scopegate.yaml"), text).unwrap();
        Self { folder }
    }

    fn load(&self, overrides: Overrides, environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        let path = self.folder.path().join("scopegate.yaml");
        load_with(Some(&path), &overrides, &Environment::of(environment))
    }
}

fn loaded(text: &str) -> Loaded {
    Case::file(text).load(Overrides::default(), &[]).unwrap()
}

fn mistakes(text: &str) -> Vec<(Option<(usize, usize)>, String)> {
    let errors = Case::file(text).load(Overrides::default(), &[]).unwrap_err();
    let listed = errors.mistakes().iter();
    listed
        .map(|mistake| (errors.line_and_column(mistake), mistake.message.clone()))
        .collect()
}

fn setting<'a>(loaded: &'a Loaded, name: &str) -> &'a Effective {
    loaded
        .settings
        .iter()
        .find(|setting| setting.name == name)
        .unwrap()
}

/// The sample of the contract, with what is not supported yet left out.
const SAMPLE: &str = "\
listen: 127.0.0.1:8080
tls: { cert: gate.pem, key: gate.key, client_ca: clients.pem }
admin:   { listen: 127.0.0.1:9465 }
monitor: { listen: null }
install: { listen: null, public_url: https://connect.example.com }
upstream: { url: https://api.hubapi.com, ca: null, allow_private: false, compression: false }
public_url: http://127.0.0.1:8080
policies: policies/
catalogue: { extra: null, versions: [] }
store: sqlite:data/scopegate.db
master_key: { file: data/master.key }
audit: { dir: data/audit }
instance: null
workers: 0
apps:
  marketing: { redirect_uri: https://connect.example.com/callback, new_portals: refuse }
shutdown: { delay: 5s, grace: 25s }
";

#[test]
fn the_sample_of_the_contract_loads_and_paths_are_relative_to_the_file() {
    let case = Case::file(SAMPLE);
    let loaded = case.load(Overrides::default(), &[]).unwrap();
    let folder = case.folder.path();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(loaded.config.store, folder.join("data/scopegate.db"));
    assert_eq!(loaded.config.policies, folder.join("policies/"));
    let tls = loaded.config.tls.unwrap();
    assert_eq!(tls.cert, folder.join("gate.pem"));
    assert_eq!(tls.client_ca, Some(folder.join("clients.pem")));
    assert!(loaded.config.workers >= 1);
}

#[test]
fn an_empty_file_means_the_defaults_and_each_printed_default_is_the_one_in_force() {
    let case = Case::file("# nothing yet\n");
    let loaded = case.load(Overrides::default(), &[]).unwrap();
    assert!(
        loaded
            .settings
            .iter()
            .all(|setting| setting.origin == Origin::Default)
    );
    let defaults = Config::in_folder(case.folder.path());
    assert_eq!(format!("{:?}", loaded.config), format!("{defaults:?}"));
    let mut applied = Config::in_folder(case.folder.path());
    for setting in SETTINGS {
        let value = Value::from_text(setting.default);
        (setting.apply)(&mut applied, &value, case.folder.path())
            .unwrap_or_else(|error| panic!("{}: {error}", setting.name));
    }
    assert_eq!(format!("{applied:?}"), format!("{defaults:?}"));
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let case = Case::file("listen: 127.0.0.1:1\nworkers: 2\nshutdown:\n  grace: 9s\n");
    let environment = [("SCOPEGATE_LISTEN", "127.0.0.1:2"), ("SCOPEGATE_WORKERS", "3")];
    let overrides = Overrides::default().set("listen", "127.0.0.1:3");
    let loaded = case.load(overrides, &environment).unwrap();
    assert_eq!(loaded.config.listen.port(), 3);
    assert_eq!(loaded.config.workers, 3);
    assert_eq!(loaded.config.shutdown.grace.as_secs(), 9);
    assert_eq!(loaded.config.shutdown.delay.as_secs(), 5);
    assert_eq!(setting(&loaded, "listen").origin, Origin::Flag);
    assert_eq!(
        setting(&loaded, "workers").origin,
        Origin::Environment("SCOPEGATE_WORKERS".to_owned())
    );
    assert_eq!(
        setting(&loaded, "shutdown.grace").origin,
        Origin::File { line: 4 }
    );
    assert_eq!(setting(&loaded, "shutdown.delay").origin, Origin::Default);
}

#[test]
fn every_mistake_is_reported_at_once_with_line_column_and_the_nearest_name() {
    let text = "\
lisen: 127.0.0.1:8080
upstream:
  url: api.hubapi.com
  alow_private: true
shutdown: { grace: 25 }
workers: many
";
    assert_eq!(
        mistakes(text),
        [
            (Some((1, 1)), "`lisen` is no setting".to_owned()),
            (
                Some((3, 8)),
                "`upstream.url`: an origin is needed here, as `https://host` or `http://host:port`"
                    .to_owned()
            ),
            (Some((4, 3)), "`upstream.alow_private` is no setting".to_owned()),
            (
                Some((5, 20)),
                "`shutdown.grace`: a duration is needed here, as `500ms`, `5s`, `10m` or `2h`".to_owned()
            ),
            (
                Some((6, 10)),
                "`workers`: a whole number from 0 to 1024 is needed here".to_owned()
            ),
        ]
    );
    let errors = Case::file(text).load(Overrides::default(), &[]).unwrap_err();
    let rendered = errors.render(false);
    for part in [
        "did you mean `listen`?",
        "did you mean `allow_private`?",
        "scopegate.yaml:4:3",
    ] {
        assert!(rendered.contains(part), "{part} in\n{rendered}");
    }
}

#[test]
fn what_does_not_exist_yet_is_an_error_and_its_off_value_is_not() {
    let mistakes = mistakes("store: postgres://user@host/db");
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    let (place, message) = &mistakes[0];
    assert!(
        message.contains("not supported yet") && message.contains("PostgreSQL"),
        "{message}"
    );
    assert!(place.is_some());
    loaded("install: { listen: null }\napps: null\nadmin: { tls: null }\n");
}

#[test]
fn settings_that_do_not_fit_together_are_mistakes() {
    for (text, word) in [
        ("tls: { cert: a.pem }", "`tls.key`"),
        ("tls: { client_ca: a.pem }", "`tls.cert`"),
        ("admin: { tls: { cert: a.pem } }", "`admin.tls.key`"),
        ("admin: { tls: { client_ca: a.pem } }", "`admin.tls.cert`"),
        ("admin: { tls: x }", "must be a mapping"),
        ("admin: { listen: 0.0.0.0:9465 }", "needs `admin.tls`"),
        ("admin: { listen: 192.0.2.1:0 }", "needs `admin.tls`"),
        ("admin: { listen: '[::]:9465' }", "needs `admin.tls`"),
        ("admin: { hosts: ['gate:9465'] }", "without a port"),
        ("admin: { hosts: ['*'] }", "without a port"),
        ("admin: { origins: ['null'] }", "`admin.origins`"),
        ("admin: { origins: ['https://x/y'] }", "`admin.origins`"),
        (
            "listen: 127.0.0.1:9465",
            "`listen` and `admin.listen` are the same address",
        ),
        (
            "listen: 0.0.0.0:9000\nmonitor: { listen: 127.0.0.1:9000 }",
            "same address",
        ),
        ("master_key: { file: a, env: B }", "both name the master key"),
        (
            "limits: { judged_total_size: 4MiB }",
            "`limits.judged_total_size`",
        ),
        ("audit: { durable: sometimes }", "one of `writes`, `all`"),
        ("catalogue: { versions: [../x] }", "version segments"),
        ("instance: ../x", "a name is needed"),
        ("listen: [a, b]", "not a list"),
        ("listen: { a: b }", "one value"),
        ("upstream: https://x", "must be a mapping"),
        ("- a", "must be a mapping"),
        ("limits: { connections: 0 }", "whole number"),
        ("store: sqlite://", "`sqlite:data/scopegate.db`"),
    ] {
        let mistakes = mistakes(text);
        assert!(
            mistakes.iter().any(|(_, message)| message.contains(word)),
            "{text}: {mistakes:?}"
        );
    }
    loaded("listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }");
    loaded("admin: { listen: '[::1]:9465' }");
    let elsewhere =
        "admin: { listen: 0.0.0.0:9465, tls: { cert: a, key: b } }\nmonitor: { listen: 127.0.0.1:9466 }";
    loaded(elsewhere);
}

#[test]
fn the_strongest_layer_names_the_master_key_alone() {
    let case = Case::file("master_key: { command: [/usr/bin/kms, --token, canary] }");
    let from_file = case.load(Overrides::default(), &[]).unwrap();
    assert!(matches!(&from_file.config.master_key, MasterKeySource::Command(words) if words.len() == 3));
    assert_eq!(
        setting(&from_file, "master_key.command").value,
        "[/usr/bin/kms, \"***\", \"***\"]"
    );
    let environment = [("SCOPEGATE_MASTER_KEY_ENV", "THE_KEY")];
    let from_environment = case.load(Overrides::default(), &environment).unwrap();
    assert_eq!(
        from_environment.config.master_key,
        MasterKeySource::Env("THE_KEY".to_owned())
    );
}

#[test]
fn a_secret_bearing_value_may_stand_in_a_file_that_others_cannot_read() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::file("");
    let path = case.folder.path().join("store-url");
    std::fs::write(&path, "sqlite:other.db\n").unwrap();
    let environment = [("SCOPEGATE_STORE_FILE", path.to_str().unwrap())];
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let loaded = case.load(Overrides::default(), &environment).unwrap();
    assert_eq!(loaded.config.store, case.folder.path().join("other.db"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let errors = case.load(Overrides::default(), &environment).unwrap_err();
    assert!(
        errors.to_string().contains("can be read by everybody"),
        "{errors}"
    );
}

#[test]
fn a_password_in_a_url_is_never_printed_not_even_by_an_error() {
    let case = Case::file("store: postgres://user:canary@host/db");
    let errors = case
        .load(
            Overrides::default(),
            &[("SCOPEGATE_STORE", "postgres://u:hidden@h/d")],
        )
        .unwrap_err();
    assert!(!errors.to_string().contains("hidden"), "{errors}");
    for text in [
        "store: postgres://user:canary@host/db",
        "{ store: postgres://user:canary@host/db, workers: many }",
        "master_key: { command: [kms, canary], file: ä, env: x }",
    ] {
        let errors = Case::file(text).load(Overrides::default(), &[]).unwrap_err();
        assert!(!errors.to_string().contains("canary"), "{errors}");
        assert!(errors.to_string().contains("***"), "{errors}");
    }
    let shown = masked(
        Value::Text("postgres://user:canary@host/db".to_owned()),
        Secrecy::Url,
    )
    .shown();
    assert_eq!(shown, "\"postgres://***@host/db\"");
}

#[test]
fn unknown_variables_warn_and_never_stop_a_start() {
    let case = Case::file("");
    let environment = [("SCOPEGATE_LISTN", "x"), ("SCOPEGATE_PORT", "tcp://10.0.0.1:80")];
    let loaded = case.load(Overrides::default(), &environment).unwrap();
    assert_eq!(
        loaded.warnings,
        ["`SCOPEGATE_LISTN` is no setting: did you mean `SCOPEGATE_LISTEN`?"]
    );
}

#[test]
fn a_value_of_the_environment_is_judged_like_one_of_the_file() {
    let case = Case::file("listen: 127.0.0.1:8080");
    let environment = [
        ("SCOPEGATE_LISTEN", "nowhere"),
        (
            "SCOPEGATE_APPS_MARKETING_REDIRECT_URI",
            "http://elsewhere/callback",
        ),
    ];
    let errors = case.load(Overrides::default(), &environment).unwrap_err();
    let messages: Vec<_> = errors.mistakes().iter().map(|m| m.message.as_str()).collect();
    assert!(
        messages[0].starts_with("`SCOPEGATE_LISTEN`: an IP address"),
        "{messages:?}"
    );
    assert!(
        messages[1].starts_with("`SCOPEGATE_APPS_MARKETING_REDIRECT_URI`: HubSpot takes https alone here"),
        "{messages:?}"
    );
    assert_eq!(messages.len(), 2);
}

#[test]
fn the_public_url_follows_from_the_listener_unless_it_is_set() {
    assert_eq!(
        loaded("listen: 0.0.0.0:9000").config.public_url,
        "http://127.0.0.1:9000"
    );
    let set = loaded("listen: 0.0.0.0:9000\npublic_url: https://gate.example.com/\nlog: { format: json }");
    assert_eq!(set.config.public_url, "https://gate.example.com");
    assert!(!set.config.public_url_is_default);
    assert_eq!(set.config.log, LogFormat::Json);
}

#[test]
fn a_clear_text_upstream_elsewhere_is_a_warning() {
    assert_eq!(loaded("upstream: { url: http://127.0.0.1:9 }").warnings.len(), 0);
    assert_eq!(loaded("upstream: { url: http://10.0.0.1:9 }").warnings.len(), 1);
}

const INSTALL: &str = "install: { listen: 127.0.0.1:9466, public_url: https://connect.example.com }\n";

#[test]
fn apps_are_a_map_of_free_names_and_read_from_the_environment_too() {
    let text = "apps:\n  eu:\n    redirect_uri: https://connect.example.com/eu\n    new_portals: pending\n";
    let environment = [(
        "SCOPEGATE_APPS_US_WEST_REDIRECT_URI",
        "https://connect.example.com/us",
    )];
    let loaded = Case::file(&format!("{INSTALL}{text}"))
        .load(Overrides::default(), &environment)
        .unwrap();
    let apps = &loaded.config.apps;
    assert_eq!(apps["eu"].new_portals, NewPortals::Pending);
    assert_eq!(apps["eu"].callback_path(), "/eu");
    assert_eq!(apps["us-west"].new_portals, NewPortals::Refuse);
    let printed = setting(&loaded, "apps.us-west.redirect_uri");
    assert_eq!(printed.value, "https://connect.example.com/us");
    assert!(
        matches!(&printed.origin, Origin::Environment(name) if name == "SCOPEGATE_APPS_US_WEST_REDIRECT_URI")
    );
    assert_eq!(
        setting(&loaded, "apps.eu.new_portals").origin,
        Origin::File { line: 5 }
    );
    assert_eq!(setting(&loaded, "apps.us-west.new_portals").value, "refuse");
}

#[test]
fn an_install_listener_that_nobody_could_come_back_to_is_a_mistake_that_says_so() {
    let app = |uri: &str| format!("{INSTALL}apps: {{ a: {{ redirect_uri: \"{uri}\" }} }}\n");
    for (text, word, help) in [
        (
            "install: { listen: 127.0.0.1:9466 }".to_owned(),
            "`install.listen` needs `install.public_url`",
            "https://connect.example.com",
        ),
        (
            "install: { public_url: \"http://connect.example.com\" }".to_owned(),
            "`install.public_url`: an https origin",
            "",
        ),
        (
            app("https://elsewhere.example.com/callback"),
            "`apps.a.redirect_uri` is not under `install.public_url`",
            "https://connect.example.com/callback",
        ),
        (
            app("https://connect.example.com/start"),
            "where installs begin",
            "another path",
        ),
        (
            format!(
                "{INSTALL}apps: {{ a: {{ redirect_uri: https://connect.example.com/c }}, b: {{ redirect_uri: https://connect.example.com/c }} }}\n"
            ),
            "is the one of app `a`, too",
            "a path of its own",
        ),
        (
            "apps:\n  a: {}\n".to_owned(),
            "`apps.a` has no `redirect_uri`",
            "registered",
        ),
        ("apps:\n  A: {}\n".to_owned(), "`A` can't be an app's name", "a-z"),
        (
            "apps: { a: { redirect_uri: https://x/c, new_portal: accept } }".to_owned(),
            "`apps.a.new_portal` is no setting",
            "did you mean `new_portals`?",
        ),
        ("apps: [a]".to_owned(), "`apps` must be a mapping", ""),
        (
            "install: { authorize_url: \"http://app.hubspot.com/oauth/authorize\" }".to_owned(),
            "`install.authorize_url`: a URL of https",
            "",
        ),
        (
            "listen: 127.0.0.1:9466\n".to_owned() + INSTALL,
            "`listen` and `install.listen` are the same address",
            "",
        ),
    ] {
        let errors = Case::file(&text).load(Overrides::default(), &[]).unwrap_err();
        let [mistake] = errors.mistakes() else {
            panic!("{text}: {errors}");
        };
        assert!(mistake.message.contains(word), "{text}: {}", mistake.message);
        assert!(
            mistake.help.as_deref().unwrap_or_default().contains(help),
            "{text}: {mistake:?}"
        );
        assert!(mistake.place.is_some(), "{text}");
    }
}

#[test]
fn a_missing_or_huge_file_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.yaml");
    let errors = load_with(Some(&path), &Overrides::default(), &Environment::default()).unwrap_err();
    assert!(
        errors.to_string().contains("none.yaml` can't be read"),
        "{errors}"
    );
    std::fs::write(&path, vec![b' '; tree::FILE_BYTES + 1]).unwrap();
    let errors = load_with(Some(&path), &Overrides::default(), &Environment::default()).unwrap_err();
    assert!(errors.to_string().contains("larger than"), "{errors}");
}

#[test]
fn a_syntax_error_is_shown_where_it_stands() {
    let errors = Case::file("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n")
        .load(Overrides::default(), &[])
        .unwrap_err();
    let (line, _) = errors.line_and_column(&errors.mistakes()[0]).unwrap();
    assert_eq!(line, 2, "{errors}");
}
