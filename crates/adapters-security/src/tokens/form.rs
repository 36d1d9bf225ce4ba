//! How claims look on the wire: a JWT's header and body, as narrow as we write them ourselves.

use super::TokenSettings;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::{SessionId, UserId};
use domain::sessions::{Claims, Purpose};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Deserializer, Serialize};

/// The header of a token for this purpose, signed with this key.
pub(super) fn head(purpose: Purpose, kid: &str) -> Header {
    Header {
        typ: Some(Kind::of(purpose).typ().to_owned()),
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::EdDSA)
    }
}

/// What a token's header may say, and has to. Whoever says more (`crit`, `jwk`, `x5u`, …) wants something that we do not
/// do; the algorithm is not among what a token may choose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    typ: String,
    #[serde(rename = "alg")]
    _alg: OurAlgorithm,
    pub(super) kid: String,
}

#[derive(Deserialize)]
enum OurAlgorithm {
    EdDSA,
}

impl Head {
    /// Reads the header of a token whose signature nobody has checked yet.
    pub(super) fn read(token: &str) -> Option<Self> {
        let (head, _) = token.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()
    }
}

/// The body of a token.
#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    sid: i64,
    token_type: Kind,
    user_id: i64,
    #[serde(rename = "gen", default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
}

impl Body {
    pub(super) fn of(claims: &Claims, settings: &TokenSettings) -> Self {
        let generation = match claims.purpose {
            Purpose::Access => None,
            Purpose::Refresh { generation } => Some(generation),
        };
        Self {
            iss: settings.issuer.clone(),
            aud: settings.audience.clone(),
            sub: claims.user.to_string(),
            exp: claims.expires_at,
            nbf: claims.issued_at,
            iat: claims.issued_at,
            jti: claims.id.clone(),
            sid: claims.session.get(),
            token_type: Kind::of(claims.purpose),
            user_id: claims.user.get(),
            generation,
        }
    }

    /// The claims, if everything that is said twice is said the same both times.
    pub(super) fn into_claims(self, head: &Head) -> Option<Claims> {
        let user = UserId::new(self.user_id)?;
        let agrees =
            head.typ == self.token_type.typ() && self.sub == user.to_string() && self.nbf == self.iat;
        let purpose = match (self.token_type, self.generation) {
            (Kind::Access, None) => Purpose::Access,
            (Kind::Refresh, Some(generation)) if generation > 0 => Purpose::Refresh { generation },
            (Kind::Access | Kind::Refresh, _) => return None,
        };
        agrees.then_some(Claims {
            purpose,
            user,
            session: SessionId::new(self.sid)?,
            id: self.jti,
            issued_at: self.iat,
            expires_at: self.exp,
        })
    }
}

/// An optional claim that, where it is, is a number.
fn not_null<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(claim).map(Some)
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Access,
    Refresh,
}

impl Kind {
    fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Access => Kind::Access,
            Purpose::Refresh { .. } => Kind::Refresh,
        }
    }

    /// The header's media type: RFC 9068's for access tokens, one alike for refresh tokens.
    const fn typ(self) -> &'static str {
        match self {
            Kind::Access => "at+jwt",
            Kind::Refresh => "rt+jwt",
        }
    }
}
