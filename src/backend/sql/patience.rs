//! For how long a call is tried again when connections are cut, and with which pauses.

use std::time::{Duration, Instant};

use crate::model::Error;

/// The first pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

pub(in crate::backend) struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, pause: PAUSE }
    }

    /// Should the call be tried again? Pauses before it answers true.
    pub async fn allows(&mut self, why: &Error) -> bool {
        let goes_on = is_cut(why) && Instant::now() < self.deadline;
        if goes_on {
            tokio::time::sleep(self.pause).await;
            self.pause *= 2;
        }
        goes_on
    }
}

/// Did the call fail because its connection was cut?
pub(in crate::backend) fn is_cut(why: &Error) -> bool {
    why.details().contains_key("connection")
}

/// The error for a connection that was cut after a commit was sent.
pub(in crate::backend) fn in_doubt(why: Error) -> Error {
    let message = format!("{}; whether it was recorded is not known", why.message());
    Error::new(why.status(), message).retryable(true).with("connection", "cut").with("commit", "in doubt")
}
