//! The hints of a transaction, which are sent when it has committed: who may have something to do now.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backend::Notice;
use crate::model::Id;

#[derive(Default)]
pub(in crate::backend) struct Hints {
    pub work: bool,
    pub served: Option<String>,
    pub due: Option<Duration>,
    pub ended: Vec<Id>,
    pub cancelling: Vec<Id>,
    pub lost: Vec<Id>,
    pub arrived: BTreeSet<Id>,
}

impl Hints {
    pub fn into_notices(self) -> Vec<Notice> {
        let some = |ids: Vec<Id>, notice: fn(Vec<Id>) -> Notice| (!ids.is_empty()).then(|| notice(ids));
        [
            some(self.arrived.into_iter().collect(), Notice::Arrived),
            some(self.ended, Notice::Ended),
            some(self.cancelling, Notice::Cancelling),
            some(self.lost, Notice::Lost),
            self.due.map(Notice::Due),
            self.work.then_some(Notice::Work { served: self.served }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
