//! Tokens as attackers make them: with keys of their own, with words changed, and (where only claims are at stake) even
//! with our own key.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Header};
use serde_json::{Map, Value, json};

struct Target {
    tokens: JwtTokens,
    key: SigningKey,
}

fn target() -> Target {
    let tokens = JwtTokens::new(TokenSettings { issuer: "plant-1".into(), audience: "techtrack".into() });
    let key = tokens.generate(Timestamp::MIN).unwrap();
    tokens.install(std::slice::from_ref(&key)).unwrap();
    Target { tokens, key }
}

fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

impl Target {
    fn genuine(&self) -> String {
        self.tokens.sign(&claims(Purpose::Access)).unwrap()
    }

    fn head(&self) -> Value {
        json!({"typ": "at+jwt", "alg": "EdDSA", "kid": self.key.id})
    }

    /// A token with these very texts, signed with our own key.
    fn signed(&self, head: &str, body: &str) -> String {
        let message = format!("{}.{}", encode(head), encode(body));
        let key = EncodingKey::from_ed_der(&self.key.private);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn read_signed(&self, head: &Value, body: &Value) -> Result<Claims, TokenError> {
        self.tokens.read(&self.signed(&head.to_string(), &body.to_string()))
    }

    #[track_caller]
    fn refuses(&self, token: &str) {
        assert_eq!(self.tokens.read(token), Err(TokenError::Invalid), "{token}");
    }
}

fn claims(purpose: Purpose) -> Claims {
    Claims {
        purpose,
        user: UserId::new(42).unwrap(),
        session: SessionId::new(7).unwrap(),
        id: "jti".into(),
        issued_at: 1000,
        expires_at: 1600,
    }
}

fn access() -> Value {
    json!({
        "iss": "plant-1", "aud": "techtrack", "sub": "42", "exp": 1600, "nbf": 1000, "iat": 1000, "jti": "jti", "sid": 7,
        "token_type": "access", "user_id": 42,
    })
}

fn refresh() -> Value {
    with(&access(), &[("token_type", json!("refresh")), ("gen", json!(3))])
}

/// The object with these members added or changed.
fn with(object: &Value, members: &[(&str, Value)]) -> Value {
    let mut object: Map<String, Value> = object.as_object().unwrap().clone();
    for (name, value) in members {
        object.insert((*name).to_owned(), value.clone());
    }
    object.into()
}

fn without(object: &Value, name: &str) -> Value {
    let mut object: Map<String, Value> = object.as_object().unwrap().clone();
    object.remove(name).unwrap();
    object.into()
}

#[test]
fn the_corpus_starts_from_tokens_that_are_good() {
    let target = target();
    assert_eq!(target.read_signed(&target.head(), &access()), Ok(claims(Purpose::Access)));
    let head = with(&target.head(), &[("typ", json!("rt+jwt"))]);
    assert_eq!(target.read_signed(&head, &refresh()), Ok(claims(Purpose::Refresh { generation: 3 })));
}

#[test]
fn no_algorithm_but_ours_is_believed() {
    let target = target();
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "ES256", "RS256", "EDDSA", "Ed25519"] {
        let head = encode(with(&target.head(), &[("alg", json!(alg))]).to_string());
        let body = encode(access().to_string());
        target.refuses(&format!("{head}.{body}."));
        let (_, signature) =
            target.genuine().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        target.refuses(&format!("{head}.{body}.{signature}"));
        target.refuses(
            &target.signed(&with(&target.head(), &[("alg", json!(alg))]).to_string(), &access().to_string()),
        );
    }
}

#[test]
fn the_public_key_is_not_taken_for_a_shared_secret() {
    let target = target();
    let public = &target.key.public;
    let secrets: [Vec<u8>; 3] =
        [public.clone(), encode(public).into_bytes(), target.key.id.clone().into_bytes()];
    for secret in secrets {
        for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let head =
                Header { typ: Some("at+jwt".into()), kid: Some(target.key.id.clone()), ..Header::new(alg) };
            let token = jsonwebtoken::encode(&head, &access(), &EncodingKey::from_secret(&secret)).unwrap();
            target.refuses(&token);
            let (message, signature) = token.rsplit_once('.').unwrap();
            let (_, body) = message.split_once('.').unwrap();
            target.refuses(&format!("{}.{body}.{signature}", encode(target.head().to_string())));
        }
    }
}

#[test]
fn a_stranger_who_uses_our_key_name_is_refused() {
    let (target, stranger) = (target(), self::target());
    let head = target.head().to_string();
    target.refuses(&stranger.signed(&head, &access().to_string()));
    let smuggled = with(
        &target.head(),
        &[("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&stranger.key.public)}))],
    );
    target.refuses(&stranger.signed(&smuggled.to_string(), &access().to_string()));
}

#[test]
fn a_purpose_cannot_be_swapped_for_the_other() {
    let target = target();
    let refresh_head = with(&target.head(), &[("typ", json!("rt+jwt"))]);
    let swapped = [
        (refresh_head.clone(), access()),
        (target.head(), refresh()),
        (target.head(), with(&refresh(), &[("token_type", json!("access"))])),
        (refresh_head.clone(), without(&refresh(), "gen")),
        (refresh_head.clone(), with(&access(), &[("token_type", json!("refresh"))])),
        (refresh_head, with(&refresh(), &[("gen", json!(0))])),
    ];
    for (head, body) in swapped {
        target.refuses(&target.signed(&head.to_string(), &body.to_string()));
    }
    for typ in [
        json!("JWT"),
        json!("AT+JWT"),
        json!("application/at+jwt"),
        json!(""),
        json!(null),
        json!(["at+jwt"]),
    ] {
        assert_eq!(
            target.read_signed(&with(&target.head(), &[("typ", typ)]), &access()),
            Err(TokenError::Invalid)
        );
    }
    assert_eq!(target.read_signed(&without(&target.head(), "typ"), &access()), Err(TokenError::Invalid));
}

#[test]
fn a_header_that_says_more_than_ours_is_refused() {
    let target = target();
    let members = [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("jku", json!("https://attacker.example/keys")),
        ("x5u", json!("https://attacker.example/certificate")),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ];
    for member in members {
        assert_eq!(
            target.read_signed(&with(&target.head(), std::slice::from_ref(&member)), &access()),
            Err(TokenError::Invalid),
            "{member:?}"
        );
    }
}

#[test]
fn a_key_name_only_ever_selects_one_of_our_keys() {
    let target = target();
    let names = [
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "' OR '1'='1",
        "https://attacker.example/key",
        "%00",
        "",
        " ",
        "0",
        &target.key.id.to_lowercase().replace(|c: char| c.is_ascii_digit(), "x"),
        &format!("{}\0", target.key.id),
        &format!(" {}", target.key.id),
        &format!("{}/../{0}", target.key.id),
    ];
    for name in names {
        let head = with(&target.head(), &[("kid", json!(name))]);
        assert_eq!(target.read_signed(&head, &access()), Err(TokenError::UnknownKey), "{name:?}");
    }
    for name in [json!(null), json!(0), json!([target.key.id]), json!({"kid": target.key.id})] {
        assert_eq!(
            target.read_signed(&with(&target.head(), &[("kid", name)]), &access()),
            Err(TokenError::Invalid)
        );
    }
    assert_eq!(target.read_signed(&without(&target.head(), "kid"), &access()), Err(TokenError::Invalid));
}

#[test]
fn no_claim_may_be_missing_or_of_another_type() {
    let target = target();
    let refresh_head = with(&target.head(), &[("typ", json!("rt+jwt"))]);
    for name in refresh().as_object().unwrap().keys() {
        let verdict = target.read_signed(&refresh_head, &without(&refresh(), name));
        assert_eq!(verdict, Err(TokenError::Invalid), "without {name}");
        let values = [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(1.5),
            json!(""),
            json!("x"),
            json!(-1),
            json!(1e300),
        ];
        for value in values {
            let body = with(&refresh(), &[(name, value.clone())]);
            let verdict = target.read_signed(&refresh_head, &body);
            // A token may be called anything.
            let free = name == "jti" && value.is_string();
            assert_eq!(verdict.is_ok(), free, "{name}: {value}");
        }
    }
}

#[test]
fn claims_that_contradict_each_other_or_us_are_refused() {
    let target = target();
    let bodies = [
        ("iss", json!("plant-2")),
        ("iss", json!("Plant-1")),
        ("iss", json!(["plant-1"])),
        ("iss", json!("plant-1 ")),
        ("aud", json!("other")),
        ("aud", json!(["techtrack"])),
        ("aud", json!(["techtrack", "other"])),
        ("sub", json!("43")),
        ("sub", json!("042")),
        ("sub", json!("+42")),
        ("sub", json!(42)),
        ("user_id", json!(43)),
        ("user_id", json!("42")),
        ("user_id", json!(42.0)),
        ("user_id", json!(-42)),
        ("sid", json!("7")),
        ("sid", json!(0)),
        ("sid", json!(7.0)),
        ("nbf", json!(999)),
        ("nbf", json!(1001)),
        ("nbf", json!(1000.0)),
        ("iat", json!("1000")),
        ("exp", json!("1600")),
        ("exp", json!(1600.5)),
        ("exp", json!(u64::MAX)),
        ("token_type", json!("ACCESS")),
        ("gen", json!(1)),
        ("gen", json!(null)),
    ];
    for (name, value) in bodies {
        let verdict = target.read_signed(&target.head(), &with(&access(), &[(name, value.clone())]));
        assert_eq!(verdict, Err(TokenError::Invalid), "{name}: {value}");
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    let target = target();
    let (head, body) = (target.head().to_string(), access().to_string());
    for (name, value) in access().as_object().unwrap() {
        let twice = format!("{{\"{name}\":{value},{}", &body[1..]);
        target.refuses(&target.signed(&head, &twice));
    }
    for (name, value) in target.head().as_object().unwrap() {
        let twice = format!("{{\"{name}\":{value},{}", &head[1..]);
        target.refuses(&target.signed(&twice, &body));
    }
}

#[test]
fn texts_that_are_not_quite_a_token_are_refused() {
    let target = target();
    let genuine = target.genuine();
    let parts: Vec<&str> = genuine.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("{genuine}") };
    let padded = |part: &str| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
    let texts = [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        "\0".into(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{genuine}."),
        format!("{genuine}.{signature}"),
        format!("{genuine} "),
        format!(" {genuine}"),
        format!("{genuine}\n"),
        format!("{genuine}A"),
        format!("{genuine}="),
        format!("Bearer {genuine}"),
        format!("{head}.{body}.{}", padded(signature)),
        format!("{}.{body}.{signature}=", padded(head)),
        format!("{head}\n.{body}.{signature}"),
        genuine.replace('.', "。"),
        target.signed("{}", &access().to_string()),
        target.signed("[]", "[]"),
        target.signed("null", "null"),
        target.signed(&target.head().to_string(), &format!("{}x", access())),
        target.signed(&format!("{}x", target.head()), &access().to_string()),
        target.signed(
            &target.head().to_string(),
            "[\"plant-1\",\"techtrack\",\"42\",1600,1000,1000,\"jti\",7,\"access\",42]",
        ),
        target.signed(&format!("{}{}", "[".repeat(500), "]".repeat(500)), "{}"),
    ];
    for text in texts {
        target.refuses(&text);
    }
}

#[test]
fn no_letter_of_a_token_can_be_changed_or_lost() {
    let target = target();
    let genuine = target.genuine();
    for position in 0..genuine.len() {
        for bit in 0..7 {
            let mut bytes = genuine.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(target.tokens.read(&changed).is_err(), "bit {bit} of letter {position}");
        }
        assert!(target.tokens.read(&genuine[..position]).is_err(), "the first {position} letters");
    }
}

#[test]
fn a_signature_has_one_spelling() {
    let target = target();
    let genuine = target.genuine();
    let (rest, last) = genuine.split_at(genuine.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/";
    // 64 bytes leave four bits of the last letter unused: 15 other letters would decode to the same signature.
    let accepted: Vec<char> =
        alphabet.chars().filter(|letter| target.tokens.read(&format!("{rest}{letter}")).is_ok()).collect();
    assert_eq!(accepted, last.chars().collect::<Vec<_>>());
}

#[test]
fn a_token_beyond_four_kilobytes_is_not_even_read() {
    let target = target();
    let sized = |letters: usize| with(&access(), &[("jti", json!("x".repeat(letters)))]);
    assert!(target.read_signed(&target.head(), &sized(2000)).is_ok());
    assert_eq!(target.read_signed(&target.head(), &sized(4000)), Err(TokenError::Invalid));
    target.refuses(&"a".repeat(10_000_000));
}

#[test]
fn a_stranger_verifying_our_tokens_needs_nothing_but_the_public_key() {
    let target = target();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["techtrack"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_ed_der(&target.key.public);
    let read = jsonwebtoken::decode::<Value>(target.genuine(), &key, &validation).unwrap();
    assert_eq!(read.claims, access());
}
