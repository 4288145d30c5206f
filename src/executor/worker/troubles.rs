//! What is wrong at the moment: calls to the store that fail, and the rest.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::executor::sync::lock;

struct Trouble {
    told: String,
    /// The store did not answer, or for the moment.
    silence: bool,
}

/// By what was being done. std Mutex: a leaf.
#[derive(Default)]
pub(super) struct Troubles(Mutex<BTreeMap<&'static str, Trouble>>);

impl Troubles {
    /// True: it is another one than before.
    pub(super) fn note(&self, doing: &'static str, told: &str, silence: bool) -> bool {
        let before = lock(&self.0).insert(doing, Trouble { told: told.to_owned(), silence });
        before.is_none_or(|before| before.told != told)
    }

    /// It is over: what it was.
    pub(super) fn end(&self, doing: &'static str) -> Option<String> {
        lock(&self.0).remove(doing).map(|trouble| trouble.told)
    }

    pub(super) fn first(&self) -> Option<String> {
        lock(&self.0).first_key_value().map(|(doing, trouble)| format!("{doing}: {}", trouble.told))
    }

    /// As far as its last answers tell, for a call may take its time.
    pub(super) fn store_is_silent(&self) -> bool {
        lock(&self.0).values().any(|trouble| trouble.silence)
    }
}
