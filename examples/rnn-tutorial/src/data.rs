//! The tutorial's data: a binary sequence whose labels depend on the input three and eight steps ago.
//!
//! $X_t$ is 0 or 1 with probability 1/2. $Y_t$ is 1 with probability
//! $\frac12 + \frac12 X_{t-3} - \frac14 X_{t-8}$. What a network can make of that is known in advance: see [`ideal`].

use ndarray::{Array2, Axis, Slice};
use rand::{Rng, RngExt};

/// The tutorial's labels look this many steps back: first for what raises the chance of a 1, then for what lowers it.
pub const LAGS: [usize; 2] = [3, 8];

/// Sizes that do not fit each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A size is zero.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// The labels look back further than the sequence is long.
    #[error("a sequence of {size} steps is too short: its labels look {} steps back", LAGS[1])]
    TooShort {
        /// Steps asked for.
        size: usize,
    },
    /// There are fewer steps than rows in a batch.
    #[error("a batch of {batch_size} rows needs at least as many steps of data: there are {size}")]
    BatchTooLarge {
        /// Rows of a batch.
        batch_size: usize,
        /// Steps of data.
        size: usize,
    },
    /// A row of the batch is shorter than one window.
    #[error(
        "{size} steps of data make {batch_size} rows of {row} steps: too short for windows of {num_steps} steps"
    )]
    WindowTooLong {
        /// Steps of a window.
        num_steps: usize,
        /// Rows of a batch.
        batch_size: usize,
        /// Steps of data.
        size: usize,
        /// Steps of a row.
        row: usize,
    },
    /// Inputs and labels are not of one length.
    #[error("there are {inputs} inputs and {labels} labels")]
    Unequal {
        /// Number of inputs.
        inputs: usize,
        /// Number of labels.
        labels: usize,
    },
}

/// The probability that a label is 1, given the inputs three and eight steps before it.
fn threshold(three_ago: i32, eight_ago: i32) -> f64 {
    let mut threshold = 0.5;
    if three_ago == 1 {
        threshold += 0.5;
    }
    if eight_ago == 1 {
        threshold -= 0.25;
    }
    threshold
}

/// The labels of the inputs `x`, with `uniform` drawing from the unit interval once per label.
///
/// As in the tutorial's Python, an index before the start of the sequence counts from its end.
fn labels(x: &[i32], mut uniform: impl FnMut() -> f64) -> Vec<i32> {
    let ago = |i: usize, lag: usize| x[(i + x.len() - lag) % x.len()];
    let label = |i| if uniform() > threshold(ago(i, LAGS[0]), ago(i, LAGS[1])) { 0 } else { 1 };
    (0..x.len()).map(label).collect()
}

/// Draws a sequence of `size` inputs and their labels, as the tutorial's `gen_data` does.
///
/// Fails when the sequence is shorter than the labels look back.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// let (x, y) = rnn_tutorial::data::gen_data(1000, &mut StdRng::seed_from_u64(1))?;
/// assert_eq!((x.len(), y.len()), (1000, 1000));
/// // Where the input three steps ago is 1 and the one eight steps ago is 0, the label is 1.
/// assert!((8..1000).all(|t| x[t - 3] == 0 || x[t - 8] == 1 || y[t] == 1));
/// # Ok::<(), rnn_tutorial::data::SizeError>(())
/// ```
pub fn gen_data(size: usize, rng: &mut impl Rng) -> Result<(Vec<i32>, Vec<i32>), SizeError> {
    if size == 0 {
        return Err(SizeError::Zero("the size of the data"));
    }
    if size < LAGS[1] {
        return Err(SizeError::TooShort { size });
    }
    let x: Vec<i32> = (0..size).map(|_| rng.random_range(0..2)).collect();
    let y = labels(&x, || rng.random());
    Ok((x, y))
}

/// The batches of one epoch: pairs `(x, y)` of shape `[batch_size, num_steps]`.
#[derive(Debug, Clone)]
pub struct Batches {
    data_x: Array2<i32>,
    data_y: Array2<i32>,
    num_steps: usize,
    next: usize,
}

impl Iterator for Batches {
    type Item = (Array2<i32>, Array2<i32>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.len() == 0 {
            return None;
        }
        let window = Slice::from(self.next * self.num_steps..(self.next + 1) * self.num_steps);
        self.next += 1;
        let cut = |data: &Array2<i32>| data.slice_axis(Axis(1), window).to_owned();
        Some((cut(&self.data_x), cut(&self.data_y)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.data_x.ncols() / self.num_steps - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

/// Cuts a sequence into batches, as the tutorial's `gen_batch` does.
///
/// The sequence is cut into `batch_size` rows, one after the other, and the rows side by side into windows of `num_steps`
/// columns: row r of one batch goes on where row r of the batch before stopped, so a state can be carried from batch to
/// batch. What is left over at the end of each cut is not used.
///
/// ```
/// use ndarray::array;
/// let (x, y) = ((0..13).collect(), (100..113).collect());
/// let batches: Vec<_> = rnn_tutorial::data::gen_batch((x, y), 2, 3)?.collect();
/// assert_eq!(batches.len(), 2);
/// assert_eq!(batches[0], (array![[0, 1, 2], [6, 7, 8]], array![[100, 101, 102], [106, 107, 108]]));
/// assert_eq!(batches[1], (array![[3, 4, 5], [9, 10, 11]], array![[103, 104, 105], [109, 110, 111]]));
/// # Ok::<(), rnn_tutorial::data::SizeError>(())
/// ```
pub fn gen_batch(
    raw_data: (Vec<i32>, Vec<i32>),
    batch_size: usize,
    num_steps: usize,
) -> Result<Batches, SizeError> {
    let (raw_x, raw_y) = raw_data;
    if raw_x.len() != raw_y.len() {
        return Err(SizeError::Unequal { inputs: raw_x.len(), labels: raw_y.len() });
    }
    let row = row_length(raw_x.len(), batch_size, num_steps)?;
    let rows = |mut raw: Vec<i32>| {
        raw.truncate(batch_size * row);
        Array2::from_shape_vec((batch_size, row), raw).expect("cut to the rows' length")
    };
    Ok(Batches { data_x: rows(raw_x), data_y: rows(raw_y), num_steps, next: 0 })
}

/// How many steps a row of a batch holds over a whole epoch; an error when that is not even one window.
fn row_length(size: usize, batch_size: usize, num_steps: usize) -> Result<usize, SizeError> {
    for (value, name) in [(batch_size, "the batch size"), (num_steps, "the number of steps")] {
        if value == 0 {
            return Err(SizeError::Zero(name));
        }
    }
    let row = size / batch_size;
    match row {
        0 => Err(SizeError::BatchTooLarge { batch_size, size }),
        _ if row < num_steps => Err(SizeError::WindowTooLong { num_steps, batch_size, size, row }),
        _ => Ok(row),
    }
}

/// How many batches an epoch over `size` steps of data has.
pub fn batches_per_epoch(size: usize, batch_size: usize, num_steps: usize) -> Result<usize, SizeError> {
    Ok(row_length(size, batch_size, num_steps)? / num_steps)
}

/// The batches of `n` epochs, each over `size` fresh steps of data, as the tutorial's `gen_epochs` makes them.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// let mut rng = StdRng::seed_from_u64(1);
/// for epoch in rnn_tutorial::data::gen_epochs(3, 1000, 20, 5, &mut rng)? {
///     assert_eq!(epoch.len(), 10);
///     for (x, y) in epoch {
///         assert_eq!((x.dim(), y.dim()), ((20, 5), (20, 5)));
///     }
/// }
/// # Ok::<(), rnn_tutorial::data::SizeError>(())
/// ```
pub fn gen_epochs(
    n: usize,
    size: usize,
    batch_size: usize,
    num_steps: usize,
    rng: &mut impl Rng,
) -> Result<impl Iterator<Item = Batches>, SizeError> {
    row_length(size, batch_size, num_steps)?;
    if size < LAGS[1] {
        return Err(SizeError::TooShort { size });
    }
    Ok((0..n).map(move |_| {
        gen_data(size, rng)
            .and_then(|data| gen_batch(data, batch_size, num_steps))
            .expect("sizes are checked above")
    }))
}

/// The cross-entropies, in nats per label, of networks that have learned as much as can be learned.
///
/// Each is the conditional entropy of the label given the inputs in view, taken over the four equally likely pairs
/// $(X_{t-3}, X_{t-8})$: nothing is written down but the probabilities that make the data.
pub mod ideal {
    use super::{LAGS, threshold};

    /// The entropy of a label that is 1 with probability `p`.
    fn entropy(p: f64) -> f64 {
        [p, 1.0 - p].into_iter().filter(|&q| q > 0.0).map(|q| -q * q.ln()).sum()
    }

    /// The conditional entropy of the label for someone who sees of the inputs what `view` shows.
    fn cross_entropy<View: PartialEq>(view: impl Fn(i32, i32) -> View) -> f64 {
        let cases = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let best_guess = |seen: View| {
            let alike = cases.iter().filter(|&&(three, eight)| view(three, eight) == seen);
            let (sum, count) =
                alike.fold((0.0, 0.0), |(sum, n), &(three, eight)| (sum + threshold(three, eight), n + 1.0));
            sum / count
        };
        cases.iter().map(|&(three, eight)| entropy(best_guess(view(three, eight)))).sum::<f64>()
            / cases.len() as f64
    }

    /// Of a network that knows only how often a label is 1: about 0.6616.
    pub fn nothing() -> f64 {
        cross_entropy(|_, _| ())
    }

    /// Of a network that has learned what the input three steps ago does: about 0.5192.
    pub fn first_dependency() -> f64 {
        cross_entropy(|three, _| three)
    }

    /// Of a network that has learned what the inputs three and eight steps ago do: about 0.4545.
    pub fn both() -> f64 {
        cross_entropy(|three, eight| (three, eight))
    }

    /// Of a network trained on windows of `num_steps` steps.
    ///
    /// Errors flow back no further than to the start of a window. The label at its last step is `num_steps - 1` steps
    /// from its first input, so a dependency over a lag is learned only in windows longer than the lag: from 4 steps on
    /// the first, from 9 steps on both. (The state carried from batch to batch then brings the inputs before the
    /// window, but nothing teaches it to.)
    ///
    /// ```
    /// use rnn_tutorial::data::ideal;
    /// assert_eq!(ideal::of_window(3), ideal::nothing());
    /// assert_eq!(ideal::of_window(5), ideal::first_dependency());
    /// assert_eq!(ideal::of_window(10), ideal::both());
    /// ```
    pub fn of_window(num_steps: usize) -> f64 {
        match num_steps {
            n if n > LAGS[1] => both(),
            n if n > LAGS[0] => first_dependency(),
            _ => nothing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use rand::{SeedableRng, rngs::StdRng};

    // Drawn by the tutorial's own gen_data under numpy's seed 7: inputs, random numbers, labels.
    const NUMPY_X: [i32; 20] = [1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0];
    const NUMPY_RAND: [f64; 20] = [
        0.6792, 0.8037, 0.3809, 0.0659, 0.2881, 0.9096, 0.2134, 0.4521, 0.9312, 0.0249, 0.6005, 0.9501,
        0.2303, 0.5485, 0.9091, 0.1332, 0.5234, 0.7504, 0.669, 0.4678,
    ];
    const NUMPY_Y: [i32; 20] = [0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0];

    #[test]
    fn labels_are_those_of_the_tutorials_python() {
        let mut rand = NUMPY_RAND.into_iter();
        assert_eq!(labels(&NUMPY_X, || rand.next().expect("one number a label")), NUMPY_Y);
        assert_eq!(rand.next(), None);
    }

    #[test]
    fn an_index_before_the_start_counts_from_the_end() {
        // Ten steps: label 0 sees inputs 7 and 2, label 2 sees 9 and 4, label 3 sees 0 and 5.
        let one_at = |ones: &[usize]| -> Vec<i32> { (0..10).map(|i| i32::from(ones.contains(&i))).collect() };
        let ones_with = |x: &[i32], u: f64| -> Vec<usize> {
            labels(x, || u).iter().enumerate().filter(|(_, y)| **y == 1).map(|(i, _)| i).collect()
        };
        assert_eq!(ones_with(&one_at(&[7]), 0.9), [0]);
        assert_eq!(ones_with(&one_at(&[9]), 0.9), [2]);
        assert_eq!(ones_with(&one_at(&[0]), 0.9), [3]);
        // An input of 1 lowers the label eight steps on: 2 lowers 0 (that is, 10), 9 lowers 7 (17).
        assert_eq!(ones_with(&one_at(&[2]), 0.4), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(ones_with(&one_at(&[9]), 0.4), [0, 1, 2, 3, 4, 5, 6, 8, 9]);
    }

    #[test]
    fn frequencies_are_the_probabilities() {
        let size = 200_000;
        let (x, y) = gen_data(size, &mut StdRng::seed_from_u64(2)).unwrap();
        let ones = x.iter().filter(|&&x| x == 1).count();
        assert!((ones as f64 / size as f64 - 0.5).abs() < 0.01);
        for (three, eight, expected) in [(0, 0, 0.5), (0, 1, 0.25), (1, 0, 1.0), (1, 1, 0.75)] {
            let seen: Vec<i32> =
                (8..size).filter(|&t| x[t - 3] == three && x[t - 8] == eight).map(|t| y[t]).collect();
            assert!((seen.len() as f64 / size as f64 - 0.25).abs() < 0.01);
            let frequency = seen.iter().sum::<i32>() as f64 / seen.len() as f64;
            assert!((frequency - expected).abs() < 0.01, "{three} {eight}: {frequency}, not {expected}");
        }
    }

    #[test]
    fn batches_are_those_of_the_tutorials_python() {
        // gen_batch((X, Y), batch_size=3, num_steps=2) of the sequences above: 18 steps are used, three batches.
        let batches: Vec<_> = gen_batch((NUMPY_X.to_vec(), NUMPY_Y.to_vec()), 3, 2).unwrap().collect();
        assert_eq!(
            batches,
            [
                (array![[1, 0], [1, 1], [0, 1]], array![[0, 0], [1, 1], [1, 0]]),
                (array![[1, 0], [0, 1], [0, 0]], array![[1, 1], [0, 1], [0, 1]]),
                (array![[1, 1], [0, 1], [0, 0]], array![[1, 1], [1, 0], [1, 0]])
            ]
        );
    }

    #[test]
    fn a_batch_goes_on_where_the_one_before_stopped() {
        let mut epoch = gen_batch(((0..1000).collect(), (0..1000).collect()), 20, 5).unwrap();
        assert_eq!(epoch.len(), batches_per_epoch(1000, 20, 5).unwrap());
        let (first, _) = epoch.next().unwrap();
        let (second, _) = epoch.next().unwrap();
        assert_eq!(first.mapv(|t| t + 5), second);
        assert_eq!(epoch.count(), 8);
    }

    #[test]
    fn every_epoch_draws_fresh_data() {
        let mut rng = StdRng::seed_from_u64(3);
        let epochs: Vec<Vec<_>> =
            gen_epochs(2, 400, 10, 4, &mut rng).unwrap().map(Iterator::collect).collect();
        assert_eq!((epochs.len(), epochs[0].len()), (2, 10));
        assert_ne!(epochs[0], epochs[1]);
        let again: Vec<Vec<_>> = gen_epochs(2, 400, 10, 4, &mut StdRng::seed_from_u64(3))
            .unwrap()
            .map(Iterator::collect)
            .collect();
        assert_eq!(epochs, again);
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        #[track_caller]
        fn check(size: usize, batch_size: usize, num_steps: usize, message: &str) {
            let mut rng = StdRng::seed_from_u64(4);
            let error = match gen_epochs(1, size, batch_size, num_steps, &mut rng) {
                Ok(_) => panic!("{size}, {batch_size} and {num_steps} fit"),
                Err(error) => error,
            };
            assert_eq!(error.to_string(), message);
        }
        check(100, 0, 5, "the batch size must be at least 1");
        check(100, 10, 0, "the number of steps must be at least 1");
        check(0, 10, 5, "a batch of 10 rows needs at least as many steps of data: there are 0");
        check(100, 101, 5, "a batch of 101 rows needs at least as many steps of data: there are 100");
        check(100, 30, 5, "100 steps of data make 30 rows of 3 steps: too short for windows of 5 steps");
        check(7, 1, 1, "a sequence of 7 steps is too short: its labels look 8 steps back");
        let mut rng = StdRng::seed_from_u64(4);
        assert_eq!(gen_data(0, &mut rng).unwrap_err().to_string(), "the size of the data must be at least 1");
        assert_eq!(
            gen_batch((vec![0; 4], vec![0; 5]), 1, 1).unwrap_err().to_string(),
            "there are 4 inputs and 5 labels"
        );
        assert!(gen_data(8, &mut rng).is_ok());
    }

    #[test]
    fn ideal_cross_entropies_are_the_tutorials() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} and {b}");
        close(ideal::nothing(), 0.6616);
        close(ideal::first_dependency(), 0.5192);
        close(ideal::both(), 0.4545);
        let seen: Vec<f64> = [1, 3, 4, 8, 9, 20].map(ideal::of_window).to_vec();
        let (none, first, both) = (ideal::nothing(), ideal::first_dependency(), ideal::both());
        assert_eq!(seen, [none, none, first, first, both, both]);
    }
}
