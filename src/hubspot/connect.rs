//! One verified connection to the configured upstream, and to nothing else.
//!
//! The host is configuration: no request can choose it. TLS names and chains are always verified;
//! there is no switch to turn that off. A host *name* that resolves to a private, loopback or
//! link-local address is refused unless `upstream.allow_private` says so: DNS must not be able to
//! aim the gate at the inside of a network. An IP literal or `localhost` counts as configured.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::read_ahead::ReadAhead;

/// Where requests go: scheme, host and port of `upstream.url`, with the trust to verify it by.
#[derive(Clone)]
pub struct Upstream {
    origin: Arc<str>,
    host: Arc<str>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The certificates it is verified by, as they stand in their file; `None`: the system's.
    trust: Option<Arc<[u8]>>,
    allow_private: bool,
    configured_address: bool,
}

/// An upstream as it is at the moment.
pub struct Current {
    /// Where and by what trust.
    pub upstream: Upstream,
    /// Grows when trust is read anew: connections of an earlier one are not used again.
    pub version: u64,
}

/// The upstream, replaced as a whole when trust is read anew, for all that talk to it.
pub type SharedUpstream = Arc<arc_swap::ArcSwap<Current>>;

impl Upstream {
    /// The first version, for sharing.
    pub fn shared(self) -> SharedUpstream {
        Arc::new(arc_swap::ArcSwap::from_pointee(Current {
            upstream: self,
            version: 0,
        }))
    }
}

/// Why `upstream.url` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not an absolute http(s) URL.
    #[error("`upstream.url` is not a URL of the form `https://host[:port]`")]
    NotAUrl,
    /// Path, query or credentials in it.
    #[error("`upstream.url` must be an origin: no path, query or user in it")]
    NotAnOrigin,
    /// The host is not a name a certificate can carry.
    #[error("the host of `upstream.url` is not a valid server name")]
    NotAServerName,
}

impl Upstream {
    /// Reads `url`; `tls` is used when its scheme is `https`.
    pub fn new(
        url: &str,
        tls: Arc<rustls::ClientConfig>,
        allow_private: bool,
    ) -> Result<Self, UpstreamError> {
        let uri: http::Uri = url.parse().map_err(|_| UpstreamError::NotAUrl)?;
        let authority = uri.authority().ok_or(UpstreamError::NotAUrl)?;
        if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(UpstreamError::NotAnOrigin);
        }
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(UpstreamError::NotAUrl),
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| UpstreamError::NotAServerName)?;
            Some((TlsConnector::from(tls), name))
        } else {
            None
        };
        Ok(Self {
            origin: format!(
                "{}://{}",
                if secure { "https" } else { "http" },
                authority.as_str().to_ascii_lowercase()
            )
            .into(),
            configured_address: host.parse::<IpAddr>().is_ok() || host == "localhost",
            host: host.into(),
            port,
            tls,
            trust: None,
            allow_private,
        })
    }

    /// Says by which file's content it is verified.
    #[must_use]
    pub fn verified_by(mut self, pem: Option<Vec<u8>>) -> Self {
        self.trust = pem.map(Arc::from);
        self
    }

    /// Whether it is verified as `other` is: then connections to that one are as good.
    pub fn is_verified_as(&self, other: &Self) -> bool {
        self.trust == other.trust
    }

    /// `scheme://host[:port]`, lower case, as links in answers spell it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The `Host` value: host, and the port when the URL names one.
    pub fn authority(&self) -> &str {
        self.origin
            .split_once("://")
            .map_or("", |(_, authority)| authority)
    }

    /// Opens a connection: resolve, check, connect, handshake. No deadline of its own: the caller
    /// sets one around the whole.
    pub async fn connect(&self) -> io::Result<UpstreamStream> {
        let tcp = self.connect_tcp().await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(UpstreamStream::Plain(tcp)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), ReadAhead::new(tcp)).await?;
                Ok(UpstreamStream::Tls(Box::new(stream)))
            }
        }
    }

    async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the upstream's name has no address");
        for address in tokio::net::lookup_host((&*self.host, self.port)).await? {
            if !self.may_connect(address) {
                last = io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the upstream's name resolves to a private address; set `upstream.allow_private` if that is meant",
                );
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn may_connect(&self, address: SocketAddr) -> bool {
        self.allow_private || self.configured_address || !is_private(address.ip())
    }
}

/// Addresses that are not on the public internet (RFC 6890 special-purpose ranges that can reach
/// something).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
        }
        IpAddr::V6(ip) => {
            if let Some(mapped) = ip.to_ipv4_mapped() {
                return is_private(IpAddr::V4(mapped));
            }
            let first = ip.segments()[0];
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || (first == 0x64 && ip.segments()[1] == 0xff9b)
        }
    }
}

/// A connection to the upstream, in clear text or under TLS.
pub enum UpstreamStream {
    /// Only for an upstream of the operator's own choosing (the simulator).
    Plain(TcpStream),
    /// Chain and name verified.
    Tls(Box<TlsStream<ReadAhead<TcpStream>>>),
}

impl AsyncRead for UpstreamStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

/// [`client_tls`] towards `url`. One that needs TLS needs roots: without any, every request would fail.
pub fn upstream_tls(url: &str, ca_pem: Option<&[u8]>) -> io::Result<Arc<rustls::ClientConfig>> {
    let roots = roots(ca_pem)?;
    must_have_roots(url, &roots)?;
    with_roots(roots)
}

fn must_have_roots(url: &str, roots: &rustls::RootCertStore) -> io::Result<()> {
    let clear = url
        .parse()
        .is_ok_and(|url: http::Uri| url.scheme_str() == Some("http"));
    if clear || !roots.is_empty() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "not set, and no trusted root can be read on this system: install its CA certificates, let the gate read them \
         (`hardening.read`), or name a file",
    ))
}

/// TLS towards the upstream: TLS 1.2 or 1.3, HTTP/1.1 by ALPN, the system's roots or those in
/// `ca_pem`. `SSLKEYLOGFILE` is never honoured: no key log is installed.
pub fn client_tls(ca_pem: Option<&[u8]>) -> io::Result<Arc<rustls::ClientConfig>> {
    with_roots(roots(ca_pem)?)
}

fn roots(ca_pem: Option<&[u8]>) -> io::Result<rustls::RootCertStore> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let mut roots = rustls::RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            if roots.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "no certificate in the CA file",
                ));
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // A root the system trusts but rustls can't read is left out; the others stand.
                let _ = roots.add(certificate);
            }
        }
    }
    Ok(roots)
}

fn with_roots(roots: rustls::RootCertStore) -> io::Result<Arc<rustls::ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str, allow_private: bool) -> Result<Upstream, UpstreamError> {
        Upstream::new(url, client_tls(Some(TEST_CA)).unwrap(), allow_private)
    }

    #[test]
    fn an_upstream_with_tls_needs_somebody_to_trust() {
        let none = rustls::RootCertStore::empty();
        assert!(must_have_roots("http://127.0.0.1:9", &none).is_ok());
        let some = roots(Some(TEST_CA)).unwrap();
        for url in ["https://api.hubapi.com", "HTTPS://api.hubapi.com"] {
            let error = must_have_roots(url, &none).unwrap_err().to_string();
            assert!(error.contains("install its CA certificates"), "{error}");
            assert!(must_have_roots(url, &some).is_ok());
        }
    }

    const TEST_CA: &[u8] = include_bytes!("../../tests/data/ca.pem");

    #[test]
    fn connections_are_as_good_as_the_file_that_verified_them() {
        let by = |pem: Option<&[u8]>| {
            upstream("https://api.hubapi.com", false)
                .unwrap()
                .verified_by(pem.map(<[u8]>::to_vec))
        };
        assert!(by(Some(b"one")).is_verified_as(&by(Some(b"one"))));
        assert!(!by(Some(b"one")).is_verified_as(&by(Some(b"two"))));
        assert!(!by(Some(b"one")).is_verified_as(&by(None)));
    }

    #[test]
    fn only_an_origin_is_accepted() {
        assert!(upstream("https://api.hubapi.com", false).is_ok());
        for bad in [
            "api.hubapi.com",
            "ftp://x",
            "https://a@b",
            "https://x/y",
            "https://x?y",
            "",
        ] {
            assert!(upstream(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_resolves_inside_is_refused_unless_configured() {
        let inside: SocketAddr = "10.0.0.1:443".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:443".parse().unwrap();
        let public: SocketAddr = "104.16.1.1:443".parse().unwrap();
        let by_name = upstream("https://api.hubapi.com", false).unwrap();
        assert!(!by_name.may_connect(inside));
        assert!(!by_name.may_connect(mapped));
        assert!(by_name.may_connect(public));
        assert!(
            upstream("https://api.hubapi.com", true)
                .unwrap()
                .may_connect(inside)
        );
        assert!(upstream("http://127.0.0.1:1", false).unwrap().may_connect(mapped));
        assert!(upstream("http://localhost:1", false).unwrap().may_connect(mapped));
    }
}
