//! `scopegate health`: asks a running gate whether it is ready. For container health checks: the
//! image has no other program.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;

use super::{CommandError, CommandResult, Exit, Globals};
use crate::config::{Overrides, own_url};

/// A gate that takes longer is not healthy.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read: the metrics of a gate with every series there may be.
const ANSWER_BYTES: usize = 16 << 20;

/// Arguments of `health`.
#[derive(Clone, Debug, clap::Args)]
pub struct HealthArgs {
    /// List conditions and warnings.
    #[arg(long)]
    pub verbose: bool,
}

/// Runs the command: exit 0 = ready, 1 = not ready or not there.
pub fn run(args: HealthArgs, globals: &Globals) -> CommandResult {
    let loaded = super::config::load(globals, Overrides::default())?;
    let address = loaded.config.monitor_address();
    if loaded.config.admin.tls.is_some() && loaded.config.monitor_listen.is_none() {
        return Err(
            CommandError::usage("the monitor's routes are on the admin listener, behind its TLS")
                .hint("set `monitor.listen`: it tells no secrets, and this command asks there"),
        );
    }
    if address.port() == 0 {
        return Err(
            CommandError::usage("the port of the monitor listener is chosen at each start")
                .hint("set `monitor.listen` or `admin.listen` to a port of its own"),
        );
    }
    let target = if args.verbose {
        "/readyz?verbose"
    } else {
        "/readyz"
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::internal(format!("the runtime could not start: {error}")))?;
    let asked = runtime.block_on(async { tokio::time::timeout(TIMEOUT, ask(address, target)).await });
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreachable(address, &error.to_string())),
        Err(_) => return Err(unreachable(address, "no answer in time")),
    };
    report(&answer, &mut io::stdout().lock())
        .map_err(|error| CommandError::internal(format!("stdout could not be written: {error}")))
}

struct Answer {
    ready: bool,
    text: String,
}

/// What a running gate answered to a question of another command.
pub(super) struct Asked {
    pub(super) text: String,
}

/// Asks the monitor listener there for `target`.
///
/// # Errors
/// Nobody answers in time, or something else does: why, for people.
pub(super) fn ask_for(address: SocketAddr, target: &str) -> Result<Asked, String> {
    let runtime = super::admin::runtime().map_err(|error| error.message)?;
    match runtime.block_on(async { tokio::time::timeout(TIMEOUT, ask(address, target)).await }) {
        Ok(Ok(answer)) => Ok(Asked { text: answer.text }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

fn report(answer: &Answer, out: &mut dyn Write) -> io::Result<Exit> {
    out.write_all(answer.text.as_bytes())?;
    Ok(if answer.ready { Exit::Fine } else { Exit::Findings })
}

fn unreachable(address: SocketAddr, why: &str) -> CommandError {
    CommandError::findings(format!("no gate answers on {address}: {why}"))
        .hint("is it running, with this configuration?")
}

async fn ask(address: SocketAddr, target: &str) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let origin = own_url(address, false);
    let authority = origin.trim_start_matches("http://");
    let stream = tokio::net::TcpStream::connect(authority).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get(target)
        .header(http::header::HOST, authority)
        .body(Empty::<bytes::Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let ready = match answer.status() {
        http::StatusCode::OK => true,
        http::StatusCode::SERVICE_UNAVAILABLE => false,
        other => return Err(format!("something else answers there (status {})", other.as_u16()).into()),
    };
    let body = Limited::new(answer.into_body(), ANSWER_BYTES)
        .collect()
        .await?
        .to_bytes();
    connection.abort();
    Ok(Answer {
        ready,
        text: String::from_utf8_lossy(&body).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::metrics::{Metrics, MetricsBounds};
    use crate::monitor::{Condition, Readiness, State, serve};

    async fn gate(readiness: Arc<Readiness>) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounds = MetricsBounds {
            series: 100,
            connections: 10,
        };
        let metrics = Metrics::new(bounds).unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, State { readiness, metrics }, shutdown.clone()));
        (address, shutdown)
    }

    #[tokio::test]
    async fn a_gate_says_whether_it_is_ready_and_verbosely_why_not() {
        let readiness = Arc::new(Readiness::default());
        let (address, _shutdown) = gate(Arc::clone(&readiness)).await;
        let answer = ask(address, "/readyz?verbose").await.unwrap();
        assert!(!answer.ready);
        assert!(answer.text.contains("[-] master key opened"), "{}", answer.text);
        assert_eq!(report(&answer, &mut Vec::new()).unwrap(), Exit::Findings);
        for condition in Condition::ALL {
            readiness.set(condition, true);
        }
        let answer = ask(address, "/readyz").await.unwrap();
        let mut out = Vec::new();
        assert_eq!(report(&answer, &mut out).unwrap(), Exit::Fine);
        assert_eq!(out, b"ready\n");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ask(address, "/readyz").await.is_err());
    }
}
