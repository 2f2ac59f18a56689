//! What went how often.

use std::collections::BTreeMap;
use std::fmt;

use super::{Outcome, Verdict};

/// How many ops the breakdown shows.
const SHOWN: usize = 60;

#[derive(Default)]
pub(super) struct Summary {
    verdicts: BTreeMap<Verdict, usize>,
    /// For each verdict and op at fault: in how many cases, and in how many alone.
    ops: BTreeMap<(Verdict, String), (usize, usize)>,
}

impl Summary {
    pub(super) fn add(&mut self, outcome: Outcome) {
        *self.verdicts.entry(outcome.verdict).or_default() += 1;
        let alone = outcome.ops.len() == 1;
        for op in outcome.ops {
            let counts = self.ops.entry((outcome.verdict, op)).or_default();
            counts.0 += 1;
            counts.1 += usize::from(alone);
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    pub(super) fn failed(&self) -> usize {
        self.verdicts.values().sum::<usize>() - self.count(Verdict::Pass) - self.count(Verdict::Unsupported)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ops: Vec<_> = self.ops.iter().filter(|((verdict, _), _)| *verdict != Verdict::Pass).collect();
        ops.sort_by_key(|(_, counts)| std::cmp::Reverse(**counts));
        writeln!(f, "{:>6} {:>6}  verdict and op (cases; cases in which it stands alone)", "cases", "alone")?;
        for ((verdict, op), (cases, alone)) in ops.into_iter().take(SHOWN) {
            writeln!(f, "{cases:>6} {alone:>6}  {verdict} {op}")?;
        }
        for (verdict, count) in &self.verdicts {
            writeln!(f, "{count:>6} {verdict}")?;
        }
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.count(Verdict::Pass),
            self.failed(),
            self.count(Verdict::Unsupported)
        )
    }
}
