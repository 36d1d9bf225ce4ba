//! The certificate that a server shows to its clients, and its key: read from two files, and read again when they change.

use domain::time::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::{fmt, io};
use x509_cert::der::Decode;

/// A certificate and its key, in files.
#[derive(Debug)]
pub struct ServerCertificate {
    files: Files,
    shown: RwLock<Shown>,
    /// What the files looked like when they were read last.
    seen: Mutex<Option<[Trait; 2]>>,
    loaded: AtomicU64,
    failed: AtomicU64,
}

/// Where they are.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Clone, Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    expires_at: Option<Timestamp>,
}

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or holds something else.
    #[error("{what} in {} cannot be read", path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// A file has no certificate in it.
    #[error("there is no certificate in {}", .0.display())]
    None(PathBuf),
    /// The two do not belong together, or are of a kind that nobody could use.
    #[error("the certificate in {} and the key in {} cannot be used together", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// What tells that a file is not the one that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trait {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl ServerCertificate {
    /// Reads both files: PEM, the server's own certificate first and those that lead to a known authority behind it.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let seen = files.traits();
        let shown = files.read()?;
        Ok(Self {
            files,
            shown: RwLock::new(shown),
            seen: Mutex::new(seen),
            loaded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Reads both files again. Connections that come from now on see what is in them; when they cannot be used the pair before
    /// stays.
    pub fn reload(&self) -> Result<(), CertificateError> {
        *self.seen() = self.files.traits();
        let read = self.files.read();
        let counter = if read.is_ok() { &self.loaded } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = read?;
        Ok(())
    }

    /// Whether the files are not those that were read last. Who writes them one after the other is given until the next time
    /// that somebody asks.
    pub fn has_changed(&self) -> bool {
        let now = self.files.traits();
        now.is_some() && now != *self.seen()
    }

    /// Until when the certificate is good.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).expires_at
    }

    /// How often a new pair was read, and how often there was none that could be used.
    pub fn reloads(&self) -> (u64, u64) {
        (self.loaded.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    fn seen(&self) -> MutexGuard<'_, Option<[Trait; 2]>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// TLS 1.2 and 1.3, showing that certificate, whatever it is at the time.
pub fn server_config(certificate: Arc<ServerCertificate>) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
    Ok(builder.with_no_client_auth().with_cert_resolver(certificate))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl Files {
    fn read(&self) -> Result<Shown, CertificateError> {
        let unreadable = |what, path: &Path| {
            let path = path.to_owned();
            move |source| CertificateError::File { what, path, source }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(unreadable("the certificate", &self.certificate))?;
        let own = chain.first().ok_or_else(|| CertificateError::None(self.certificate.clone()))?;
        let expires_at = expiry(own);
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(unreadable("the private key", &self.key))?;
        let pair = CertifiedKey::from_der(chain, key, &provider());
        let key = pair.map_err(|source| CertificateError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })?;
        Ok(Shown { key: Arc::new(key), expires_at })
    }

    fn traits(&self) -> Option<[Trait; 2]> {
        let of = |path: &Path| -> io::Result<Trait> { Ok(Trait::of(&fs::metadata(path)?)) };
        Some([of(&self.certificate).ok()?, of(&self.key).ok()?])
    }
}

impl Trait {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let read = x509_cert::Certificate::from_der(certificate).ok()?;
    let since_1970 = read.tbs_certificate.validity.not_after.to_unix_duration();
    Timestamp::from_micros(i64::try_from(since_1970.as_micros()).ok()?)
}

/// The paths alone: they are what people know it by.
impl fmt::Display for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.files.certificate.display(), self.files.key.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    struct Pair {
        certificate: String,
        key: String,
    }

    fn pair(expires_in_year: i32) -> Pair {
        let mut params = CertificateParams::new(["plant.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(expires_in_year, 2, 3);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, certificate: &str, key: &str) {
            fs::write(self.path("cert.pem"), certificate).unwrap();
            fs::write(self.path("key.pem"), key).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn open(&self) -> Result<ServerCertificate, CertificateError> {
            ServerCertificate::open(&self.path("cert.pem"), &self.path("key.pem"))
        }
    }

    fn day(year: i32) -> Option<Timestamp> {
        Some(Timestamp::parse(&format!("{year}-02-03T00:00:00Z")).unwrap())
    }

    #[test]
    fn a_pair_is_shown_until_another_one_is_read() {
        let (place, first, second) = (Place::new(), pair(2040), pair(2041));
        place.write(&first.certificate, &first.key);
        let shown = place.open().unwrap();
        assert_eq!(shown.expires_at(), day(2040));
        assert!(!shown.has_changed());
        place.write(&second.certificate, &second.key);
        assert!(shown.has_changed());
        assert_eq!(shown.expires_at(), day(2040));
        shown.reload().unwrap();
        assert_eq!((shown.expires_at(), shown.has_changed()), (day(2041), false));
        assert_eq!(shown.reloads(), (1, 0));
    }

    #[test]
    fn a_pair_that_cannot_be_used_leaves_the_one_before_and_is_not_tried_again_and_again() {
        let (place, first, second) = (Place::new(), pair(2040), pair(2041));
        place.write(&first.certificate, &first.key);
        let shown = place.open().unwrap();
        place.write(&second.certificate, &first.key);
        let refusal = shown.reload().unwrap_err();
        assert!(refusal.to_string().contains("cert.pem") && refusal.to_string().contains("key.pem"));
        assert_eq!((shown.expires_at(), shown.reloads()), (day(2040), (0, 1)));
        assert!(!shown.has_changed());
        place.write(&second.certificate, &second.key);
        assert!(shown.has_changed());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let (place, good) = (Place::new(), pair(2040));
        assert!(place.open().unwrap_err().to_string().contains("cert.pem"));
        place.write("nothing", &good.key);
        assert!(place.open().unwrap_err().to_string().contains("no certificate in"));
        place.write(&good.certificate, "nothing");
        let refusal = place.open().unwrap_err().to_string();
        assert!(refusal.contains("private key") && refusal.contains("key.pem"), "{refusal}");
        place.write(&good.certificate, &pair(2040).key);
        assert!(place.open().unwrap_err().to_string().contains("cannot be used together"));
    }
}
