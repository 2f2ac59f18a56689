//! Threads inside of a run, and when a run is to stop.
//!
//! A kernel cuts what is large into tasks that may run in any order ([`Args::each_task`](super::Args::each_task)); the thread that runs the session and the workers of
//! the session's [`Pool`] take them by turns. Where tasks begin and end does not depend on how many threads there are, so neither do results.
//! Small work is one task and never leaves its thread.

use std::any::Any;
use std::marker::PhantomData;
use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tidemill_core::{Error, ErrorKind, Result};

/// When a run is to stop.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stop<'a> {
    pub(crate) deadline: Option<Instant>,
    /// Raised when the session closes or the run is cancelled.
    pub(crate) cancelled: [Option<&'a AtomicBool>; 2],
}

impl Stop<'_> {
    /// Never.
    pub(crate) const NEVER: &'static Stop<'static> = &Stop { deadline: None, cancelled: [None, None] };

    /// An error if the run is to stop by now.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled.iter().flatten().any(|flag| flag.load(Ordering::Relaxed)) {
            return Err(Error::new(ErrorKind::Cancelled, "the run was cancelled"));
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(Error::new(ErrorKind::DeadlineExceeded, "the run did not end before its deadline"))
            }
            _ => Ok(()),
        }
    }
}

/// A pointer into a buffer that tasks work on at the same time: each at its own part of it, or all only reading.
#[derive(Clone, Copy)]
pub(crate) struct Common<P>(pub(crate) P);

// SAFETY: the pointer itself may go anywhere; who follows it says why no two threads get in each other's way.
unsafe impl<P> Send for Common<P> {}
// SAFETY: as above.
unsafe impl<P> Sync for Common<P> {}

impl<P: Copy> Common<P> {
    /// The pointer. (Closures that named the field would capture that instead of this.)
    #[inline(always)]
    pub(crate) fn get(&self) -> P {
        self.0
    }
}

/// Elements of a stretch of elementwise work that is worth a task of its own: some ten microseconds.
pub(crate) const GRAIN: usize = 16_384;

/// An output that tasks write at the same time, each a part of its own.
pub(crate) struct Parts<'a, T> {
    start: Common<*mut T>,
    len: usize,
    _data: PhantomData<&'a mut [T]>,
}

impl<'a, T: Send> Parts<'a, T> {
    pub(crate) fn new(all: &'a mut [T]) -> Parts<'a, T> {
        Parts { start: Common(all.as_mut_ptr()), len: all.len(), _data: PhantomData }
    }

    /// # Safety
    /// No two parts that live at the same time have an element in common.
    #[allow(clippy::mut_from_ref, reason = "that parts are apart is what the caller promises")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "the part is not inside");
        // SAFETY: inside (checked), and of this task alone, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.get().add(range.start), range.len()) }
    }
}

/// How often a worker looks for the next job before it goes to sleep: some tens of microseconds, as the next step of a run is often as near.
const PATIENCE: usize = 2000;

/// The threads of a session, beside those that run it. They start with the first job that is worth it, and sleep between runs.
pub(crate) struct Pool {
    /// As asked for; if not, one thread for each processor.
    asked: Option<NonZero<usize>>,
    threads: OnceLock<usize>,
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    /// Held by the one run whose job the workers are at; others do without them meanwhile.
    busy: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    /// Counts jobs, and the end of the pool.
    epoch: AtomicUsize,
    /// Workers that are at the job.
    active: AtomicUsize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    sleeping: usize,
    ended: bool,
}

/// A job as workers see it. The reference lives until the caller has taken the job away and no worker is active.
#[derive(Clone, Copy)]
struct Job(&'static (dyn Fn() + Sync));

impl Pool {
    /// A pool of so many threads, the caller among them; `None`: one for each processor.
    pub(crate) fn new(threads: Option<NonZero<usize>>) -> Pool {
        Pool {
            asked: threads,
            threads: OnceLock::new(),
            shared: Arc::default(),
            workers: Mutex::default(),
            busy: Mutex::default(),
        }
    }

    /// How many threads there are, with the one that calls.
    pub(crate) fn threads(&self) -> usize {
        *self.threads.get_or_init(|| {
            let processors = || std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
            self.asked.unwrap_or_else(processors).get()
        })
    }

    /// Calls `f(0)`, ..., `f(tasks - 1)`, each once, and returns when all are done. Goes on after an error only with what has begun; which error is
    /// returned if there are several is not said.
    pub(crate) fn each(
        &self,
        tasks: usize,
        stop: &Stop,
        f: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<()> {
        if tasks > 1
            && self.threads() > 1
            && let Ok(_busy) = self.busy.try_lock()
        {
            return self.each_together(tasks, stop, f);
        }
        for i in 0..tasks {
            if i > 0 {
                stop.check()?;
            }
            f(i)?;
        }
        Ok(())
    }

    fn each_together(
        &self,
        tasks: usize,
        stop: &Stop,
        f: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let failure: Mutex<Option<Failure>> = Mutex::new(None);
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= tasks {
                    break;
                }
                // What a panic leaves half done is given up: the panic goes on in the caller.
                let outcome = catch_unwind(AssertUnwindSafe(|| stop.check().and_then(|()| f(i))));
                let what = match outcome {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => Failure::Error(error),
                    Err(panic) => Failure::Panic(panic),
                };
                lock(&failure).get_or_insert(what);
                failed.store(true, Ordering::Relaxed);
            }
        };
        self.share(&work);
        match lock(&failure).take() {
            None => Ok(()),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::Panic(panic)) => resume_unwind(panic),
        }
    }

    /// Runs `work`, which does not panic, on this thread and on any workers that come in time; returns when all of them have left it.
    fn share(&self, work: &(dyn Fn() + Sync)) {
        self.start();
        let shared = &*self.shared;
        // SAFETY: the lifetime is extended only in type: below the job is taken away, and the workers that took it are waited for, before this returns;
        // nothing between can panic.
        let job = Job(unsafe { std::mem::transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(work) });
        let sleeping = {
            let mut state = lock(&shared.state);
            state.job = Some(job);
            shared.epoch.fetch_add(1, Ordering::Release);
            state.sleeping > 0
        };
        if sleeping {
            shared.wake.notify_all();
        }
        work();
        lock(&shared.state).job = None;
        let mut looks = 0;
        while shared.active.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < PATIENCE { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    /// Starts the workers if they have not been started. Without a thread from the system the pool is smaller.
    fn start(&self) {
        let mut workers = lock(&self.workers);
        while workers.len() + 1 < self.threads() {
            let shared = self.shared.clone();
            let worker = std::thread::Builder::new().name("tidemill".to_owned());
            match worker.spawn(move || shared.work()) {
                Ok(worker) => workers.push(worker),
                Err(_) => {
                    // Then nobody asks again.
                    break;
                }
            }
        }
    }
}

enum Failure {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What a worker does until the pool ends.
    fn work(&self) {
        let mut seen = 0;
        loop {
            let mut looks = 0;
            while self.epoch.load(Ordering::Acquire) == seen && looks < PATIENCE {
                looks += 1;
                std::hint::spin_loop();
            }
            let job = {
                let mut state = lock(&self.state);
                while self.epoch.load(Ordering::Relaxed) == seen && !state.ended {
                    state.sleeping += 1;
                    state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.sleeping -= 1;
                }
                if state.ended {
                    return;
                }
                seen = self.epoch.load(Ordering::Relaxed);
                if state.job.is_some() {
                    // Under the lock, so that the caller sees it once it has taken the job away.
                    self.active.fetch_add(1, Ordering::Relaxed);
                }
                state.job
            };
            if let Some(Job(work)) = job {
                work();
                self.active.fetch_sub(1, Ordering::Release);
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.shared.state);
            state.ended = true;
            self.shared.epoch.fetch_add(1, Ordering::Release);
        }
        self.shared.wake.notify_all();
        for worker in self.workers.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Workers catch panics; there is nothing to learn from how one ended.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool::new(NonZero::new(threads))
    }

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = pool(threads);
            for tasks in [0, 1, 2, 7, 100, 1000] {
                let runs: Vec<AtomicU64> = (0..tasks).map(|_| AtomicU64::new(0)).collect();
                pool.each(tasks, Stop::NEVER, &|i| {
                    runs[i].fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
                .unwrap();
                assert!(
                    runs.iter().all(|n| n.load(Ordering::Relaxed) == 1),
                    "{threads} threads, {tasks} tasks"
                );
            }
        }
    }

    #[test]
    fn workers_wake_up_again() {
        let pool = pool(2);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            let threads = Mutex::new(std::collections::HashSet::new());
            // Two tasks that wait for each other need two threads.
            let barrier = std::sync::Barrier::new(2);
            pool.each(2, Stop::NEVER, &|_| {
                barrier.wait();
                lock(&threads).insert(std::thread::current().id());
                Ok(())
            })
            .unwrap();
            assert_eq!(lock(&threads).len(), 2);
        }
    }

    #[test]
    fn many_callers_share_a_pool() {
        let pool = pool(3);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let add = |i| {
                            sum.fetch_add(i, Ordering::Relaxed);
                            Ok(())
                        };
                        pool.each(10, Stop::NEVER, &add).unwrap();
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 200 * 45);
    }

    #[test]
    fn errors_and_panics_reach_the_caller() {
        let pool = pool(2);
        let error = pool.each(100, Stop::NEVER, &|i| match i {
            63 => Err(Error::invalid("63")),
            _ => Ok(()),
        });
        assert_eq!(error.unwrap_err().message(), "63");
        let panic = catch_unwind(AssertUnwindSafe(|| {
            pool.each(100, Stop::NEVER, &|i| if i == 63 { panic!("63") } else { Ok(()) })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"63"));
        assert!(pool.each(10, Stop::NEVER, &|_| Ok(())).is_ok());
    }

    #[test]
    fn a_run_that_is_to_stop_stops() {
        for threads in [1, 2] {
            let (flag, tasks) = (AtomicBool::new(false), AtomicUsize::new(0));
            let stop = Stop { deadline: None, cancelled: [Some(&flag), None] };
            let error = pool(threads).each(1000, &stop, &|_| {
                if tasks.fetch_add(1, Ordering::Relaxed) == 10 {
                    flag.store(true, Ordering::Relaxed);
                }
                Ok(())
            });
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Cancelled);
            assert!(tasks.into_inner() < 1000);
        }
    }
}
