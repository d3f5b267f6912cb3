//! Certificates an upstream may show: its own, and three that prove nothing.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub struct Certificates {
    /// The authority the gate is told to believe.
    pub ca_pem: String,
    pub good: Arc<rustls::ServerConfig>,
    pub other_name: Arc<rustls::ServerConfig>,
    pub unknown: Arc<rustls::ServerConfig>,
    pub expired: Arc<rustls::ServerConfig>,
}

impl Certificates {
    pub fn new() -> Self {
        let (ca_pem, believed) = authority("believed");
        let (_, stranger) = authority("stranger");
        let of = |name: &str, issuer, is_expired| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            if is_expired {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, issuer).unwrap();
            server(certificate.der().clone(), &key)
        };
        Self {
            good: of("127.0.0.1", &believed, false),
            other_name: of("other.example.com", &believed, false),
            unknown: of("127.0.0.1", &stranger, false),
            expired: of("127.0.0.1", &believed, true),
            ca_pem,
        }
    }
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
