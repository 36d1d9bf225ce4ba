//! Certificates of a story's own: an authority, what it signs, and clients that trust nobody else.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::fs;
use std::path::{Path, PathBuf};

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for 127.0.0.1, and its key, as PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Files in which a server looks for its certificate and key.
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// A certificate that is good until February of that year.
    pub fn pair(&self, until_year: i32) -> Pair {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        params.not_after = date_time_ymd(until_year, 2, 3);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a signature");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Somebody who trusts this authority alone, and opens a connection for each request.
    pub fn client(&self) -> reqwest::Client {
        self.client_with(|builder| builder)
    }

    /// As [`Authority::client`], with more to it.
    pub fn client_with(
        &self,
        more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.0.pem().as_bytes()).expect("a certificate");
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]).pool_max_idle_per_host(0);
        more(builder).build().expect("an HTTP client")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// In this directory; nothing is in them yet.
    pub fn in_directory(directory: &Path) -> Self {
        Self { certificate: directory.join("server.pem"), key: directory.join("server.key") }
    }

    /// Writes both.
    pub fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.certificate, certificate).expect("a file");
        fs::write(&self.key, key).expect("a file");
    }

    /// Where the certificate is.
    pub fn certificate(&self) -> &str {
        self.certificate.to_str().expect("a path in UTF-8")
    }

    /// Where the key is.
    pub fn key(&self) -> &str {
        self.key.to_str().expect("a path in UTF-8")
    }
}
