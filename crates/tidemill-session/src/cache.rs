//! The plans that a session keeps, so that a run like an earlier one need not be compiled again. Data of ever new shapes make ever new
//! plans: those not used for longest go when there are too many, or their memory is too much.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What a plan was compiled for, as numbers: fetches, targets, and each feed with its dtype and shape.
pub(crate) type PlanKey = SmallVec<[u64; 48]>;

/// How much is kept. What was added last is kept in any case.
#[derive(Debug, Clone, Copy)]
struct Limits {
    plans: usize,
    bytes: usize,
}

pub(crate) struct PlanCache<T> {
    entries: RwLock<FxHashMap<PlanKey, Entry<T>>>,
    /// Twice as many as plans were added: the clock by which `used` is told.
    clock: AtomicU64,
    limits: Limits,
}

struct Entry<T> {
    plan: Arc<T>,
    bytes: usize,
    /// What the clock was when it was added, or one more than when it was last looked up.
    used: AtomicU64,
}

impl<T> Default for PlanCache<T> {
    fn default() -> Self {
        PlanCache::new(Limits { plans: 256, bytes: 1 << 30 })
    }
}

impl<T> PlanCache<T> {
    fn new(limits: Limits) -> Self {
        PlanCache { entries: RwLock::default(), clock: AtomicU64::new(0), limits }
    }

    pub(crate) fn get(&self, key: &PlanKey) -> Option<Arc<T>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key)?;
        let now = self.clock.load(Ordering::Relaxed) + 1;
        if entry.used.load(Ordering::Relaxed) != now {
            entry.used.store(now, Ordering::Relaxed);
        }
        Some(entry.plan.clone())
    }

    /// Adds a plan that takes so much memory, unless another thread has added one meanwhile; the plan that is there now.
    pub(crate) fn add(&self, key: PlanKey, plan: T, bytes: usize) -> Arc<T> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.fetch_add(2, Ordering::Relaxed) + 2;
        let added = Entry { plan: Arc::new(plan), bytes, used: AtomicU64::new(now) };
        let plan = entries.entry(key).or_insert(added).plan.clone();
        let fit = |entries: &FxHashMap<PlanKey, Entry<T>>| {
            let bytes = entries.values().fold(0, |sum: usize, e| sum.saturating_add(e.bytes));
            entries.len() <= self.limits.plans && bytes <= self.limits.bytes
        };
        while !fit(&entries) {
            let others = entries.iter().filter(|(_, e)| !Arc::ptr_eq(&e.plan, &plan));
            let oldest = others.min_by_key(|(_, e)| e.used.load(Ordering::Relaxed));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            entries.remove(&key);
        }
        plan
    }

    pub(crate) fn clear(&self) {
        self.entries.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> PlanKey {
        PlanKey::from_slice(&[n])
    }

    fn kept(cache: &PlanCache<u64>) -> Vec<u64> {
        let mut all: Vec<u64> = cache.entries.read().unwrap().values().map(|e| *e.plan).collect();
        all.sort();
        all
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let cache = PlanCache::new(Limits { plans: 3, bytes: 100 });
        (0..3).for_each(|n| drop(cache.add(key(n), n, 10)));
        assert_eq!(cache.get(&key(0)).as_deref(), Some(&0));
        cache.add(key(3), 3, 10);
        assert_eq!(kept(&cache), [0, 2, 3]);
        assert!(cache.get(&key(1)).is_none());
        cache.add(key(4), 4, 10);
        assert_eq!(kept(&cache), [0, 3, 4]);
    }

    #[test]
    fn memory_counts_but_the_last_one_stays() {
        let cache = PlanCache::new(Limits { plans: 3, bytes: 100 });
        cache.add(key(0), 0, 60);
        cache.add(key(1), 1, 40);
        assert_eq!(kept(&cache), [0, 1]);
        cache.add(key(2), 2, 50);
        assert_eq!(kept(&cache), [1, 2]);
        cache.add(key(3), 3, 1000);
        assert_eq!(kept(&cache), [3]);
        cache.add(key(4), 4, 10);
        assert_eq!(kept(&cache), [4]);
    }

    #[test]
    fn the_first_of_two_threads_wins() {
        let cache = PlanCache::<u64>::default();
        let first = cache.add(key(0), 1, 10);
        assert!(Arc::ptr_eq(&first, &cache.add(key(0), 2, 10)));
        cache.clear();
        assert!(cache.get(&key(0)).is_none());
    }
}
