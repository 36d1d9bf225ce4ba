//! What keeps TechTrack's secrets: the domain's ports for passwords, tokens, seals, randomness and time, kept by
//! argon2id, Ed25519 and AES. And TLS, with which secrets of others reach us.
//!
//! - [`Argon2Passwords`] hashes passwords, a few at a time, and knows the common ones.
//! - [`JwtTokens`] signs tokens and reads back only what this installation signed.
//! - [`AwsVault`] makes digests and seals.
//! - [`ServerCertificate`] is what clients see of TLS; [`to_own_server`] asks over TLS within one machine.
//! - [`SystemEntropy`] is the one source of secrets, [`SystemClock`] the one reader of the wall clock.
//!
//! What a token or a password *means* (who may do what, and until when) is not here but in `domain::sessions` and
//! `domain::users`; where keys and hashes are kept is the storage adapters' affair.

mod certificate;
mod clock;
mod entropy;
mod own_server;
mod passwords;
mod tokens;
mod vault;

pub use certificate::{CertificateError, ServerCertificate, server_config};
pub use clock::SystemClock;
pub use entropy::SystemEntropy;
pub use own_server::to_own_server;
pub use passwords::{Argon2Passwords, HashingSettings, HashingSettingsError, is_common_password};
pub use tokens::{JwtTokens, KeyError, TokenSettings, signing_keys_from_pem};
pub use vault::AwsVault;
