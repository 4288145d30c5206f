//! What becomes of a schedule's ticks: which start, which wait for those before them, which are left out.

use std::time::Duration;

use crate::model::{Overlap, Schedule, TickState, Timestamp, Timetable};

/// A tick that is late by no more is never missed, whatever the schedule says: a store may be slow, and a worker's start too.
const GRACE: Duration = Duration::from_secs(10);

/// Ticks of one schedule in one transaction, which others wait for.
pub(in crate::backend) const TICKS_MAX: usize = 100;

/// Ticks of one schedule that wait; further ones are left out.
pub(in crate::backend) const WAITING_MAX: u32 = 1_000;

/// Where a schedule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::backend) struct Standing {
    /// Its last execution goes on.
    pub going: bool,
    /// Ticks that wait.
    pub waiting: u32,
}

/// What is to be done for a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::backend) struct Round {
    /// In the order of their times.
    pub ticks: Vec<(Timestamp, TickState)>,
    /// The oldest of those that wait starts, before these.
    pub start_waiting: bool,
    /// Those that wait are left out, before these.
    pub drop_waiting: bool,
    /// What goes on is to be cancelled.
    pub cancel: bool,
    /// How many wait afterwards.
    pub waiting: u32,
    /// The tick after these.
    pub next: Option<Timestamp>,
    /// There are more that are due.
    pub more: bool,
}

/// What is due of a schedule whose next tick is that one; none if it is paused or over.
pub(in crate::backend) fn due(
    schedule: &Schedule,
    timetable: &Timetable,
    standing: Standing,
    next: Option<Timestamp>,
    now: Timestamp,
) -> Round {
    let window = schedule.catch_up.saturating_add(GRACE);
    let mut due = Vec::new();
    let (mut missed, mut seen) = (None, 0);
    let mut next = next;
    while let Some(tick) = next.filter(|tick| schedule.due_at(*tick) <= now && seen < TICKS_MAX) {
        seen += 1;
        if now.since(schedule.due_at(tick)) > window {
            // The first of them stands for all: there may be millions.
            missed.get_or_insert(tick);
            next = timetable.after(tick.max(now.before(window.saturating_add(schedule.jitter))));
        } else {
            due.push(tick);
            next = timetable.after(tick);
        }
    }
    let mut round = rule(schedule.overlap, standing, &due);
    if let Some(tick) = missed {
        round.ticks.insert(0, (tick, TickState::Missed));
    }
    round.next = next;
    round.more = next.is_some_and(|tick| schedule.due_at(tick) <= now);
    round
}

/// What becomes of ticks that are to start now, as far as this rule lets them.
pub(in crate::backend) fn rule(overlap: Overlap, standing: Standing, ticks: &[Timestamp]) -> Round {
    let Standing { mut going, waiting } = standing;
    let mut round = Round { waiting, ..Round::default() };
    if round.waiting > 0 && !going && overlap == Overlap::CancelRunning && !ticks.is_empty() {
        (round.drop_waiting, round.waiting) = (true, 0);
    } else if round.waiting > 0 && !going {
        round.start_waiting = true;
        round.waiting -= 1;
        going = true;
    }
    for (place, tick) in ticks.iter().enumerate() {
        let last = place + 1 == ticks.len();
        let state = match overlap {
            Overlap::Allow => TickState::Started,
            // Each would cancel the one before.
            Overlap::CancelRunning if !last => TickState::Skipped,
            Overlap::CancelRunning if going => {
                round.cancel = true;
                round.drop_waiting = round.waiting > 0;
                round.waiting = 1;
                TickState::Waiting
            }
            _ if !going => TickState::Started,
            Overlap::QueueOne if round.waiting == 0 => TickState::Waiting,
            Overlap::QueueAll if round.waiting < WAITING_MAX => TickState::Waiting,
            _ => TickState::Skipped,
        };
        going |= state == TickState::Started;
        if state == TickState::Waiting && overlap != Overlap::CancelRunning {
            round.waiting += 1;
        }
        round.ticks.push((*tick, state));
    }
    round
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::When;

    use TickState::{Missed, Skipped, Started, Waiting};

    fn second(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn schedule(every: u64, overlap: Overlap, catch_up: u64) -> Schedule {
        let every = When::Every(Duration::from_secs(every));
        Schedule { overlap, catch_up: Duration::from_secs(catch_up), ..Schedule::new("s", "f", every) }
    }

    fn due_at(schedule: &Schedule, standing: Standing, next: i64, now: i64) -> Round {
        due(schedule, &schedule.check().unwrap(), standing, Some(second(next)), second(now))
    }

    fn states(round: &Round) -> Vec<TickState> {
        round.ticks.iter().map(|(_, state)| *state).collect()
    }

    const IDLE: Standing = Standing { going: false, waiting: 0 };
    const BUSY: Standing = Standing { going: true, waiting: 0 };

    #[test]
    fn a_tick_starts_at_its_time_and_the_next_one_follows() {
        let minutely = schedule(60, Overlap::Skip, 60);
        let early = due_at(&minutely, IDLE, 120, 119);
        assert_eq!((early.ticks.len(), early.next), (0, Some(second(120))));
        let round = due_at(&minutely, IDLE, 120, 120);
        assert_eq!(round.ticks, [(second(120), Started)]);
        assert_eq!((round.next, round.more), (Some(second(180)), false));
    }

    #[test]
    fn overlap_goes_by_its_rule() {
        let full = Standing { going: true, waiting: 1 };
        let freed = Standing { going: false, waiting: 2 };
        for (overlap, standing, expected, waiting) in [
            (Overlap::Skip, BUSY, Skipped, 0),
            (Overlap::QueueOne, BUSY, Waiting, 1),
            (Overlap::QueueOne, full, Skipped, 1),
            (Overlap::QueueAll, full, Waiting, 2),
            (Overlap::QueueAll, Standing { going: true, waiting: WAITING_MAX }, Skipped, WAITING_MAX),
            (Overlap::CancelRunning, BUSY, Waiting, 1),
            (Overlap::CancelRunning, full, Waiting, 1),
            (Overlap::Allow, BUSY, Started, 0),
            (Overlap::QueueAll, freed, Waiting, 2),
            (Overlap::Skip, freed, Skipped, 1),
        ] {
            let round = rule(overlap, standing, &[second(1)]);
            assert_eq!((states(&round)[0], round.waiting), (expected, waiting), "{overlap} {standing:?}");
            let cancels = overlap == Overlap::CancelRunning;
            assert_eq!((round.cancel, round.drop_waiting), (cancels, cancels && standing.waiting > 0));
            assert_eq!(round.start_waiting, !standing.going);
        }
    }

    #[test]
    fn a_newer_tick_takes_the_place_of_one_that_may_start() {
        let round = rule(Overlap::CancelRunning, Standing { going: false, waiting: 1 }, &[second(1)]);
        assert_eq!((states(&round)[0], round.drop_waiting, round.start_waiting), (Started, true, false));
        assert_eq!((round.cancel, round.waiting), (false, 0));
    }

    #[test]
    fn several_at_once_go_by_the_same_rule() {
        let three = [second(1), second(2), second(3)];
        for (overlap, expected) in [
            (Overlap::Skip, [Started, Skipped, Skipped]),
            (Overlap::QueueOne, [Started, Waiting, Skipped]),
            (Overlap::QueueAll, [Started, Waiting, Waiting]),
            (Overlap::CancelRunning, [Skipped, Skipped, Started]),
            (Overlap::Allow, [Started, Started, Started]),
        ] {
            assert_eq!(states(&rule(overlap, IDLE, &three)), expected, "{overlap}");
        }
    }

    #[test]
    fn an_outage_is_caught_up_within_the_window() {
        let all = schedule(60, Overlap::Allow, 300);
        let round = due_at(&all, IDLE, 60, 3605);
        let caught = [3300, 3360, 3420, 3480, 3540, 3600].map(|tick| (second(tick), Started));
        assert_eq!(round.ticks[0], (second(60), Missed));
        assert_eq!(round.ticks[1..], caught);
        assert_eq!((round.next, round.more), (Some(second(3660)), false));
        // Without one, what is late by a slow moment comes all the same.
        let none = schedule(60, Overlap::Allow, 0);
        assert_eq!(states(&due_at(&none, IDLE, 60, 70)), [Started]);
        assert_eq!(states(&due_at(&none, IDLE, 60, 71)), [Missed]);
        assert_eq!(states(&due_at(&none, IDLE, 60, 3601)), [Missed, Started]);
    }

    #[test]
    fn a_long_outage_is_one_line_and_many_ticks_are_taken_in_turns() {
        let busy = schedule(1, Overlap::Allow, 1_000);
        let round = due_at(&busy, IDLE, 1, 100_000_000);
        assert_eq!(round.ticks.len(), TICKS_MAX);
        assert_eq!((states(&round)[0], round.more), (Missed, true));
        let next = round.next.unwrap();
        assert_eq!(next, round.ticks[TICKS_MAX - 1].0.after(Duration::from_secs(1)));
    }

    #[test]
    fn what_waits_starts_though_nothing_is_due() {
        let paused = schedule(60, Overlap::QueueAll, 60);
        let table = paused.check().unwrap();
        let round = due(&paused, &table, Standing { going: false, waiting: 1 }, None, second(5));
        assert!(round.start_waiting && round.ticks.is_empty() && round.waiting == 0 && round.next.is_none());
        let round = due(&paused, &table, Standing { going: true, waiting: 1 }, None, second(5));
        assert!(!round.start_waiting && round.waiting == 1);
    }
}
