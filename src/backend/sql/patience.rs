//! How long a call goes on when connections are cut, one after the other.

use std::time::{Duration, Instant};

use crate::model::Error;

/// Between two tries, at first.
const PAUSE: Duration = Duration::from_millis(20);

pub(in crate::backend) struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, pause: PAUSE }
    }

    /// True, after a pause: try again.
    pub async fn allows(&mut self, why: &Error) -> bool {
        let goes_on = is_cut(why) && Instant::now() < self.deadline;
        if goes_on {
            tokio::time::sleep(self.pause).await;
            self.pause *= 2;
        }
        goes_on
    }
}

/// The connection is gone.
pub(in crate::backend) fn is_cut(why: &Error) -> bool {
    why.details().contains_key("connection")
}

/// The connection went while a commit was on its way.
pub(in crate::backend) fn in_doubt(why: Error) -> Error {
    let message = format!("{}; whether it was recorded is not known", why.message());
    Error::new(why.status(), message).retryable(true).with("connection", "cut").with("commit", "in doubt")
}
