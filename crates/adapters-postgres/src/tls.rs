//! Encryption on the way to the database, as `sslmode` asks for it.
//!
//! tokio-postgres knows whether to encrypt; whom to believe is decided here, with libpq's meanings.

use crate::connect::ConnectError;
use percent_encoding::percent_decode_str;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whom to believe that they are the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Anybody: the link is encrypted, if it is, against listeners only.
    Anybody,
    /// Whoever has a certificate of a trusted authority.
    Certified(Authorities),
    /// Whoever has one for the host's name.
    Named(Authorities),
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authorities {
    /// The machine's.
    OfTheMachine,
    /// Those in this PEM file.
    InFile(PathBuf),
}

/// Takes out of the URL what tokio-postgres does not understand of TLS, and says what it meant.
pub(crate) fn split_off(url: &str) -> Result<(String, Tls), ConnectError> {
    // As tokio-postgres reads it: what comes before the first @ are credentials, whatever letters they have.
    let credentials = url.find('@').unwrap_or(0);
    let Some(mark) = url.get(credentials..).and_then(|rest| rest.find('?')).map(|at| credentials + at) else {
        return Ok((url.to_owned(), Tls::Anybody));
    };
    let (address, parameters) = url.split_at(mark);
    let mut kept = Vec::new();
    let (mut mode, mut authorities) = (None, None);
    for parameter in parameters.trim_start_matches('?').split('&').filter(|text| !text.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => authorities = Some(authorities_named(value)),
            _ => kept.push(parameter.to_owned()),
        }
    }
    let verify = authorities.clone();
    let authorities = authorities.unwrap_or(Authorities::OfTheMachine);
    let (mode, tls) = match mode {
        None => (None, Tls::Anybody),
        Some("disable") => (Some("disable"), Tls::Anybody),
        // libpq would try without encryption first; nothing is lost by trying with it.
        Some("allow" | "prefer") => (Some("prefer"), Tls::Anybody),
        Some("require") => (Some("require"), verify.map_or(Tls::Anybody, Tls::Certified)),
        Some("verify-ca") => (Some("require"), Tls::Certified(authorities)),
        Some("verify-full") => (Some("require"), Tls::Named(authorities)),
        Some(unknown) => return Err(ConnectError::SslMode(unknown.to_owned())),
    };
    kept.extend(mode.map(|mode| format!("sslmode={mode}")));
    Ok((format!("{address}?{}", kept.join("&")), tls))
}

fn authorities_named(value: &str) -> Authorities {
    match percent_decode_str(value).decode_utf8_lossy().as_ref() {
        "system" => Authorities::OfTheMachine,
        path => Authorities::InFile(PathBuf::from(path)),
    }
}

impl Tls {
    /// What tokio-postgres encrypts with.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, ConnectError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ConnectError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConnectError> {
        let algorithms = provider.signature_verification_algorithms;
        Ok(match self {
            Tls::Anybody => Arc::new(Nameless { authorities: None, algorithms }),
            Tls::Certified(authorities) => {
                Arc::new(Nameless { authorities: Some(authorities.load()?), algorithms })
            }
            Tls::Named(authorities) => WebPkiServerVerifier::builder_with_provider(
                Arc::new(authorities.load()?),
                Arc::clone(provider),
            )
            .build()
            .map_err(|_| ConnectError::NoAuthority)?,
        })
    }
}

impl Authorities {
    fn load(&self) -> Result<RootCertStore, ConnectError> {
        let certificates = match self {
            Authorities::OfTheMachine => rustls_native_certs::load_native_certs().certs,
            Authorities::InFile(path) => certificates_in(path)
                .map_err(|source| ConnectError::RootCertificates { path: path.clone(), source })?,
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        if store.is_empty() {
            return Err(ConnectError::NoAuthority);
        }
        Ok(store)
    }
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

/// Believes every certificate, or every one of the authorities, whatever name is in it.
#[derive(Debug)]
struct Nameless {
    authorities: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Nameless {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(authorities) = &self.authorities {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                authorities,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(parameters: &str) -> (String, Tls) {
        let (url, tls) = split_off(&format!("postgres://a:p?w@db/x{parameters}")).unwrap();
        (url.replace("postgres://a:p?w@db/x", ""), tls)
    }

    #[test]
    fn each_mode_says_whom_to_believe() {
        let machine = Authorities::OfTheMachine;
        let cases = [
            ("", "", Tls::Anybody),
            ("?sslmode=disable", "?sslmode=disable", Tls::Anybody),
            ("?sslmode=allow", "?sslmode=prefer", Tls::Anybody),
            ("?sslmode=prefer", "?sslmode=prefer", Tls::Anybody),
            ("?sslmode=require", "?sslmode=require", Tls::Anybody),
            ("?sslmode=verify-ca", "?sslmode=require", Tls::Certified(machine.clone())),
            ("?sslmode=verify-full", "?sslmode=require", Tls::Named(machine)),
        ];
        for (parameters, kept, tls) in cases {
            assert_eq!(meaning(parameters), (kept.to_owned(), tls), "{parameters}");
        }
    }

    #[test]
    fn authorities_of_ones_own_are_asked_even_where_encryption_alone_is_required() {
        let (kept, tls) = meaning("?sslrootcert=%2Fetc%2Four%20ca.pem&connect_timeout=3&sslmode=require");
        assert_eq!(kept, "?connect_timeout=3&sslmode=require");
        assert_eq!(tls, Tls::Certified(Authorities::InFile("/etc/our ca.pem".into())));
        let (_, tls) = meaning("?sslmode=verify-full&sslrootcert=system");
        assert_eq!(tls, Tls::Named(Authorities::OfTheMachine));
    }

    #[test]
    fn an_unknown_mode_is_refused_by_name() {
        let refused = split_off("postgres://db/x?sslmode=maybe").unwrap_err();
        assert!(refused.to_string().starts_with("sslmode=maybe is unknown"), "{refused}");
    }

    #[test]
    fn authorities_that_cannot_be_read_are_refused_by_path() {
        let refused = Tls::Named(Authorities::InFile("/nowhere/ca.pem".into())).connector().err().unwrap();
        assert!(refused.to_string().contains("/nowhere/ca.pem"), "{refused}");
    }
}
