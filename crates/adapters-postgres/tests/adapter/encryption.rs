//! Whom each `sslmode` believes: tried on a server that encrypts with a certificate for `localhost`, made by
//! `tls/authority.pem`, and then refuses the connection in words that only whoever got that far can read.

use crate::{open, why_busy};
use adapters_postgres::Settings;
use domain::ports::Store;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const WORDS: &str = "nobody but the trusting hears this";

fn file(name: &str) -> String {
    format!("{}/tests/adapter/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Starts the server on a thread of its own; returns its port.
fn server() -> u16 {
    let certificate = CertificateDer::from_pem_file(file("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("localhost.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            // A client that does not trust us hangs up, which is what some of the tests are about.
            let _ = refuse(client.unwrap(), &config);
        }
    });
    port
}

fn refuse(mut client: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
    let mut encryption_request = [0; 8];
    client.read_exact(&mut encryption_request)?;
    client.write_all(b"S")?;
    let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(session, client);
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut start = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut start)?;
    let fields = format!("SFATAL\0VFATAL\0C28000\0M{WORDS}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    client.write_all(&[b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat())?;
    client.flush()
}

/// What came of connecting: the words, or why not.
async fn outcome(host: &str, parameters: &str) -> String {
    let url = format!("postgres://anna@{host}:{}/x?{parameters}", server());
    why_busy(&open(Settings::new(url)).reader().await.err().unwrap())
}

async fn hears(host: &str, parameters: &str) {
    let outcome = outcome(host, parameters).await;
    assert!(outcome.contains(WORDS), "{host} {parameters}: {outcome}");
}

async fn distrusts(host: &str, parameters: &str) {
    let outcome = outcome(host, parameters).await;
    assert!(outcome.contains("invalid peer certificate"), "{host} {parameters}: {outcome}");
}

fn trusting(mode: &str, authority: &str) -> String {
    format!("sslmode={mode}&sslrootcert={}", file(authority).replace('/', "%2F"))
}

#[tokio::test]
async fn encryption_alone_asks_nobody_who_they_are() {
    hears("localhost", "sslmode=require").await;
    hears("127.0.0.1", "sslmode=require").await;
    hears("localhost", "").await;
}

#[tokio::test]
async fn an_authority_that_is_trusted_vouches_for_the_server() {
    for mode in ["require", "verify-ca", "verify-full"] {
        hears("localhost", &trusting(mode, "authority.pem")).await;
    }
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_vouches_for_nobody() {
    for mode in ["require", "verify-ca", "verify-full"] {
        distrusts("localhost", &trusting(mode, "other-authority.pem")).await;
    }
    distrusts("localhost", "sslmode=verify-full&sslrootcert=system").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_good_enough_for_verify_ca_alone() {
    hears("127.0.0.1", &trusting("verify-ca", "authority.pem")).await;
    distrusts("127.0.0.1", &trusting("verify-full", "authority.pem")).await;
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_is_refused_where_encryption_is_required() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://anna@{}/x?sslmode=require", listener.local_addr().unwrap());
    let store = open(Settings::new(url));
    let (refusal, ()) = tokio::join!(async { store.reader().await.err().unwrap() }, async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut client, _) = listener.accept().await.unwrap();
        client.read_exact(&mut [0; 8]).await.unwrap();
        client.write_all(b"N").await.unwrap();
    });
    assert!(why_busy(&refusal).contains("does not support TLS"), "{refusal:?}");
}
