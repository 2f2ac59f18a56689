//! The numbers: how large the graphs are, how long building, compiling and training take, and how much memory.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tf::feed;
use tidemill as tf;

use super::CompareError;
use crate::data::{gen_batch, gen_data};
use crate::model::{Config, Network};
use crate::run::Model;

/// Graphs are built, and compiled, this many times: the median counts.
const BUILDS: usize = 5;

/// Training steps are timed at least this many times.
const MIN_STEPS: usize = 15;

/// The sizes of a network and of what it is fed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Steps of a window.
    pub num_steps: usize,
    /// Width of the state.
    pub state_size: usize,
    /// Rows of a batch.
    pub batch_size: usize,
}

/// What was found of one network at one number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The network.
    pub model: Model,
    /// Steps of a window.
    pub num_steps: usize,
    /// Nodes of the graph, with gradients and optimizer.
    pub nodes: usize,
    /// The time to build the graph.
    pub build: Duration,
    /// The time of the first training step, which compiles the plan.
    pub first_run: Duration,
    /// The time of each further training step.
    pub step: Duration,
    /// What a training step needs, by its plan.
    pub memory: tf::MemoryReport,
    /// The peak memory of a process that does nothing else, in KiB.
    pub peak_kib: Option<u64>,
    /// Whether the same graph takes windows of another number of steps.
    pub any_length: bool,
}

/// A network that is ready to train.
struct Trainer {
    graph: tf::Graph,
    net: Network,
    session: tf::Session,
}

type Fetches = (tf::Tensor, tf::Tensor, tf::Operation);

impl Trainer {
    fn new(model: Model, sizes: Sizes, seed: u64) -> tf::Result<(Trainer, Duration)> {
        let Sizes { num_steps, state_size, batch_size } = sizes;
        let start = Instant::now();
        let graph = tf::Graph::new();
        graph.set_random_seed(seed as i64);
        let net = model.build(&graph, Config { batch_size, num_steps, state_size, learning_rate: 0.1 });
        let build = start.elapsed();
        let session = tf::Session::new(&graph);
        Ok((Trainer { graph, net, session }, build))
    }

    fn initialise(&self) -> tf::Result<()> {
        self.session.run(self.graph.global_variables_initializer(), feed! {})
    }

    fn fetches(&self) -> Fetches {
        (self.net.total_loss, self.net.final_state, self.net.train_step)
    }

    fn step(&self, batch: &Batch) -> tf::Result<Duration> {
        let start = Instant::now();
        self.session.run(self.fetches(), feed! { self.net.x => &batch.x, self.net.y => &batch.y })?;
        Ok(start.elapsed())
    }
}

struct Batch {
    x: tf::Value,
    y: tf::Value,
}

impl Batch {
    fn new(sizes: Sizes, seed: u64) -> Result<Batch, CompareError> {
        let Sizes { num_steps, batch_size, .. } = sizes;
        // As much as one batch takes, but enough for the labels to look back on.
        let size = batch_size.saturating_mul(num_steps).max(batch_size.saturating_mul(8));
        let data = gen_data(size, &mut StdRng::seed_from_u64(seed))?;
        let (x, y) = gen_batch(data, batch_size, num_steps)?.next().expect("there are data for a batch");
        Ok(Batch { x: x.into(), y: y.into() })
    }
}

/// Measures all networks at one number of steps; `peak` tells a network's peak memory.
///
/// Training steps of the networks are timed by turns, so that whatever else the machine does meets all of them.
pub fn measure(
    sizes: Sizes,
    seconds: f64,
    seed: u64,
    peak: impl Fn(Model) -> Result<Option<u64>, CompareError>,
) -> Result<Vec<Row>, CompareError> {
    let batch = Batch::new(sizes, seed)?;
    let longer = Batch::new(Sizes { num_steps: sizes.num_steps + 1, ..sizes }, seed)?;
    let models = Model::ALL.len();
    let (mut builds, mut first_runs, mut steps) =
        (vec![vec![]; models], vec![vec![]; models], vec![vec![]; models]);
    let mut trainers = vec![];
    for _ in 0..BUILDS {
        trainers.clear();
        for (i, model) in Model::ALL.into_iter().enumerate() {
            let (trainer, build) = Trainer::new(model, sizes, seed)?;
            builds[i].push(build);
            trainer.initialise()?;
            first_runs[i].push(trainer.step(&batch)?);
            trainers.push(trainer);
        }
    }
    let start = Instant::now();
    while steps[0].len() < MIN_STEPS || start.elapsed().as_secs_f64() < seconds {
        for (trainer, times) in trainers.iter().zip(&mut steps) {
            times.push(trainer.step(&batch)?);
        }
    }
    let mut rows = vec![];
    for (i, model) in Model::ALL.into_iter().enumerate() {
        let trainer = &trainers[i];
        let Network { x, y, .. } = trainer.net;
        rows.push(Row {
            model,
            num_steps: sizes.num_steps,
            // Without the node that initialises the variables.
            nodes: trainer.graph.len() - 1,
            build: median(&mut builds[i]),
            first_run: median(&mut first_runs[i]),
            step: median(&mut steps[i]),
            memory: trainer
                .session
                .memory_report(trainer.fetches(), feed! { x => &batch.x, y => &batch.y })?,
            peak_kib: peak(model)?,
            any_length: match trainer.step(&longer) {
                Ok(_) => true,
                Err(error) if error.kind() == tf::ErrorKind::InvalidArgument => false,
                Err(error) => return Err(error.into()),
            },
        });
    }
    Ok(rows)
}

/// Builds a network and trains it for a few steps.
pub(super) fn train_a_little(model: Model, sizes: Sizes) -> Result<(), CompareError> {
    let (trainer, _) = Trainer::new(model, sizes, 1)?;
    trainer.initialise()?;
    let batch = Batch::new(sizes, 1)?;
    for _ in 0..3 {
        trainer.step(&batch)?;
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The columns of the table beside the number of steps and the network, each with two lines of heading.
pub(super) const HEADINGS: [[&str; 2]; 7] = [
    ["nodes in", "the graph"],
    ["building", "it"],
    ["first run", "(compiles)"],
    ["one train-", "ing step"],
    ["memory,", "by plan"],
    ["peak of", "a process"],
    ["another", "T"],
];

impl Row {
    /// Its cells under [`HEADINGS`].
    pub(super) fn cells(&self) -> [String; 7] {
        [
            self.nodes.to_string(),
            time(self.build),
            time(self.first_run),
            time(self.step),
            bytes(self.memory.total() as u64),
            self.peak_kib.map_or_else(|| "not known".to_owned(), |kib| bytes(kib * 1024)),
            if self.any_length { "same graph" } else { "new graph" }.to_owned(),
        ]
    }
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1e-3 => format!("{:.0} us", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes as f64 / 1024.0 {
        kib if kib < 1024.0 => format!("{kib:.0} KiB"),
        kib => format!("{:.1} MiB", kib / 1024.0),
    }
}

/// The rows as a table of text.
pub fn table(rows: &[Row]) -> String {
    let line = |first: &str, second: &str, cells: [&str; 7]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>12}")).collect();
        format!("{first:>5} {second:<8}{cells}\n")
    };
    let heading = |i: usize| HEADINGS.map(|lines| lines[i]);
    let mut table = line("", "", heading(0)) + &line("T", "network", heading(1));
    for row in rows {
        let cells = row.cells();
        table += &line(&row.num_steps.to_string(), &row.model.to_string(), cells.each_ref().map(|c| &**c));
    }
    table
}

/// How long a training step of the loop takes, in those of the network written out by hand; a line for people.
pub fn ratios(rows: &[Row]) -> String {
    let step = |model, num_steps| {
        let row = rows.iter().find(|row| row.model == model && row.num_steps == num_steps);
        row.map_or(f64::NAN, |row| row.step.as_secs_f64())
    };
    let dynamic = rows.iter().filter(|row| row.model == Model::Dynamic);
    let ratio = |row: &Row| {
        let ratio = row.step.as_secs_f64() / step(Model::Manual, row.num_steps);
        format!("{ratio:.2} at T = {}", row.num_steps)
    };
    let ratios: Vec<String> = dynamic.map(ratio).collect();
    format!("A training step in the loop takes as many of those unrolled by hand: {}.", ratios.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { num_steps: 3, state_size: 4, batch_size: 5 };

    #[test]
    fn what_is_unrolled_grows_and_takes_no_other_length() {
        let at =
            |num_steps| {
                measure(Sizes { num_steps, ..SIZES }, 0.0, 1, |model| {
                    Ok((model != Model::Static).then_some(2048))
                })
                .unwrap()
            };
        let (short, long) = (at(3), at(6));
        for (short, long) in short.iter().zip(&long) {
            let dynamic = short.model == Model::Dynamic;
            assert_eq!(short.nodes == long.nodes, dynamic, "{}", short.model);
            assert_eq!(short.any_length, dynamic);
            assert!(short.memory.arena > 0 && long.memory.arena > short.memory.arena);
            assert!(short.step > Duration::ZERO && short.build > Duration::ZERO);
        }
        let cells: Vec<[String; 7]> = short.iter().map(Row::cells).collect();
        assert_eq!((&*cells[0][5], &*cells[1][5]), ("2.0 MiB", "not known"));
        assert_eq!((&*cells[0][6], &*cells[2][6]), ("new graph", "same graph"));
        assert_eq!(table(&short).lines().count(), 5);
        let mut rows = [short, long].concat();
        rows.iter_mut().for_each(|row| row.step = Duration::from_micros(100 + row.model as u64 * 10));
        let line = "A training step in the loop takes as many of those unrolled by hand: 1.20 at T = 3, 1.20 at T = 6.";
        assert_eq!(ratios(&rows), line);
    }

    #[test]
    fn all_networks_start_from_the_same_values() {
        let start = |model| {
            let (trainer, _) = Trainer::new(model, SIZES, 7).unwrap();
            trainer.initialise().unwrap();
            trainer.session.run(trainer.graph.trainable_variables(), feed! {}).unwrap()
        };
        let manual = start(Model::Manual);
        assert_eq!(manual.len(), 4);
        for model in [Model::Static, Model::Dynamic] {
            for (a, b) in manual.iter().zip(start(model)) {
                assert!(a.bitwise_eq(&b), "{model}: {a} and {b}");
            }
        }
    }

    #[test]
    fn times_and_bytes_are_short() {
        let of = |micros| time(Duration::from_micros(micros));
        assert_eq!([of(25), of(1500), of(123_456), of(2_500_000)], ["25 us", "1.5 ms", "123 ms", "2.5 s"]);
        assert_eq!([bytes(2048), bytes(3 << 20)], ["2 KiB", "3.0 MiB"]);
    }
}
