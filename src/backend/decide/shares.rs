//! How a worker's free slots are shared among functions with a limit and those without.

use std::cmp::Reverse;

use crate::model::{Id, Timestamp};

/// A task that could be claimed. `function`: which of the limited ones it is of, if it is of one.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend) struct Offer {
    pub function: Option<usize>,
    pub priority: i64,
    pub created_at: Timestamp,
    pub id: Id,
}

/// How many tasks of each limited function are among the best that begin in so many slots. `free`: how many more of each may
/// run. What is over a function's limit takes nobody's slot.
pub(in crate::backend) fn shares(mut offers: Vec<Offer>, free: &[usize], slots: usize) -> Vec<usize> {
    offers.sort_unstable_by_key(|offer| (Reverse(offer.priority), offer.created_at, offer.id));
    let mut shares = vec![0; free.len()];
    let mut left = slots;
    for Offer { function, .. } in offers {
        if left == 0 {
            break;
        }
        match function {
            Some(place) if shares[place] >= free[place] => continue,
            Some(place) => shares[place] += 1,
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
        Offer { function, priority, created_at: Timestamp::default(), id: Id::from_u128(id) }
    }

    #[test]
    fn the_best_get_the_slots_whatever_their_function() {
        let offers = || vec![offer(Some(0), 0, 1), offer(Some(1), 9, 2), offer(None, 5, 3), offer(Some(1), 1, 4)];
        assert_eq!(shares(offers(), &[9, 9], 1), [0, 1]);
        assert_eq!(shares(offers(), &[9, 9], 2), [0, 1]);
        assert_eq!(shares(offers(), &[9, 9], 3), [0, 2]);
        assert_eq!(shares(offers(), &[9, 9], 9), [1, 2]);
        // What may not run takes no slot.
        assert_eq!(shares(offers(), &[9, 1], 3), [1, 1]);
        assert_eq!(shares(offers(), &[1, 0], 2), [1, 0]);
    }
}
