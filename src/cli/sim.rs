//! `scopegate sim`: the simulator alone, to test an integration against without a HubSpot account.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CommandError, CommandResult, Exit, Globals};
use crate::sim::{
    self, Fixtures, Install, PortalOptions, RateLimits, Rotation, Scopes, Sim, SimOptions, Tier,
};

/// The first portal; further ones count up from it.
const FIRST_PORTAL: u64 = 1001;

/// Arguments of `sim`.
#[derive(Debug, clap::Args)]
pub struct SimArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8100")]
    listen: SocketAddr,
    /// Serve TLS, with a certificate of an authority whose `ca.pem` is written here.
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// How many accounts there are, numbered from 1001; many are quicker with `--empty`.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    portals: u64,
    /// Start without records, with definitions only.
    #[arg(long)]
    empty: bool,
    /// Seconds an OAuth access token lives.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    expires_in: u64,
    /// Whether a refresh hands out a new refresh token.
    #[arg(long, value_enum, default_value_t = RotationArg::Stable)]
    rotation: RotationArg,
    /// Enforce HubSpot's limits of this tier; `off` never answers 429.
    #[arg(long, value_enum, default_value_t = LimitsArg::Off)]
    rate_limits: LimitsArg,
    /// What links in answers begin with, in place of what the client called.
    #[arg(long, value_name = "URL")]
    public_origin: Option<String>,
    /// Where the sample app's installs come back to, as an install listener's `…/callback`.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:3000/oauth/callback"
    )]
    redirect_uri: String,
    /// Size of the file that exists to be downloaded (`/files/v3/files/1/download`), in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=4096))]
    big_file: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RotationArg {
    Stable,
    Rotate,
    RotateWithReuseDetection,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LimitsArg {
    Off,
    Starter,
    Professional,
    Enterprise,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(args: SimArgs, _globals: &Globals) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let on_signal = stop.clone();
        let mut terminate = listen_for(SignalKind::terminate())?;
        let mut interrupt = listen_for(SignalKind::interrupt())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            on_signal.cancel();
        });
        serve(args, &mut std::io::stdout(), stop).await
    })
}

fn listen_for(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CommandError> {
    signal(kind).map_err(|error| CommandError::internal(format!("signals: {error}")))
}

async fn serve(args: SimArgs, out: &mut (dyn Write + Send), stop: CancellationToken) -> CommandResult {
    let tls = match &args.tls_dir {
        None => None,
        Some(dir) => Some(sim::tls(dir).map_err(|error| {
            CommandError::usage(format!("`{}`: {error}", dir.display()))
                .hint("name a folder that can be written")
        })?),
    };
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        CommandError::usage(format!("cannot listen on `{}`: {error}", args.listen))
            .hint("another program may have the port; `--listen 127.0.0.1:0` takes a free one")
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| CommandError::internal(error.to_string()))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let sim = Sim::new(options(&args));
    let lines = format!("ready sim={scheme}://{address}\n{}", furnish(&sim, &args)?);
    out.write_all(lines.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| CommandError::internal(format!("stdout: {error}")))?;
    sim::serve(listener, sim, tls, stop).await;
    Ok(Exit::Fine)
}

fn options(args: &SimArgs) -> SimOptions {
    SimOptions {
        expires_in: Duration::from_secs(args.expires_in),
        rotation: match args.rotation {
            RotationArg::Stable => Rotation::Stable,
            RotationArg::Rotate => Rotation::Rotate,
            RotationArg::RotateWithReuseDetection => Rotation::RotateWithReuseDetection,
        },
        rate_limits: match args.rate_limits {
            LimitsArg::Off => RateLimits::Off,
            _ => RateLimits::Enforced,
        },
        public_origin: args.public_origin.clone(),
        big_file_bytes: args.big_file * 1024 * 1024,
        ..SimOptions::default()
    }
}

/// Makes portals and credentials, and says which: one line each, names before values.
fn furnish(sim: &Arc<Sim>, args: &SimArgs) -> Result<String, CommandError> {
    let mut lines = format!("control {}\n", sim.control_secret().expose());
    let reader = [
        "crm.objects.contacts.read",
        "crm.schemas.contacts.read",
        "crm.objects.owners.read",
    ];
    for n in 0..args.portals {
        let hub_id = sim.add_portal(PortalOptions {
            tier: match args.rate_limits {
                LimitsArg::Starter => Tier::Starter,
                LimitsArg::Enterprise => Tier::Enterprise,
                _ => Tier::Professional,
            },
            // The second portal is European: tokens and addresses differ.
            hublet: if n == 1 {
                "eu1".to_owned()
            } else {
                "na1".to_owned()
            },
            fixtures: if args.empty {
                Fixtures::Empty
            } else {
                Fixtures::Standard
            },
            ..PortalOptions::new(FIRST_PORTAL + n)
        });
        let full = sim.private_app(hub_id, Scopes::All);
        let contacts = sim.private_app(hub_id, Scopes::new(reader));
        let service = sim.service_key(hub_id, Scopes::All);
        for (name, token) in [
            ("full", full),
            ("contacts-reader", contacts),
            ("service-key", service),
        ] {
            lines.push_str(&format!("token {name} {} portal={hub_id}\n", token.expose()));
        }
    }
    let app = sim.oauth_app("sample", &[&args.redirect_uri]);
    for n in 0..args.portals {
        let hub_id = FIRST_PORTAL + n;
        let token = sim
            .install(Install::new(&app.client_id, hub_id, Scopes::All))
            .ok_or_else(|| CommandError::internal("the sample app could not be installed"))?;
        lines.push_str(&format!(
            "app {} client_id={} client_secret={} refresh_token={} portal={hub_id}\n",
            app.name,
            app.client_id,
            app.client_secret.expose(),
            token.expose()
        ));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SimArgs,
    }

    fn args(words: &[&str]) -> SimArgs {
        let all = ["sim", "--listen", "127.0.0.1:0"].iter().chain(words);
        <Line as clap::Parser>::parse_from(all).args
    }

    #[tokio::test]
    async fn the_first_line_says_where_it_listens_and_the_others_what_to_use() {
        let stop = CancellationToken::new();
        stop.cancel();
        let mut out = Vec::new();
        let exit = serve(args(&["--portals", "1"]), &mut out, stop).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(exit, Exit::Fine);
        assert!(
            lines[0].starts_with("ready sim=http://127.0.0.1:"),
            "{}",
            lines[0]
        );
        assert!(lines[1].starts_with("control "));
        assert!(lines[2].starts_with("token full pat-na1-") && lines[2].ends_with(" portal=1001"));
        assert!(lines.iter().any(|line| line.starts_with("app sample client_id=") && line.contains(" refresh_token=na1-")));
    }

    #[tokio::test]
    async fn with_a_folder_it_serves_tls_and_writes_the_authority_there_and_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tls");
        let stop = CancellationToken::new();
        stop.cancel();
        let mut out = Vec::new();
        serve(args(&["--tls-dir", path.to_str().unwrap()]), &mut out, stop)
            .await
            .unwrap();
        assert!(
            String::from_utf8(out)
                .unwrap()
                .starts_with("ready sim=https://127.0.0.1:")
        );
        let files: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(files, ["ca.pem"]);
        assert!(
            !std::fs::read_to_string(path.join("ca.pem"))
                .unwrap()
                .contains("PRIVATE")
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_a_mistake_with_a_remedy() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut args = args(&[]);
        args.listen = taken.local_addr().unwrap();
        let error = serve(args, &mut Vec::new(), CancellationToken::new())
            .await
            .unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.hint.is_some());
    }
}
