//! TLS for integrations: certificate and key from PEM files, ALPN, and client certificates where
//! the operator asks for them. Re-read when the files change; connections keep what they began with.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::config::TlsFiles;

fn invalid(what: &str, path: &std::path::Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} `{}`: {error}", path.display()),
    )
}

/// Reads the files and checks that key and certificate belong together.
pub fn server_config(files: &TlsFiles) -> io::Result<Arc<rustls::ServerConfig>> {
    let chain = certificates("certificate", &files.cert)?;
    check_private(&files.key)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| invalid("key", &files.key, error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates("client CA", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| invalid("client CA", path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| invalid("client CA", path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| invalid("certificate", &files.cert, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// [`server_config`] for a listener that speaks HTTP/1.1 alone.
pub fn http1_config(files: &TlsFiles) -> io::Result<Arc<rustls::ServerConfig>> {
    let mut config = rustls::ServerConfig::clone(&*server_config(files)?);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A private key that everybody on the machine can read, or replace, is none. The group may.
fn check_private(path: &std::path::Path) -> io::Result<()> {
    const OTHERS: u32 = 0o006;
    let metadata = std::fs::metadata(path).map_err(|error| invalid("key", path, error))?;
    if metadata.is_file() && metadata.mode() & OTHERS != 0 {
        let remedy = format!(
            "it can be read by everybody on this machine: run `chmod o= {}`",
            path.display()
        );
        return Err(invalid("key", path, remedy));
    }
    Ok(())
}

fn certificates(what: &str, path: &std::path::Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| invalid(what, path, error))?;
    if chain.is_empty() {
        return Err(invalid(what, path, "no certificate in the file"));
    }
    Ok(chain)
}
