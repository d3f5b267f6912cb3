//! `scopegate connection install`: a link for the person who may connect an account, with the scopes
//! that the policies for it need.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;

use jiff::Timestamp;

use super::admin::{Admin, ReasonArgs, columns, print, provenance};
use super::{CommandError, CommandResult, Exit};
use crate::access::connection::{ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::consent::{AskedScope, Consent, asked};
use crate::access::label::{Label, Labels};
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_set::{CeilingState, PolicySet, PolicyState};
use crate::config::Config;
use crate::install::{Binding, mint, start_url};
use crate::store::{ConnectionRow, gate_runs};
use crate::{catalogue_file, policy_files};

/// Arguments of `connection install`.
#[derive(Debug, Default, clap::Args)]
pub struct InstallArgs {
    /// What to call it: `[a-z0-9-]`, not digits alone. One that is there is authorised again.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The app that is installed, as added with `scopegate app add`.
    #[arg(long, value_name = "NAME")]
    pub app: String,
    /// The HubSpot account's id, as it must turn out to be.
    #[arg(long, value_name = "ID")]
    pub portal: Option<String>,
    /// A label for the connection; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<Label>,
    /// Make no link: print the scopes, and for each the rules that ask for it.
    #[arg(long)]
    pub dry_run: bool,
    /// With `--dry-run`: one JSON object a scope.
    #[arg(long, requires = "dry_run")]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Makes the link.
pub(super) fn install(
    args: &InstallArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let name = ConnectionName::parse(&args.name).ok_or_else(|| {
        CommandError::usage(
            "a connection's name has 1 to 64 characters of `a-z`, `0-9` and `-`, and is not digits alone",
        )
    })?;
    let portal = args
        .portal
        .as_deref()
        .map(|portal| {
            PortalId::parse(portal).ok_or_else(|| {
                CommandError::usage("`--portal` is the account's id: digits, as HubSpot shows them")
            })
        })
        .transpose()?;
    let labels = Labels::new(args.label.iter().cloned())
        .map_err(|mistake| CommandError::usage(mistake.to_string()))?;
    let by = provenance(&args.reason)?;
    let before = admin.store.connection_by_name(&name)?;
    let portal = expected_portal(args, admin, &name, before.as_ref(), portal)?;
    let consent = consent(&admin.config, &name, &args.app, err)?;
    if args.dry_run {
        return show(&consent, args.json, out);
    }
    let public_url = ready(&admin.config, &args.app)?;
    tell(&consent, before.as_ref(), &args.app, portal, err);
    let binding = Binding {
        name,
        app: args.app.clone(),
        connection: before.map(|before| before.id),
        portal,
        labels,
        required: consent.required(),
        optional: consent.optional(),
    };
    let minted = mint(&admin.vault()?, &binding, Timestamp::now())
        .map_err(|error| CommandError::internal(error.to_string()))?;
    admin.store.add_install(&minted.row, &by)?;
    if !gate_runs(admin.store.path()) {
        say(
            err,
            "warning: no gate is running on this store: the link opens as soon as one is",
        );
    }
    let until = minted.row.expires.strftime("%H:%M UTC");
    say(
        err,
        &format!(
            "the link works once, until {until}; whoever has it can connect an account: give it to one person"
        ),
    );
    print(out, &format!("{}\n", start_url(public_url, &minted.ticket)))?;
    Ok(Exit::Fine)
}

/// The account the connection must be; what stands in the way of a link.
fn expected_portal(
    args: &InstallArgs,
    admin: &Admin,
    name: &ConnectionName,
    before: Option<&ConnectionRow>,
    portal: Option<PortalId>,
) -> Result<Option<PortalId>, CommandError> {
    if admin.store.app(&args.app)?.is_none() {
        return Err(CommandError::findings(format!("there is no app `{}`", args.app))
            .hint("add it with `scopegate app add`"));
    }
    let Some(before) = before else {
        if let Some(portal) = portal {
            admin.store.check_connection_free(name, Some(&args.app), portal)?;
        }
        return Ok(portal);
    };
    if before.kind != CredentialKind::OAuth || before.app.as_deref() != Some(&*args.app) {
        return Err(CommandError::findings(format!(
            "connection `{name}` is there already, and not an install of app `{}`",
            args.app
        ))
        .hint("choose another name, or remove it first with `scopegate connection remove`"));
    }
    if let Some(portal) = portal.filter(|portal| *portal != before.portal) {
        return Err(CommandError::findings(format!(
            "connection `{name}` is portal {}, not portal {portal}",
            before.portal
        ))
        .hint("a connection keeps its account: choose another name for another one"));
    }
    Ok(Some(before.portal))
}

/// What the policies ask for in the connection.
fn consent(
    config: &Config,
    name: &ConnectionName,
    app: &str,
    err: &mut dyn Write,
) -> Result<Consent, CommandError> {
    let catalogue =
        catalogue_file::read(&config.catalogue).map_err(|error| CommandError::usage(error.to_string()))?;
    let files = policy_files::read_folder(&config.policies).map_err(|error| {
        CommandError::usage(format!("`policies` `{}`: {error}", config.policies.display()))
    })?;
    let now = Timestamp::now();
    let (set, _) = PolicySet::build(&files, &catalogue, None, now, std::time::Duration::ZERO);
    let check = "run `scopegate policy check` on the folder: it shows every mistake";
    if set.ceiling_state() == CeilingState::Broken {
        return Err(CommandError::usage("the ceiling `_ceiling.yaml` does not load").hint(check));
    }
    let mut ready: Vec<&Policy> = Vec::new();
    for (integration, ..) in set.integrations() {
        match set.policy(integration, now) {
            PolicyState::Ready(policy) => ready.push(policy),
            PolicyState::Expired(_) | PolicyState::Missing => {}
            PolicyState::Invalid => say(
                err,
                &format!("warning: policy `{integration}` does not load, so its scopes are not asked for"),
            ),
        }
    }
    let connection = ConnectionRef {
        name: name.as_str(),
        app: Some(app),
    };
    let consent = asked(ready, set.ceiling(), connection, &catalogue, now);
    for rule in &consent.unnamed {
        say(
            err,
            &format!(
                "warning: {}:{}: rule `{}` is for all types, and no scope is asked for it: name the types it needs",
                rule.file, rule.line, rule.rule
            ),
        );
    }
    Ok(consent)
}

/// Whether a gate with this configuration would open the link; the origin of the link.
fn ready<'c>(config: &'c Config, app: &str) -> Result<&'c str, CommandError> {
    if !config.apps.contains_key(app) {
        return Err(CommandError::usage(format!(
            "the configuration does not say where HubSpot sends people back to for app `{app}`"
        ))
        .hint(format!(
            "set `apps: {{ {app}: {{ redirect_uri: https://… }} }}` to the redirect URI registered with the app"
        )));
    }
    match (&config.install.listen, &config.install.public_url) {
        (Some(_), Some(public_url)) => Ok(public_url),
        _ => Err(
            CommandError::usage("the install listener is off, so nobody could open a link").hint(
                "set `install: { listen: 127.0.0.1:9467, public_url: https://… }`, with a TLS proxy in front",
            ),
        ),
    }
}

/// What the person will be asked, for the operator's eyes.
fn tell(
    consent: &Consent,
    before: Option<&ConnectionRow>,
    app: &str,
    portal: Option<PortalId>,
    err: &mut dyn Write,
) {
    let mut text = String::new();
    if consent.integrations.is_empty() {
        text.push_str("warning: no policy uses this connection, so nothing but `oauth` is asked for\n");
    }
    if portal.is_none() {
        text.push_str(
            "warning: without `--portal` whoever opens the link decides which account it is; name it if you know it\n",
        );
    }
    // Writing to a string can't fail.
    let _ = writeln!(text, "app `{app}` will ask for:\n{}", table(consent));
    if let Some(before) = before {
        let asked: BTreeSet<&str> = consent.scopes.iter().map(|scope| &*scope.name).collect();
        let granted: BTreeSet<&str> = before.scopes.iter().map(String::as_str).collect();
        let list = |scopes: Vec<&&str>| match scopes.is_empty() {
            true => "nothing".to_owned(),
            false => scopes.iter().map(|scope| **scope).collect::<Vec<_>>().join(" "),
        };
        let _ = writeln!(
            text,
            "connection `{}` is authorised again. Compared with what is granted now:\n  more: {}\n  no longer asked for: {}",
            before.name,
            list(asked.difference(&granted).collect()),
            list(granted.difference(&asked).collect()),
        );
        if before.standing == Standing::Suspended {
            text.push_str("it is suspended, and stays so until `scopegate connection resume`\n");
        }
    }
    say(err, text.trim_end());
}

fn show(consent: &Consent, json: bool, out: &mut dyn Write) -> CommandResult {
    if !json {
        print(out, &table(consent))?;
        return Ok(Exit::Fine);
    }
    let line = |scope: &AskedScope| {
        let by: Vec<_> = scope
            .by
            .iter()
            .map(|by| serde_json::json!({ "file": &*by.file, "line": by.line, "rule": &*by.rule, "optional": by.is_optional }))
            .collect();
        let line = serde_json::json!({ "scope": scope.name, "optional": scope.is_optional, "by": by });
        format!("{line}\n")
    };
    let lines: String = consent.scopes.iter().map(line).collect();
    print(out, &lines)?;
    Ok(Exit::Fine)
}

fn table(consent: &Consent) -> String {
    let mut rows = Vec::new();
    for scope in &consent.scopes {
        let kind = if scope.is_optional { "optional" } else { "required" };
        let by = scope
            .by
            .iter()
            .map(|by| format!("{}:{} ({})", by.file, by.line, by.rule));
        let mut by: Vec<String> = by.collect();
        if by.is_empty() {
            by.push("every app has it".to_owned());
        }
        for (at, by) in by.into_iter().enumerate() {
            let (name, kind) = match at {
                0 => (scope.name.clone(), kind.to_owned()),
                _ => (String::new(), String::new()),
            };
            rows.push(vec![format!("  {kind}"), name, by]);
        }
    }
    columns(&rows)
}

fn say(err: &mut dyn Write, text: &str) {
    // Nobody to tell if stderr is gone.
    let _ = writeln!(err, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::admin::testing::{NOWHERE, admin};
    use super::*;
    use crate::hubspot::oauth::Endpoints;
    use crate::secret::Secret;
    use crate::tokens::Enrolment;

    /// An admin with app `agency` and a policy that uses its connections.
    fn world() -> (tempfile::TempDir, Admin) {
        let (dir, mut admin) = admin(NOWHERE);
        let policy = "integration: report\nowner: a@example.com\nconnections: [{app: agency}]\nallow:\n  \
                      - scope: crm.objects.contacts.read\n  - scope: crm.lists.read\n    optional: true\n";
        std::fs::write(dir.path().join("policies/report.yaml"), policy).unwrap();
        let (vault, client, endpoints) = (
            admin.vault().unwrap(),
            admin.client().unwrap(),
            Endpoints::default(),
        );
        let enrolment = Enrolment {
            store: &admin.store,
            vault: &vault,
            client: &client,
            endpoints: &endpoints,
        };
        let by = provenance(&ReasonArgs::default()).unwrap();
        let secret = Secret::new("s".to_owned());
        enrolment
            .add_app("agency", "client-1", &secret, None, &by)
            .unwrap();
        let app = crate::config::AppSettings {
            redirect_uri: "https://connect.example.com/callback".to_owned(),
            ..Default::default()
        };
        admin.config.apps.insert("agency".to_owned(), app);
        admin.config.install.listen = Some("127.0.0.1:0".parse().unwrap());
        admin.config.install.public_url = Some("https://connect.example.com".to_owned());
        (dir, admin)
    }

    fn args(name: &str) -> InstallArgs {
        InstallArgs {
            name: name.to_owned(),
            app: "agency".to_owned(),
            portal: Some("1001".to_owned()),
            label: vec!["tier=gold".parse().unwrap()],
            ..Default::default()
        }
    }

    fn ran(args: &InstallArgs, admin: &Admin) -> Result<(String, String), CommandError> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        install(args, admin, &mut out, &mut err)?;
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
    }

    #[test]
    fn the_link_stands_alone_on_stdout_and_what_will_be_asked_on_stderr() {
        let (dir, admin) = world();
        let (out, err) = ran(&args("acme"), &admin).unwrap();
        let ticket = out
            .strip_prefix("https://connect.example.com/start?ticket=")
            .unwrap()
            .trim_end();
        assert_eq!(ticket.len(), 64);
        assert!(err.contains("  required  crm.objects.contacts.read  "), "{err}");
        assert!(err.contains("  optional  crm.lists.read             "), "{err}");
        assert!(err.contains("report.yaml:5 (report#allow[0])"), "{err}");
        assert!(!err.contains(ticket));
        for file in ["scopegate.db", "scopegate.db-wal"] {
            let bytes = std::fs::read(dir.path().join(file)).unwrap();
            assert!(
                memchr::memmem::find(&bytes, ticket.as_bytes()).is_none(),
                "{file}"
            );
        }
    }

    #[test]
    fn a_dry_run_prints_scopes_with_their_rules_and_makes_nothing() {
        let (_dir, admin) = world();
        let mut args = args("acme");
        args.dry_run = true;
        let (out, _) = ran(&args, &admin).unwrap();
        assert_eq!(out.lines().count(), 3, "{out}");
        assert!(out.starts_with("  required  oauth"), "{out}");
        args.json = true;
        let (out, _) = ran(&args, &admin).unwrap();
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&last["scope"], &last["optional"]),
            (&"crm.lists.read".into(), &true.into())
        );
        assert_eq!(last["by"][0]["line"], 6);
        assert!(
            admin
                .store
                .admin_events_after(0)
                .unwrap()
                .iter()
                .all(|event| event.action == "app add")
        );
    }

    #[test]
    fn what_could_not_be_opened_or_is_in_the_way_is_said_before_a_link_is_made() {
        let (_dir, mut admin) = world();
        let refused = |change: fn(&mut InstallArgs), admin: &Admin| {
            let mut args = args("acme");
            change(&mut args);
            ran(&args, admin).unwrap_err()
        };
        let error = refused(|args| args.app = "other".to_owned(), &admin);
        assert_eq!(
            (error.exit, error.message.as_str()),
            (Exit::Findings, "there is no app `other`")
        );
        for change in [
            (|args| args.name = "123".to_owned()) as fn(&mut InstallArgs),
            |args| args.portal = Some("0".to_owned()),
            |args| args.label = vec!["a=b".parse().unwrap(), "a=c".parse().unwrap()],
        ] {
            assert_eq!(refused(change, &admin).exit, Exit::Usage);
        }
        let token = Secret::new("pat-na1-x".to_owned());
        let (vault, client, endpoints) = (
            admin.vault().unwrap(),
            admin.client().unwrap(),
            Endpoints::default(),
        );
        let enrolment = Enrolment {
            store: &admin.store,
            vault: &vault,
            client: &client,
            endpoints: &endpoints,
        };
        let by = provenance(&ReasonArgs::default()).unwrap();
        let name = ConnectionName::parse("acme").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(enrolment.add_static(&name, PortalId::new(1001).unwrap(), &token, &by))
            .unwrap();
        let error = refused(|_| {}, &admin);
        assert!(
            error.message.contains("not an install of app `agency`"),
            "{}",
            error.message
        );
        admin.config.install.listen = None;
        let error = refused(|args| args.name = "new".to_owned(), &admin);
        assert!(error.message.contains("listener is off"), "{}", error.message);
        admin.config.apps.clear();
        let error = refused(|args| args.name = "new".to_owned(), &admin);
        assert!(error.hint.unwrap().contains("apps: { agency"));
    }
}
