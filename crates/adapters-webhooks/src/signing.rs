//! Signatures as the Standard Webhooks want them: HMAC-SHA-256 over id, instant and body, once for each secret in force.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::ports::Parcel;
use domain::text::Secret;
use domain::webhooks::PREFIX;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// The headers by which a receiver knows what came, when it was sent, and that it is ours. Nothing when a secret is malformed.
pub(crate) fn headers(parcel: &Parcel, body: &[u8]) -> Option<HeaderMap> {
    let sent_at = parcel.sent_at.seconds().to_string();
    let signatures: Option<Vec<String>> =
        parcel.secrets.iter().map(|secret| signature(secret, &parcel.message, &sent_at, body)).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", parcel.message.clone()),
        ("webhook-timestamp", sent_at),
        ("webhook-signature", signatures?.join(" ")),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).ok()?);
    }
    Some(headers)
}

fn signature(secret: &Secret, message: &str, sent_at: &str, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.reveal().strip_prefix(PREFIX)?).ok()?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    for part in [message.as_bytes(), b".", sent_at.as_bytes(), b".", body] {
        context.update(part);
    }
    Some(format!("v1,{}", STANDARD.encode(context.sign())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specifications_example() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(signature(&Secret::new("whsec_*"), "m", "1", body), None);
        assert_eq!(signature(&Secret::new("other"), "m", "1", body), None);
    }
}
