//! Looks whether the store is well.

use serde::Serialize;

use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::trouble::{CHECK_FOUND, DONE, Trouble};
use crate::verdict::{self, Finding, Mark, Seen};
use crate::words;

pub async fn check(place: &Place, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        well: bool,
        findings: Vec<Finding>,
    }
    let health = place.backend.health().await?;
    let registered = place.backend.registered().await?;
    let log = place.backend.log_size();
    let seen = Seen { health: &health, registered: &registered, log, schema: place.schema, now: words::now() };
    let findings = verdict::judge(&seen);
    let row = |finding: &Finding| {
        let (mark, colour) = match finding.mark {
            Mark::Good => ("ok", Colour::Good),
            Mark::Watch => ("watch", Colour::Busy),
            Mark::Bad => ("BAD", Colour::Bad),
        };
        vec![Cell::from(mark).in_colour(Some(colour)), finding.subject.into(), finding.found.as_str().into()]
    };
    let (bad, good): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|one| one.mark != Mark::Good);
    let rows: Vec<Vec<Cell>> = bad.iter().chain(&good).map(|finding| row(finding)).collect();
    table::write(screen, &[], &rows);
    if !bad.is_empty() {
        screen.line("");
        screen.line(screen.paint(Colour::Head, "TO DO"));
        for finding in &bad {
            screen.line(format!("  {}: {}", finding.subject, finding.todo));
        }
    }
    let well = bad.is_empty();
    screen.json(&View { well, findings });
    Ok(if well { DONE } else { CHECK_FOUND })
}
