//! Memory, counted in KiB: reserved before it is used, given back when the reservation is dropped.
//! The sum of all reservations never exceeds the budget; waiting is first come, first served.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const KIB: u64 = 1024;

/// A budget shared by everything of one kind, such as downloads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    total_kib: u32,
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `bytes`, rounded down to KiB, at least one.
    pub fn new(bytes: u64) -> Budget {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let total_kib = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).clamp(1, most);
        Budget { free: Arc::new(Semaphore::new(total_kib as usize)), total_kib }
    }

    /// Waits until `bytes` are free and takes them. More than the whole budget takes the whole budget: that user runs alone
    /// instead of never.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let kib = to_kib(bytes).min(self.total_kib);
        // Reserved in one step: who held a part while waiting for more could wait for another that does the same.
        match Arc::clone(&self.free).acquire_many_owned(kib).await {
            Ok(permit) => Reservation { permit },
            Err(_) => unreachable!("the budget's semaphore is never closed"),
        }
    }
}

impl Reservation {
    /// Gives back what `bytes` do not need.
    pub fn shrink(&mut self, bytes: u64) {
        let spare = self.permit.num_permits().saturating_sub(to_kib(bytes) as usize);
        drop(self.permit.split(spare));
    }
}

fn to_kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_reservation_waits_for_room_and_shrinking_makes_room() {
        let budget = Budget::new(100 * KIB);
        let mut first = budget.reserve(80 * KIB).await;
        assert!(budget.reserve(30 * KIB).now_or_never().is_none());
        first.shrink(69 * KIB + 1);
        let second = budget.reserve(30 * KIB).now_or_never().expect("70 KiB are held, 30 are free");
        drop((first, second));
        assert_eq!(budget.free.available_permits(), 100);
    }

    #[tokio::test]
    async fn more_than_the_budget_takes_all_of_it_instead_of_waiting_forever() {
        let budget = Budget::new(10 * KIB);
        let all = budget.reserve(u64::MAX).now_or_never().expect("the budget is free");
        assert!(budget.reserve(1).now_or_never().is_none());
        drop(all);
        assert!(budget.reserve(1).now_or_never().is_some());
    }
}
