//! How a worker's free slots are shared among functions with a limit and those without.

use std::cmp::Reverse;

use crate::model::{Id, Timestamp};

/// A task that could be claimed. `group`: which of those that are counted it is of, if it is of one.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Offer {
    pub group: Option<usize>,
    /// An attempt starts with it; else it goes on.
    pub fresh: bool,
    pub priority: i64,
    pub created_at: Timestamp,
    pub id: Id,
}

/// How many more tasks of a function, or of a queue, may run, and how many attempts of it may start.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Room {
    pub running: usize,
    pub starts: usize,
}

/// How many tasks of each group are among the best that begin in so many slots. Each group is told by its rooms, that of its
/// function or of its queue or both: all must have some. What is over a limit takes nobody's slot; and those of a group are in
/// one line: what goes on takes no token, but waits behind one that has none.
pub(in crate::backend) fn shares(
    mut offers: Vec<Offer>,
    groups: &[Vec<usize>],
    rooms: &[Room],
    slots: usize,
) -> Vec<usize> {
    let mut rooms = rooms.to_vec();
    offers.sort_unstable_by_key(|offer| (Reverse(offer.priority), offer.created_at, offer.id));
    let (mut shares, mut closed) = (vec![0; groups.len()], vec![false; groups.len()]);
    let mut left = slots;
    for Offer { group, fresh, .. } in offers {
        if left == 0 {
            break;
        }
        if let Some(group) = group {
            let of = &groups[group];
            closed[group] |= of.iter().any(|room| rooms[*room].running == 0 || (fresh && rooms[*room].starts == 0));
            if closed[group] {
                continue;
            }
            shares[group] += 1;
            for room in of {
                rooms[*room].running -= 1;
                rooms[*room].starts -= usize::from(fresh);
            }
        }
        left -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(group: Option<usize>, priority: i64, id: u128) -> Offer {
        Offer { group, fresh: true, priority, created_at: Timestamp::default(), id: Id::from_u128(id) }
    }

    fn room(running: usize, starts: usize) -> Room {
        Room { running, starts }
    }

    /// Groups with a room of their own.
    fn each(count: usize) -> Vec<Vec<usize>> {
        (0..count).map(|room| vec![room]).collect()
    }

    #[test]
    fn the_best_get_the_slots_whatever_their_function() {
        let offers = || vec![offer(Some(0), 0, 1), offer(Some(1), 9, 2), offer(None, 5, 3), offer(Some(1), 1, 4)];
        assert_eq!(shares(offers(), &each(2), &[room(9, 9), room(9, 9)], 1), [0, 1]);
        assert_eq!(shares(offers(), &each(2), &[room(9, 9), room(9, 9)], 2), [0, 1]);
        assert_eq!(shares(offers(), &each(2), &[room(9, 9), room(9, 9)], 3), [0, 2]);
        assert_eq!(shares(offers(), &each(2), &[room(9, 9), room(9, 9)], 9), [1, 2]);
        // What may not run takes no slot.
        assert_eq!(shares(offers(), &each(2), &[room(9, 9), room(1, 9)], 3), [1, 1]);
        assert_eq!(shares(offers(), &each(2), &[room(1, 9), room(0, 9)], 2), [1, 0]);
    }

    #[test]
    fn those_of_a_function_are_in_one_line_and_what_goes_on_takes_no_token() {
        let goes_on = |id| Offer { fresh: false, ..offer(Some(0), 0, id) };
        let offers = || vec![offer(Some(0), 0, 1), goes_on(2), offer(Some(0), 0, 3), goes_on(4), offer(None, 0, 5)];
        assert_eq!(shares(offers(), &each(1), &[room(9, 0)], 9), [0]);
        assert_eq!(shares(offers(), &each(1), &[room(9, 1)], 9), [2]);
        assert_eq!(shares(offers(), &each(1), &[room(9, 2)], 9), [4]);
        assert_eq!(shares(offers(), &each(1), &[room(3, 2)], 9), [3]);
        assert_eq!(shares(offers(), &each(1), &[room(9, 2)], 2), [2]);
    }

    #[test]
    fn who_is_of_a_function_and_of_a_queue_needs_both() {
        // 0: the function's; 1: the queue's. What is of the function alone, of both, of the queue alone.
        let groups = [vec![0], vec![0, 1], vec![1]];
        let offers = || (0..9).map(|id: u128| offer(Some(id as usize % 3), 0, id)).collect::<Vec<_>>();
        let any = usize::MAX;
        assert_eq!(shares(offers(), &groups, &[room(9, 2), room(any, 9)], 9), [1, 1, 3]);
        assert_eq!(shares(offers(), &groups, &[room(9, 9), room(any, 2)], 9), [3, 1, 1]);
        assert_eq!(shares(offers(), &groups, &[room(9, 3), room(any, 3)], 9), [2, 1, 2]);
        assert_eq!(shares(offers(), &groups, &[room(9, 9), room(any, 0)], 9), [3, 0, 0]);
        // What waits for a token of the queue takes none of the function's, and no slot.
        assert_eq!(shares(offers(), &groups, &[room(9, 3), room(any, 0)], 3), [3, 0, 0]);
        let goes_on = |id| Offer { fresh: false, ..offer(Some(2), 0, id) };
        let offers = vec![offer(Some(1), 0, 1), goes_on(2), offer(Some(2), 0, 3), goes_on(4)];
        assert_eq!(shares(offers, &groups, &[room(9, 9), room(any, 0)], 9), [0, 0, 1]);
    }
}
