//! The courier against receivers of its own.

use super::*;
use domain::text::Secret;
use domain::webhooks::{Shape, secret_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn courier(allowed: &[&str], plain_http: bool) -> HttpCourier {
    let networks = allowed.iter().map(|network| network.parse().unwrap()).collect();
    let networks = Networks::allowing(networks);
    HttpCourier::new(Settings { networks, public_internet: true, plain_http }).unwrap()
}

fn parcel(url: &str) -> Parcel {
    Parcel {
        url: WebhookUrl::parse(url).unwrap(),
        shape: Shape::Generic,
        message: "msg_1".into(),
        sent_at: Timestamp::from_micros(0).unwrap(),
        notices: vec!["{}".into()],
        secrets: vec![secret_of(&"A".repeat(43)), Secret::new("whsec_AAAA")],
    }
}

/// A receiver that answers once like this; answers where it is, and what it heard.
async fn receiver(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"{}") {
            let mut more = [0; 4096];
            let count = stream.read(&mut more).await.unwrap();
            heard.extend_from_slice(&more[..count]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(heard).unwrap()
    });
    (address.to_string(), heard)
}

#[tokio::test]
async fn a_parcel_arrives_signed_with_every_secret_and_the_answer_is_told() {
    let (address, heard) = receiver(
        "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot\0 now!",
    )
    .await;
    let answer = courier(&["127.0.0.0/8"], false).deliver(&parcel(&format!("http://{address}/x"))).await;
    assert_eq!(answer.status, Some(503));
    assert_eq!(answer.text.as_deref(), Some("not  now!"));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    let heard = heard.await.unwrap();
    assert!(heard.starts_with("POST /x HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("webhook-id: msg_1\r\n") && heard.contains("webhook-timestamp: 0\r\n"), "{heard}");
    let signature = heard.lines().find_map(|line| line.strip_prefix("webhook-signature: ")).unwrap();
    assert_eq!(signature.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
}

#[test]
fn a_receiver_may_say_for_how_long_or_until_when_it_wants_to_be_left_alone() {
    let now = Timestamp::from_micros(1_445_412_420_000_000).unwrap();
    assert_eq!(wanted(" 120 ", now), Some(Duration::from_secs(120)));
    assert_eq!(wanted("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::from_secs(60)));
    assert_eq!(wanted("Wed, 21 Oct 2015 07:26:00 GMT", now), Some(Duration::ZERO));
    assert_eq!(wanted("soon", now), None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (address, _heard) =
        receiver("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
    let answer = courier(&["127.0.0.0/8"], false).deliver(&parcel(&format!("http://{address}/"))).await;
    assert_eq!(answer.status, Some(302));
    assert!(answer.failure().unwrap().contains("redirects"));
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let courier = courier(&["10.9.0.0/16"], true);
    for host in
        ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0"]
    {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let refusal = courier.refuse(&WebhookUrl::parse(&url).unwrap()).unwrap_err();
            assert_eq!(refusal.code, "forbidden_address", "{url}");
            assert_eq!(courier.deliver(&parcel(&url)).await.status, None, "{url}");
        }
    }
    for name in ["localhost", "LOCALHOST.", "ip6-localhost"] {
        let answer = courier.deliver(&parcel(&format!("http://{name}:{port}/"))).await;
        assert_eq!(answer.status, None, "{name}");
    }
    let refused = courier.deliver(&parcel(&format!("https://localhost:{port}/"))).await;
    assert!(refused.error.unwrap().contains("webhooks.allowed_networks"));
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "somebody came through");
}

#[test]
fn unencrypted_goes_only_where_the_operator_allowed_it() {
    let refuses =
        |courier: &HttpCourier, url: &str| courier.refuse(&WebhookUrl::parse(url).unwrap()).is_err();
    let strict = courier(&["10.9.0.0/16"], false);
    assert!(refuses(&strict, "http://1.1.1.1/") && !refuses(&strict, "https://1.1.1.1/"));
    assert!(!refuses(&strict, "http://10.9.1.1/") && refuses(&strict, "https://10.8.1.1/"));
    assert!(!refuses(&courier(&[], true), "http://1.1.1.1/"));
    let networks = Networks::allowing(vec!["10.9.0.0/16".parse().unwrap()]);
    let inner = HttpCourier::new(Settings { networks, public_internet: false, plain_http: true }).unwrap();
    assert!(refuses(&inner, "https://1.1.1.1/") && refuses(&inner, "http://1.1.1.1/"));
    assert!(!refuses(&inner, "https://10.9.1.1/") && !refuses(&inner, "http://10.9.1.1/"));
}

#[tokio::test]
async fn nobody_there_is_told_without_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = courier(&["127.0.0.0/8"], false).deliver(&parcel(&format!("http://{address}/secret"))).await;
    let error = answer.error.unwrap();
    assert!(error.starts_with("no connection") && !error.contains("secret"), "{error}");
}
