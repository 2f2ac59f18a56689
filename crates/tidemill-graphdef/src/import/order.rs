//! Putting things in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The numbers below `count` for which `keep` holds, each after those from which an edge leads to it; the smallest first where there is a choice.
///
/// # Errors
/// A cycle, when there is one.
pub(super) fn topological(
    count: usize,
    keep: impl Fn(u32) -> bool,
    edges: &[(u32, u32)],
) -> Result<Vec<u32>, Vec<u32>> {
    // The edges by their start: those of `n` are `to[first[n]..first[n + 1]]`.
    let mut first = vec![0u32; count + 1];
    let mut waiting = vec![0u32; count];
    for &(from, to) in edges {
        first[from as usize + 1] += 1;
        waiting[to as usize] += 1;
    }
    for n in 0..count {
        first[n + 1] += first[n];
    }
    let mut at = first.clone();
    let mut to = vec![0u32; edges.len()];
    for &(a, b) in edges {
        to[at[a as usize] as usize] = b;
        at[a as usize] += 1;
    }
    let kept = (0..count as u32).filter(|n| keep(*n));
    let mut ready: BinaryHeap<Reverse<u32>> =
        kept.clone().filter(|n| waiting[*n as usize] == 0).map(Reverse).collect();
    let mut order = vec![];
    while let Some(Reverse(n)) = ready.pop() {
        order.push(n);
        for &next in &to[first[n as usize] as usize..first[n as usize + 1] as usize] {
            waiting[next as usize] -= 1;
            if waiting[next as usize] == 0 && keep(next) {
                ready.push(Reverse(next));
            }
        }
    }
    match kept.clone().find(|n| waiting[*n as usize] > 0) {
        Some(stuck) => Err(cycle(stuck, &waiting, edges)),
        None => Ok(order),
    }
}

/// Goes backwards among those that wait for ever until one comes again.
fn cycle(stuck: u32, waiting: &[u32], edges: &[(u32, u32)]) -> Vec<u32> {
    let mut before = vec![u32::MAX; waiting.len()];
    for &(from, to) in edges.iter().filter(|(from, _)| waiting[*from as usize] > 0) {
        before[to as usize] = from;
    }
    let mut place = vec![usize::MAX; waiting.len()];
    let (mut path, mut at) = (vec![], stuck);
    while at != u32::MAX && place[at as usize] == usize::MAX {
        place[at as usize] = path.len();
        path.push(at);
        at = before[at as usize];
    }
    let start = if at == u32::MAX { 0 } else { place[at as usize] };
    path.drain(..start);
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_edges_and_then_numbers() {
        assert_eq!(topological(4, |_| true, &[(3, 0), (2, 0)]), Ok(vec![1, 2, 3, 0]));
        assert_eq!(topological(4, |n| n != 1, &[]), Ok(vec![0, 2, 3]));
        assert_eq!(topological(3, |_| true, &[(0, 1), (0, 1), (1, 2)]), Ok(vec![0, 1, 2]));
    }

    #[test]
    fn a_cycle_is_shown() {
        assert_eq!(topological(4, |_| true, &[(0, 1), (1, 2), (2, 1), (2, 3)]), Err(vec![2, 1]));
        assert_eq!(topological(1, |_| true, &[(0, 0)]), Err(vec![0]));
    }

    #[test]
    fn long_chains_take_no_stack() {
        let edges: Vec<(u32, u32)> = (1..1_000_000).map(|n| (n, n - 1)).collect();
        assert_eq!(topological(1_000_000, |_| true, &edges).unwrap()[0], 999_999);
    }
}
