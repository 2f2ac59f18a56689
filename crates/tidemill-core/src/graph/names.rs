//! Unique names, made exactly as TensorFlow makes them.
//!
//! Names are compared without regard to case. The first use of `MatMul` keeps it; the next are `MatMul_1`, `MatMul_2`;
//! a name the user picked that way by hand is skipped over.

use rustc_hash::FxHashMap;

use crate::error::{Error, Result};

/// The names in use: for each, in lower case, how many times it has been asked for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    used: FxHashMap<String, u32>,
    /// What the keys changed since the outermost attempt began had before.
    journal: Vec<(String, Option<u32>)>,
    attempts: usize,
}

/// What one call of [`Names::claim`] changed, so that it can be taken back.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    base: String,
    before: Option<u32>,
    derived: Option<String>,
}

impl Names {
    /// Gives a key its count, or takes it out.
    fn set(&mut self, key: &str, count: Option<u32>) -> Option<u32> {
        let before = match count {
            Some(count) => self.used.insert(key.to_owned(), count),
            None => self.used.remove(key),
        };
        if self.attempts > 0 {
            self.journal.push((key.to_owned(), before));
        }
        before
    }

    /// From now on changes can be taken back, to here.
    pub(super) fn start_journal(&mut self) -> usize {
        self.attempts += 1;
        self.journal.len()
    }

    /// Takes back what was changed since `mark`.
    pub(super) fn go_back(&mut self, mark: usize) {
        for (key, before) in self.journal.drain(mark..).rev() {
            match before {
                Some(count) => self.used.insert(key, count),
                None => self.used.remove(&key),
            };
        }
    }

    /// Ends what [`start_journal`](Names::start_journal) began.
    pub(super) fn stop_journal(&mut self, mark: usize) {
        self.attempts -= 1;
        if self.attempts == 0 {
            self.journal.truncate(mark);
        }
    }

    /// A name that nobody has, and marks it as used.
    pub(crate) fn claim(&mut self, name: String) -> (String, Claim) {
        let base = name.to_lowercase();
        let before = self.used.get(&base).copied();
        let Some(mut count) = before else {
            self.set(&base, Some(1));
            return (name, Claim { base, before, derived: None });
        };
        let mut derived = format!("{base}_{count}");
        while self.used.contains_key(&derived) {
            count += 1;
            derived = format!("{base}_{count}");
        }
        // TensorFlow counts one further for each suffix tried, so that the next search starts where this one ended.
        self.set(&base, Some(before.map_or(1, |b| b + 1).max(count)));
        self.set(&derived, Some(1));
        (format!("{name}_{count}"), Claim { base, before, derived: Some(derived) })
    }

    /// Marks a name as used that is taken exactly as it is, whoever has it.
    pub(crate) fn claim_exactly(&mut self, name: &str) -> Claim {
        let base = name.to_lowercase();
        let before = self.used.get(&base).copied();
        if before.is_none() {
            self.set(&base, Some(1));
        }
        Claim { base, before, derived: None }
    }

    /// Takes a claim back.
    pub(crate) fn release(&mut self, claim: Claim) {
        if let Some(derived) = claim.derived {
            self.set(&derived, None);
        }
        self.set(&claim.base, claim.before);
    }

    /// Moves a name that was claimed inside a renamed scope.
    pub(crate) fn move_key(&mut self, from: &str, to: &str) {
        if let Some(count) = self.set(&from.to_lowercase(), None) {
            self.set(&to.to_lowercase(), Some(count));
        }
    }
}

/// Checks a name against TensorFlow's rule.
///
/// # Errors
/// `InvalidArgument`.
pub(crate) fn check_name(name: &str, in_scope: bool) -> Result<()> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '.' || (in_scope && "_\\-/".contains(c));
    let rest = |c: char| c.is_ascii_alphanumeric() || "_.\\-/>".contains(c);
    if name.chars().next().is_some_and(first) && name.chars().all(rest) {
        Ok(())
    } else {
        Err(Error::invalid(format!("{name:?} is not a valid name")).with_help(
            "a name starts with a letter, digit or '.', and goes on with those or any of _ - / \\",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &[&str], got: &[&str]) {
        let mut names = Names::default();
        let all: Vec<String> = asked.iter().map(|n| names.claim((*n).to_owned()).0).collect();
        assert_eq!(all, got);
    }

    #[test]
    fn repeated_names_count_up() {
        check(&["a", "a", "a"], &["a", "a_1", "a_2"]);
    }

    #[test]
    fn case_is_ignored() {
        check(&["MatMul", "matmul", "MATMUL"], &["MatMul", "matmul_1", "MATMUL_2"]);
    }

    #[test]
    fn names_picked_by_hand_are_skipped() {
        check(&["a_1", "a", "a", "a"], &["a_1", "a", "a_2", "a_3"]);
    }

    #[test]
    fn a_released_name_is_free_again() {
        let mut names = Names::default();
        let (_, claim) = names.claim("x".into());
        names.release(claim);
        let (name, _) = names.claim("x".into());
        assert_eq!(name, "x");
        let (_, claim) = names.claim("x".into());
        names.release(claim);
        let (name, _) = names.claim("x".into());
        assert_eq!(name, "x_1");
    }
}
