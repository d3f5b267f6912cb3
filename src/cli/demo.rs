//! `scopegate demo`: simulator, gate and three sample integrations in one process, on a store that
//! is gone afterwards. Every secret is random and of this start alone.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::run::{Signals, control_plane, say, serve};
use super::{CommandError, CommandResult, Globals};
use crate::access::catalogue::Catalogue;
use crate::access::connection::{ConnectionId, ConnectionName, PortalId};
use crate::access::integration::Binding;
use crate::access::key::{Environment, IssuedKey, KeyRandomness};
use crate::config::{Config, MasterKeySource};
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::Endpoints;
use crate::logging::{self, LogFormat};
use crate::publisher::read_upstream;
use crate::secret::Secret;
use crate::server::{Prepared, Server, StartOptions};
use crate::sim::{self, PortalOptions, Scopes, Sim, SimOptions};
use crate::store::{NewKey, Provenance, Store};
use crate::tokens::Enrolment;
use crate::vault::{MasterKey, Vault, secret_file};

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where integrations connect; port 0 = any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where metrics are read; port 0 = any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9465")]
    admin: SocketAddr,
}

/// The sample integrations: name and policy, as they stand in `policies/`.
const SAMPLES: [(&str, &str); 3] = [
    (
        "contact-report",
        include_str!("../../policies/contact-report.yaml"),
    ),
    ("erp-sync", include_str!("../../policies/erp-sync.yaml")),
    ("privacy-desk", include_str!("../../policies/privacy-desk.yaml")),
];

/// The account of the demo, and the name the sample policies know it by.
const PORTAL: u64 = 1001;
const CONNECTION: &str = "acme";

/// Runs the demo until it is told to stop.
pub fn run(args: DemoArgs, globals: &Globals) -> CommandResult {
    refuse_other_upstream(globals)?;
    logging::init(LogFormat::Auto);
    logging::install_panic_hook();
    crate::harden::begin();
    let home = tempfile::Builder::new()
        .prefix("scopegate-demo-")
        .tempdir()
        .map_err(internal)?;
    let runtime = control_plane()?;
    let outcome = runtime.block_on(async {
        let sim = Sim::new(SimOptions::default());
        sim.add_portal(PortalOptions::new(PORTAL));
        let upstream = sim::start(Arc::clone(&sim), None).await.map_err(internal)?;
        let config = configure(home.path(), &args, &upstream.origin)?;
        let catalogue = Catalogue::embedded().map_err(internal)?;
        let every = Scopes::new(catalogue.scopes().map(|(_, scope)| scope.name.as_ref()));
        let token = sim.private_app(PORTAL, every);
        let keys = furnish(&config, &token).await?;
        let audit = config.audit.dir.join(&config.instance);
        let server = Prepared::new(config, StartOptions { strict: true })
            .await?
            .listen()
            .await?;
        let signals = Signals::listen()?;
        announce(&server, &upstream.origin, &keys, &audit)?;
        serve(server, signals).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

fn internal(error: impl std::fmt::Display) -> CommandError {
    CommandError::internal(error.to_string())
}

/// The demo's keys are printed and its tokens are made up: it must never meet the real HubSpot.
fn refuse_other_upstream(globals: &Globals) -> Result<(), CommandError> {
    let hint = "`scopegate run` is the gate for an upstream of yours";
    if std::env::var_os("SCOPEGATE_UPSTREAM_URL").is_some() {
        return Err(CommandError::usage(
            "the demo serves its own simulator only: unset SCOPEGATE_UPSTREAM_URL",
        )
        .hint(hint));
    }
    if globals.config.is_some() {
        return Err(CommandError::usage("the demo takes no configuration: leave `--config` out").hint(hint));
    }
    Ok(())
}

fn configure(home: &Path, args: &DemoArgs, upstream: &str) -> Result<Config, CommandError> {
    let mut config = Config::in_folder(home);
    config.listen = args.listen;
    config.admin_listen = args.admin;
    config.upstream.url = upstream.to_owned();
    config.instance = "demo".to_owned();
    config.shutdown.delay = Duration::ZERO;
    config.shutdown.grace = Duration::from_secs(5);
    let folder = config.store.parent().map(Path::to_path_buf).unwrap_or_default();
    std::fs::create_dir_all(folder).map_err(internal)?;
    std::fs::create_dir_all(&config.policies).map_err(internal)?;
    for (name, text) in SAMPLES {
        std::fs::write(config.policies.join(format!("{name}.yaml")), text).map_err(internal)?;
    }
    if let MasterKeySource::File(path) = &config.master_key {
        secret_file::write_new(path, &MasterKey::generate().map_err(internal)?.to_text())
            .map_err(internal)?;
    }
    Ok(config)
}

/// One connection, and a key for each sample.
async fn furnish(config: &Config, token: &Secret) -> Result<Vec<(&'static str, Secret)>, CommandError> {
    let store = Store::open(&config.store).map_err(internal)?;
    let master = MasterKey::load(&config.master_key, &config.key_command).map_err(internal)?;
    let vault = Vault::open(&master, store.id(), None).map_err(internal)?;
    store.record_key_check(&vault.key_check()).map_err(internal)?;
    let limit = Duration::from_secs(10);
    let client = ControlClient::new(
        read_upstream(config).map_err(CommandError::internal)?.shared(),
        limit,
        limit,
    );
    let by = Provenance {
        actor: "demo".to_owned(),
        reason: None,
    };
    let name =
        ConnectionName::parse(CONNECTION).ok_or_else(|| internal("the demo's connection has no name"))?;
    let portal = PortalId::new(PORTAL).ok_or_else(|| internal("the demo's portal has no number"))?;
    let enrolment = Enrolment {
        store: &store,
        vault: &vault,
        client: &client,
        endpoints: &Endpoints::default(),
    };
    let enrolled = enrolment
        .add_static(&name, portal, token, &by)
        .await
        .map_err(internal)?;
    SAMPLES
        .iter()
        .map(|(integration, _)| Ok((*integration, issue(&store, integration, enrolled.id, &by)?)))
        .collect()
}

fn issue(
    store: &Store,
    integration: &str,
    connection: ConnectionId,
    by: &Provenance,
) -> Result<Secret, CommandError> {
    let mut random = KeyRandomness {
        id: [0; 12],
        secret: Zeroizing::new([0; 32]),
    };
    aws_lc_rs::rand::fill(&mut random.id).map_err(internal)?;
    aws_lc_rs::rand::fill(&mut *random.secret).map_err(internal)?;
    let key = IssuedKey::generate(Environment::Demo, &random);
    let row = NewKey {
        id: key.id,
        hash: key.hash,
        integration: integration.to_owned(),
        binding: Binding::Connection(connection),
        expires: None,
    };
    store.add_keys(&[row], by).map_err(internal)?;
    Ok(key.text)
}

fn announce(
    server: &Server,
    upstream: &str,
    keys: &[(&str, Secret)],
    audit: &Path,
) -> Result<(), CommandError> {
    say(&format!(
        "ready gate=http://{} admin=http://{} upstream={upstream}",
        server.gate, server.admin
    ))?;
    for (name, key) in keys {
        say(&format!("key {name} {}", key.expose()))?;
    }
    let text = include_str!("demo.txt")
        .replace("{gate}", &format!("http://{}", server.gate))
        .replace("{admin}", &format!("http://{}", server.admin))
        .replace("{audit}", &audit.display().to_string());
    let text = keys.iter().fold(text, |text, (name, key)| {
        text.replace(&format!("{{{name}}}"), key.expose())
    });
    say(text.trim_end())
}
