//! Nobody of a key, or of a function, starts before a time: the other side told a handler to wait. It is recorded with what
//! the handler's attempt has come to. Who waits for his key's hold is in no lane, as who waits for its slots; a function's is
//! part of the catalog: claims treat it as one whose tokens are gone. What goes on is not held.

use super::statements::{HOLDS_END, HOLDS_PUT, HOLDS_READ, SLOTS_FILL};
use super::tx::Tx;
use crate::backend::{Transition, Verdict};
use crate::model::{HoldOf, Result};

/// Records what was said with transitions that are recorded. A longer hold stands. The answer: a function is held of which
/// others do not know it yet; the caller raises the catalog's version.
pub(super) async fn begin(tx: &mut Tx<'_>, transitions: &[Transition], verdicts: &[Verdict]) -> Result<bool> {
    let mut call = HOLDS_PUT.call();
    let mut some = false;
    for (transition, verdict) in transitions.iter().zip(verdicts) {
        if !matches!(verdict, Verdict::Recorded { .. }) {
            continue;
        }
        for hold in &transition.commands.holds {
            let ends_at = tx.now.after(hold.delay);
            call.row().id(transition.held.task).text(hold.of.as_str()).time(ends_at);
            tx.hint_due(ends_at);
            some = true;
        }
    }
    if !some {
        return Ok(false);
    }
    call.text(HoldOf::Key.as_str());
    let (mut keys, mut functions, mut new) = (Vec::new(), Vec::new(), false);
    for row in tx.fetch(&call).await? {
        let (function, key) = (row.string("function")?, row.string("concurrency_key")?);
        if key.is_empty() {
            new |= row.flag("fresh")? || !tx.catalog.is_held(&function);
            functions.push(function);
        } else {
            keys.push((function, key));
        }
    }
    if new {
        tx.hold_functions(functions);
    }
    fill(tx, &keys).await?;
    Ok(new)
}

/// What these keys have, or have no more, is given anew.
pub(super) async fn fill(tx: &mut Tx<'_>, keys: &[(String, String)]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut call = SLOTS_FILL.call();
    for (function, key) in keys {
        call.row().text(function.as_str()).text(key.as_str());
    }
    tx.change(&call).await?;
    tx.settle_keys().await
}

/// Which of these functions are held.
pub(super) async fn held(tx: &mut Tx<'_>, functions: Vec<String>) -> Result<Vec<String>> {
    if functions.is_empty() {
        return Ok(functions);
    }
    let found = tx.fetch(HOLDS_READ.call().texts(functions).time(tx.now)).await?;
    found.iter().map(|row| row.string("function")).collect()
}

/// Holds that are over: of keys, and of functions.
pub(super) struct Over {
    pub keys: Vec<(String, String)>,
    pub functions: usize,
}

pub(super) async fn end(tx: &mut Tx<'_>, most: i64) -> Result<Over> {
    let mut over = Over { keys: Vec::new(), functions: 0 };
    for row in tx.fetch(HOLDS_END.call().time(tx.now).int(most)).await? {
        let (function, key) = (row.string("function")?, row.string("concurrency_key")?);
        if key.is_empty() {
            over.functions += 1;
        } else {
            over.keys.push((function, key));
        }
    }
    Ok(over)
}
