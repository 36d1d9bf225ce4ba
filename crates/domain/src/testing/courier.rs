//! A courier who goes nowhere, and remembers everything.

use crate::error::Reason;
use crate::ports::{Courier, Parcel};
use crate::webhooks::schedule::Answer;
use crate::webhooks::{About, Notice, WebhookUrl};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps all parcels, and answers what it was told to; `200` when nobody said. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct IdleCourier {
    carried: Arc<Mutex<Vec<Parcel>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl IdleCourier {
    /// What was carried so far.
    pub fn carried(&self) -> Vec<Parcel> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status that the next parcel is answered with, after all that was said before.
    pub fn answer_next(&self, status: u16) {
        let answer = Answer { status: Some(status), ..Answer::default() };
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(0, answer);
    }
}

#[async_trait]
impl Courier for IdleCourier {
    fn word(&self, notice: &Notice) -> String {
        match &notice.about {
            About::Alert { alert, equipment, rule } => {
                let name = equipment.as_ref().map_or("?", |piece| piece.details.name.as_str());
                let rule = rule.as_ref().map_or("?", |rule| rule.as_str());
                format!("{} {} on {name} by {rule}", notice.event, alert.what.severity)
            }
            About::Webhook { name, .. } => format!("{} {name}", notice.event),
        }
    }

    /// Finds nothing wrong but with hosts that are called `forbidden`.
    fn refuse(&self, url: &WebhookUrl) -> Result<(), Reason> {
        if url.origin().contains("forbidden") {
            return Err(Reason::new("forbidden", "must not be there"));
        }
        Ok(())
    }

    async fn deliver(&self, parcel: &Parcel) -> Answer {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner).push(parcel.clone());
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        answer.unwrap_or(Answer { status: Some(200), ..Answer::default() })
    }
}
