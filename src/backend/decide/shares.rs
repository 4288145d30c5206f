//! How a worker's free slots are shared among functions with a limit and those without.

use std::cmp::Reverse;

use crate::model::{Id, Timestamp};

/// A task that could be claimed. `function`: which of the limited ones it is of, if it is of one.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Offer {
    pub function: Option<usize>,
    /// An attempt starts with it; else it goes on.
    pub fresh: bool,
    pub priority: i64,
    pub created_at: Timestamp,
    pub id: Id,
}

/// How many more tasks of a function may run, and how many attempts of it may start.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Room {
    pub running: usize,
    pub starts: usize,
}

/// How many tasks of each limited function are among the best that begin in so many slots. What is over a
/// function's limit takes nobody's slot; and those of a function are in one line: what goes on takes no token, but waits
/// behind one that has none.
pub(in crate::backend) fn shares(mut offers: Vec<Offer>, rooms: &[Room], slots: usize) -> Vec<usize> {
    let mut rooms = rooms.to_vec();
    offers.sort_unstable_by_key(|offer| (Reverse(offer.priority), offer.created_at, offer.id));
    let mut shares = vec![0; rooms.len()];
    let mut left = slots;
    for Offer { function, fresh, .. } in offers {
        if left == 0 {
            break;
        }
        match function {
            Some(place) if rooms[place].running == 0 => continue,
            Some(place) if fresh && rooms[place].starts == 0 => {
                rooms[place].running = 0;
                continue;
            }
            Some(place) => {
                shares[place] += 1;
                rooms[place].running -= 1;
                rooms[place].starts -= usize::from(fresh);
            }
            None => {}
        }
        left -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(function: Option<usize>, priority: i64, id: u128) -> Offer {
        Offer { function, fresh: true, priority, created_at: Timestamp::default(), id: Id::from_u128(id) }
    }

    fn room(running: usize, starts: usize) -> Room {
        Room { running, starts }
    }

    #[test]
    fn the_best_get_the_slots_whatever_their_function() {
        let offers = || vec![offer(Some(0), 0, 1), offer(Some(1), 9, 2), offer(None, 5, 3), offer(Some(1), 1, 4)];
        assert_eq!(shares(offers(), &[room(9, 9), room(9, 9)], 1), [0, 1]);
        assert_eq!(shares(offers(), &[room(9, 9), room(9, 9)], 2), [0, 1]);
        assert_eq!(shares(offers(), &[room(9, 9), room(9, 9)], 3), [0, 2]);
        assert_eq!(shares(offers(), &[room(9, 9), room(9, 9)], 9), [1, 2]);
        // What may not run takes no slot.
        assert_eq!(shares(offers(), &[room(9, 9), room(1, 9)], 3), [1, 1]);
        assert_eq!(shares(offers(), &[room(1, 9), room(0, 9)], 2), [1, 0]);
    }

    #[test]
    fn those_of_a_function_are_in_one_line_and_what_goes_on_takes_no_token() {
        let goes_on = |id| Offer { fresh: false, ..offer(Some(0), 0, id) };
        let offers = || vec![offer(Some(0), 0, 1), goes_on(2), offer(Some(0), 0, 3), goes_on(4), offer(None, 0, 5)];
        assert_eq!(shares(offers(), &[room(9, 0)], 9), [0]);
        assert_eq!(shares(offers(), &[room(9, 1)], 9), [2]);
        assert_eq!(shares(offers(), &[room(9, 2)], 9), [4]);
        assert_eq!(shares(offers(), &[room(3, 2)], 9), [3]);
        assert_eq!(shares(offers(), &[room(9, 2)], 2), [2]);
    }
}
