//! A certificate authority of the simulator's own, made at every start, and a certificate for its names.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Names the certificate is for, besides any given: HubSpot's own, so that clients with a hard-coded host can
/// be pointed here by name resolution.
const NAMES: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "::1",
    "api.hubapi.com",
    "api.hubspot.com",
];

/// What a server needs, and what its clients must trust.
#[derive(Clone, Debug)]
pub struct SimTls {
    /// The authority's certificate, PEM.
    pub ca_pem: String,
    /// HTTP/1.1 only.
    pub server: Arc<rustls::ServerConfig>,
}

impl SimTls {
    /// Makes an authority and a certificate for the usual names and `more`.
    pub fn generate(more: &[String]) -> io::Result<Self> {
        let ca_key = KeyPair::generate().map_err(io::Error::other)?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name = name("scopegate simulator CA");
        let ca_pem = ca.self_signed(&ca_key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names: Vec<String> = NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .chain(more.iter().cloned())
            .collect();
        let mut leaf = CertificateParams::new(names).map_err(io::Error::other)?;
        leaf.distinguished_name = name("scopegate simulator");
        let certificate = leaf.signed_by(&key, &issuer).map_err(io::Error::other)?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .map_err(io::Error::other)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            ca_pem,
            server: Arc::new(server),
        })
    }
}

/// Makes an authority, writes its certificate to `DIR/ca.pem`, and returns what [`super::serve`] takes.
/// No private key is written anywhere.
pub fn tls(dir: &Path) -> io::Result<Arc<rustls::ServerConfig>> {
    let made = SimTls::generate(&[])?;
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("ca.pem"), made.ca_pem)?;
    Ok(made.server)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_an_authority_of_its_own() {
        let (one, two) = (
            SimTls::generate(&[]).unwrap(),
            SimTls::generate(&["sim.test".into()]).unwrap(),
        );
        assert!(one.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_ne!(one.ca_pem, two.ca_pem);
    }
}
