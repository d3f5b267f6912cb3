//! TLS on both sides: who is let in, by which protocol, and whom the gate believes.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::canaries::heard::Overheard;
use crate::support::{Setup, World, within, write_secret};
use crate::wire::{Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// A certificate authority of a test's own.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub fn pair(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

pub fn client(trusts: &Authority, shows: Option<&Pair>, alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusts.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                .unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

pub async fn connect(world: &World, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(world.gate).await.unwrap();
    within(connector.connect(ServerName::try_from("gate.test").unwrap(), stream)).await
}

/// A gate under TLS; `client_ca` makes it ask for certificates.
async fn world(dir: &tempfile::TempDir, pair: &Pair, client_ca: Option<&Authority>) -> World {
    let file = |name: &str| -> PathBuf { dir.path().join(name) };
    std::fs::write(file("gate.pem"), &pair.certificate).unwrap();
    write_secret(&file("gate.key"), &pair.key);
    let mut tls = format!(
        "cert: {}, key: {}",
        file("gate.pem").display(),
        file("gate.key").display()
    );
    if let Some(authority) = client_ca {
        std::fs::write(file("clients.pem"), &authority.pem).unwrap();
        tls.push_str(&format!(", client_ca: {}", file("clients.pem").display()));
    }
    World::with(Setup {
        config: format!("tls: {{ {tls} }}\n"),
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn alpn_chooses_the_protocol_and_without_it_the_first_bytes_do() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let world = world(&dir, &authority.pair("gate.test"), None).await;
    let key = world.key("reader");
    for (offered, chosen) in [
        (&[b"http/1.1".as_slice()][..], Some(b"http/1.1".as_slice())),
        (&[b"h2", b"http/1.1"], Some(b"h2")),
        (&[], None),
    ] {
        let stream = connect(&world, &client(&authority, None, offered)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        if chosen != Some(b"h2") {
            let mut wire = Wire::over(stream);
            for _ in 0..3 {
                assert_eq!(wire.ask(get(GOOD, &key)).await.json()["id"], "1001");
            }
            let listed = wire
                .ask(get("/crm/v3/objects/contacts?limit=1", &key))
                .await
                .json();
            let link = listed["paging"]["next"]["link"].as_str().unwrap().to_owned();
            assert!(link.starts_with("https://"), "{link}");
            continue;
        }
        let stream = TokioIo::new(Overheard::over(stream));
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        let request =
            Request::get(format!("https://gate.test{GOOD}")).header("authorization", format!("Bearer {key}"));
        let response = within(sender.send_request(request.body(Full::<Bytes>::default()).unwrap()))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let body = within(response.into_body().collect()).await.unwrap().to_bytes();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["id"],
            "1001"
        );
    }
    assert!(
        connect(&world, &client(&authority, None, &[b"h3"]))
            .await
            .is_err(),
        "a protocol it does not speak"
    );
    assert!(
        connect(&world, &client(&Authority::new(), None, &[]))
            .await
            .is_err(),
        "a stranger's authority"
    );
    let mut clear = Wire::open(world.gate).await;
    clear.write(get(GOOD, &key)).await;
    while clear.more().await {}
    assert_eq!(
        world.sim.received().len(),
        9,
        "clear text is not served where TLS is configured"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_client_ca_only_its_clients_are_let_in_and_their_key_is_asked_for_all_the_same() {
    let (authority, clients, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let world = world(&dir, &authority.pair("gate.test"), Some(&clients)).await;
    let key = world.key("reader");
    let known = client(&authority, Some(&clients.pair("client.test")), &[b"http/1.1"]);
    let mut wire = Wire::over(connect(&world, &known).await.unwrap());
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
    assert_eq!(wire.ask(get(GOOD, "sg_l_wrong")).await.status, 401);
    world.sim.forget_received();
    for stranger in [
        client(&authority, None, &[b"http/1.1"]),
        client(&authority, Some(&authority.pair("client.test")), &[b"http/1.1"]),
        client(
            &authority,
            Some(&Authority::new().pair("client.test")),
            &[b"http/1.1"],
        ),
    ] {
        // In TLS 1.3 the client learns of it with its first read.
        if let Ok(stream) = connect(&world, &stranger).await {
            let mut wire = Wire::over(stream);
            wire.write(get(GOOD, &key)).await;
            assert!(wire.has_ended().await);
        }
    }
    assert!(world.sim.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_certificate_is_verified_by_the_configured_authority_and_its_name() {
    let mut world = World::with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let key = world.key("reader");
    let ask = async |world: &World| world.get(GOOD, &key).await;
    assert_eq!(ask(&world).await.status, 200);
    let ca = world.dir.path().join("ca.pem");
    let own = std::fs::read_to_string(&ca).unwrap();
    world.stop().await;
    world.sim.forget_received();
    std::fs::write(&ca, Authority::new().pem).unwrap();
    world.start().await;
    let refused = ask(&world).await;
    assert_eq!(
        (refused.status.as_u16(), refused.sub_category().as_str()),
        (502, "scopegate.upstream")
    );
    world.stop().await;

    // The right authority, but a name the certificate is not for.
    std::fs::write(&ca, &own).unwrap();
    let config = std::fs::read_to_string(world.config()).unwrap();
    let port = world.sim_origin.rsplit(':').next().unwrap();
    let other_name = config.replace(&world.sim_origin, &format!("https://127.0.0.2:{port}"));
    std::fs::write(world.config(), other_name).unwrap();
    world.start().await;
    assert_eq!(ask(&world).await.status, 502);
    world.stop().await;
    assert!(
        world.sim.received().is_empty(),
        "neither call nor token reached an upstream that was not verified"
    );
    std::fs::write(world.config(), &config).unwrap();
    world.start().await;
    assert_eq!(ask(&world).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_resolves_to_this_machine_is_refused_unless_that_is_configured() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    world.sim.forget_received();
    let config = std::fs::read_to_string(world.config()).unwrap();
    let port = world.sim_origin.rsplit(':').next().unwrap().to_owned();
    // Not IP literals as URLs know them: names, which the resolver takes for 127.0.0.1.
    for name in ["127.1", "2130706433", "0x7f000001"] {
        for (allowed, status) in [(false, 502), (true, 200)] {
            let upstream = format!("http://{name}:{port}\", allow_private: {allowed}");
            let text = config.replace(&format!("{}\"", world.sim_origin), &upstream);
            assert_ne!(text, config);
            std::fs::write(world.config(), text).unwrap();
            world.start().await;
            assert_eq!(world.get(GOOD, &key).await.status, status, "{name} {allowed}");
            world.stop().await;
        }
    }
    assert_eq!(world.sim.received().len(), 3, "only where it was allowed");
}
