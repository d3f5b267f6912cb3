//! The admin listener under TLS, of the real program: whom it lets in, and a certificate that is replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::child::Gate;
use crate::support::canaries::{self, Ward};
use crate::support::{path, scopegate, within, write_secret};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key, PEM.
    fn pair(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (
            params.signed_by(&key, &self.issuer).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

fn client(trusts: &str, shows: Option<&(String, String)>, alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusts.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

struct Place {
    config: std::path::PathBuf,
    home: std::path::PathBuf,
    /// After the gate, before the folder.
    _ward: Ward,
    _dir: tempfile::TempDir,
}

impl Place {
    fn new(servers: &Authority, clients: Option<&Authority>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("gate");
        let ward = Ward::alone(dir.path());
        assert!(scopegate(&["init", path(&home)]).status.success());
        let place = Self {
            config: home.join("scopegate.yaml"),
            home,
            _ward: ward,
            _dir: dir,
        };
        place.write_pair(servers);
        let ca = match clients {
            None => "",
            Some(clients) => {
                std::fs::write(place.home.join("clients.pem"), &clients.pem).unwrap();
                ", client_ca: clients.pem"
            }
        };
        let text = format!(
            "listen: 127.0.0.1:0\nmonitor: {{ listen: 127.0.0.1:0 }}\nworkers: 1\n\
             admin: {{ listen: 127.0.0.1:0, tls: {{ cert: admin.pem, key: admin.key{ca} }} }}\n\
             upstream: {{ url: 'http://127.0.0.1:9' }}\n"
        );
        std::fs::write(&place.config, text).unwrap();
        place
    }

    fn write_pair(&self, servers: &Authority) {
        let (certificate, key) = servers.pair("localhost");
        write_secret(&self.home.join("admin.key"), &key);
        std::fs::write(self.home.join("admin.pem"), certificate).unwrap();
    }

    fn credential(&self) -> String {
        let output = scopegate(&[
            "--config",
            path(&self.config),
            "admin",
            "create",
            "--name",
            "a",
            "--role",
            "viewer",
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

async fn connect(gate: &Gate, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gate.admin).await?;
    within(connector.connect(ServerName::try_from("localhost").unwrap(), stream)).await
}

/// The status of one question, or why there was no answer.
async fn status(gate: &Gate, connector: &TlsConnector, credential: &str) -> Result<StatusCode, String> {
    let mut stream = connect(gate, connector)
        .await
        .map_err(|error| error.to_string())?;
    let request = format!(
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {credential}\r\nConnection: close\r\n\r\n"
    );
    let mut answer = Vec::new();
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    within(stream.read_to_end(&mut answer))
        .await
        .map_err(|error| error.to_string())?;
    canaries::seen(canaries::Place::Answer, &answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer
        .get(9..12)
        .ok_or_else(|| format!("no answer: {answer:?}"))?;
    Ok(code.parse().unwrap())
}

#[tokio::test]
async fn with_a_client_ca_nobody_gets_in_by_a_certificate_or_a_credential_alone() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let place = Place::new(&servers, Some(&clients));
    let credential = place.credential();
    let gate = Gate::start(&place.config);
    let (own, foreign) = (clients.pair("operator"), strangers.pair("operator"));
    let alpn: &[&[u8]] = &[b"http/1.1"];
    let good = client(&servers.pem, Some(&own), alpn);
    assert_eq!(status(&gate, &good, &credential).await, Ok(StatusCode::OK));
    assert_eq!(
        status(&gate, &good, "sga_none").await,
        Ok(StatusCode::UNAUTHORIZED)
    );
    for shows in [None, Some(&foreign)] {
        let connector = client(&servers.pem, shows, alpn);
        assert!(
            status(&gate, &connector, &credential).await.is_err(),
            "{}",
            shows.is_some()
        );
    }
    // A client that offers HTTP/2 too gets HTTP/1.1; one that offers nothing else gets nothing.
    let both = client(&servers.pem, Some(&own), &[b"h2", b"http/1.1"]);
    let stream = connect(&gate, &both).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(
        connect(&gate, &client(&servers.pem, Some(&own), &[b"h2"]))
            .await
            .is_err()
    );
    // Clear text gets no answer at all.
    let mut plain = canaries::heard::Overheard::connect(gate.admin).await.unwrap();
    let request =
        format!("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {credential}\r\n\r\n");
    plain.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(plain.read_to_end(&mut answer)).await;
    assert!(
        !answer.starts_with(b"HTTP/"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(!gate.log().contains(&credential[17..60]));
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_without_a_restart() {
    let (before, after) = (Authority::new(), Authority::new());
    let place = Place::new(&before, None);
    let credential = place.credential();
    let gate = Gate::start(&place.config);
    let (old, new) = (client(&before.pem, None, &[]), client(&after.pem, None, &[]));
    assert_eq!(status(&gate, &old, &credential).await, Ok(StatusCode::OK));
    assert!(status(&gate, &new, &credential).await.is_err());
    place.write_pair(&after);
    let end = Instant::now() + Duration::from_secs(30);
    while status(&gate, &new, &credential).await != Ok(StatusCode::OK) {
        assert!(Instant::now() < end, "{}", gate.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(status(&gate, &old, &credential).await.is_err());
}

#[test]
fn health_says_where_to_ask_when_the_monitor_is_behind_the_admin_listeners_tls() {
    let place = Place::new(&Authority::new(), None);
    std::fs::write(
        &place.config,
        "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:9465, tls: { cert: admin.pem, key: admin.key } }\n",
    )
    .unwrap();
    let output = scopegate(&["--config", path(&place.config), "health"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("set `monitor.listen`"), "{said}");
}
