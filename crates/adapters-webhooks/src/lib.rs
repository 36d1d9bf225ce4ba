//! Carrying notices to receivers outside, over HTTP.
//!
//! # The map
//! - [`HttpCourier`] is the port's implementation: it puts a notice into its shape, signs it, sends it once and tells what came
//!   of it.
//! - `words` is the notice as it is kept and as receivers of the generic shape get it; `shapes` makes the other shapes of it.
//! - `signing` signs as the Standard Webhooks want it.
//! - `networks` says which addresses may be reached, `reach` sees to it that no other one is, whatever name it goes by.
//!
//! When something is sent, and when again, is the domain's: [`domain::app::delivering`].

mod networks;
mod reach;
mod shapes;
mod signing;
mod words;

pub use networks::Networks;

use crate::reach::{Reach, Refused};
use async_trait::async_trait;
use chrono::DateTime;
use domain::error::Reason;
use domain::ports::{Courier, Parcel};
use domain::time::Timestamp;
use domain::webhooks::schedule::Answer;
use domain::webhooks::{Notice, WebhookUrl};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How long connecting may take, and all of it.
const TO_CONNECT: Duration = Duration::from_secs(3);
const IN_ALL: Duration = Duration::from_secs(10);

/// For how long a connection is kept for the next parcel.
const IDLE: Duration = Duration::from_secs(20);

/// How much of an answer is read.
const MOST_READ: usize = 1024;

/// Which way webhooks may go.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which networks are allowed by name.
    pub networks: Networks,
    /// Whether the public internet is allowed, too.
    pub public_internet: bool,
    /// Whether unencrypted, too, to where the public reaches as well. Allowed networks may be reached so in any case.
    pub plain_http: bool,
}

/// The courier could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be set up for webhooks")]
pub struct SetupError(#[source] reqwest::Error);

/// Carries notices over HTTP. Believes no proxy that the environment names, follows no redirect.
pub struct HttpCourier {
    settings: Settings,
    /// For what may go anywhere: `https`, and perhaps `http`.
    anywhere: Client,
    /// Else: to allowed networks alone.
    nearby: Client,
}

impl HttpCourier {
    /// A courier who goes where the settings allow.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let client = |reach: Reach| {
            Client::builder()
                .user_agent(concat!("techtrack/", env!("CARGO_PKG_VERSION")))
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .connect_timeout(TO_CONNECT)
                .timeout(IN_ALL)
                .pool_max_idle_per_host(2)
                .pool_idle_timeout(IDLE)
                .dns_resolver(Arc::new(reach))
                .build()
                .map_err(SetupError)
        };
        let networks = &settings.networks;
        Ok(Self {
            anywhere: client(Reach::to_public_and(networks.clone()))?,
            nearby: client(Reach::to_nothing_but(networks.clone()))?,
            settings,
        })
    }

    fn reach(&self, url: &Url) -> Reach {
        let networks = self.settings.networks.clone();
        if self.goes_anywhere(url) { Reach::to_public_and(networks) } else { Reach::to_nothing_but(networks) }
    }

    fn goes_anywhere(&self, url: &Url) -> bool {
        self.settings.public_internet && (url.scheme() == "https" || self.settings.plain_http)
    }

    /// The address, unless it is one that may not be reached.
    fn checked(&self, url: &WebhookUrl) -> Result<Url, Reason> {
        let url = Url::parse(url.reveal())
            .map_err(|_| Reason::new("url", "must be an address of https or http"))?;
        let literal = url.host_str().and_then(reach::literal);
        match literal {
            Some(address) if !self.reach(&url).covers(address) => {
                let why = self.reach(&url).refusal().why();
                Err(Reason::new("forbidden_address", format!("must not be there: {why}")))
            }
            _ => Ok(url),
        }
    }

    async fn send(&self, url: Url, headers: HeaderMap, body: Vec<u8>) -> Result<Response, reqwest::Error> {
        let client = if self.goes_anywhere(&url) { &self.anywhere } else { &self.nearby };
        client.post(url).headers(headers).header(CONTENT_TYPE, "application/json").body(body).send().await
    }
}

#[async_trait]
impl Courier for HttpCourier {
    fn word(&self, notice: &Notice) -> String {
        words::word(notice)
    }

    fn refuse(&self, url: &WebhookUrl) -> Result<(), Reason> {
        self.checked(url).map(drop)
    }

    async fn deliver(&self, parcel: &Parcel) -> Answer {
        let failed = |error: String| Answer { error: Some(error), ..Answer::default() };
        let url = match self.checked(&parcel.url) {
            Ok(url) => url,
            Err(reason) => return failed(format!("the address {}", reason.message)),
        };
        let Some(body) = shapes::body(parcel.shape, &parcel.notices) else {
            return failed("what there is to say cannot be read any more".to_owned());
        };
        let Some(headers) = signing::headers(parcel, &body) else {
            return failed("the secret is not one that signs".to_owned());
        };
        match self.send(url, headers, body).await {
            Ok(response) => answer(response, parcel.sent_at).await,
            Err(error) => failed(told(&error)),
        }
    }
}

async fn answer(mut response: Response, sent_at: Timestamp) -> Answer {
    let status = Some(response.status().as_u16());
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| wanted(value, sent_at));
    let mut read = Vec::new();
    // What went wrong after the status is of no matter: the receiver has decided.
    while read.len() < MOST_READ
        && let Ok(Some(more)) = response.chunk().await
    {
        read.extend_from_slice(&more);
    }
    read.truncate(MOST_READ);
    let text = readable(&String::from_utf8_lossy(&read));
    Answer { status, error: None, text: Some(text).filter(|text| !text.is_empty()), retry_after }
}

/// How long the receiver wants to be left alone: so many seconds, or until an instant.
fn wanted(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some(Timestamp::from_micros(until.timestamp_micros())?.since(now))
}

/// Without what neither a log nor a database likes.
fn readable(text: &str) -> String {
    let letter = |letter: char| if letter.is_control() && letter != '\n' { ' ' } else { letter };
    text.trim().chars().map(letter).collect()
}

/// What went wrong, from the innermost cause, and without the address, which may be a secret.
fn told(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        if let Some(refused) = source.downcast_ref::<Refused>() {
            return refused.to_string();
        }
        cause = source;
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, true) => return format!("no connection within {} s", TO_CONNECT.as_secs()),
        (true, false) => return format!("no answer within {} s", IN_ALL.as_secs()),
        (false, true) => "no connection",
        (false, false) => "no answer",
    };
    let cause = if error.source().is_some() { cause.to_string() } else { String::new() };
    readable(&format!("{what}: {cause}")).chars().take(500).collect()
}

#[cfg(test)]
mod tests;
