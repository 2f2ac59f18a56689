//! Training, and measuring what was learned.

use tf::feed;
use tidemill as tf;

use crate::checkpoint::{Checkpoint, Fingerprint};
use crate::data::{Vocabulary, Windows};
use crate::model::Network;
use crate::{Error, Result, Settings};

/// One character in so many is held out, at the end of the text.
const HELD_OUT: usize = 10;

/// A model that learns a text.
pub struct Trainer {
    settings: Settings,
    vocabulary: Vocabulary,
    fingerprint: Fingerprint,
    training: Windows,
    held_out: Windows,
    graph: tf::Graph,
    network: Network,
    train_step: tf::Operation,
    session: tf::Session,
    /// Training steps taken.
    steps: u64,
    /// The state after them.
    state: Vec<tf::Value>,
}

impl Trainer {
    /// A new model for a text.
    ///
    /// # Errors
    /// When no model can be made with the settings, or the text is too short for them.
    pub fn new(settings: Settings, text: &str) -> Result<Trainer> {
        let trainer = Trainer::untrained(settings, text)?;
        trainer.session.run(trainer.graph.global_variables_initializer(), feed! {})?;
        Ok(trainer)
    }

    /// Goes on where a checkpoint was made: what follows is what would have followed then, to the bit.
    ///
    /// # Errors
    /// When the checkpoint is of another text, or is not whole.
    pub fn resume(checkpoint: Checkpoint, text: &str) -> Result<Trainer> {
        if checkpoint.fingerprint != Fingerprint::of(text) {
            return Err(Error::OtherText);
        }
        let mut trainer = Trainer::untrained(checkpoint.settings, text)?;
        checkpoint.load_into(&trainer.session)?;
        trainer.steps = checkpoint.steps;
        trainer.state = checkpoint.state;
        Ok(trainer)
    }

    fn untrained(settings: Settings, text: &str) -> Result<Trainer> {
        let settings = settings.checked()?;
        let vocabulary = Vocabulary::of(text);
        let mut ids = vocabulary.ids(text)?;
        let held_out = ids.split_off(ids.len() - ids.len() / HELD_OUT);
        let Settings { batch_size, num_steps, .. } = settings;
        let training = Windows::new(ids, batch_size, num_steps, "the text to train on")?;
        // A short end of the text is read in fewer rows.
        let rows = (held_out.len().saturating_sub(1) / num_steps).clamp(1, batch_size);
        let held_out = Windows::new(held_out, rows, num_steps, "the text held out")?;

        let graph = tf::Graph::new();
        graph.set_random_seed(settings.seed as i64);
        let network = Network::new(&graph, settings, vocabulary.len());
        let train_step = network.train_step(settings);
        let session = tf::Session::new(&graph);
        let state = network.zero_state(settings, batch_size)?;
        let fingerprint = Fingerprint::of(text);
        Ok(Trainer {
            settings,
            vocabulary,
            fingerprint,
            training,
            held_out,
            graph,
            network,
            train_step,
            session,
            steps: 0,
            state,
        })
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The characters of the text.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// How many numbers are learned.
    pub fn parameters(&self) -> usize {
        let size = |v: tf::Variable| v.shape().num_elements().unwrap_or(0);
        self.graph.trainable_variables().into_iter().map(size).sum()
    }

    /// Training steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Training steps that read the whole text once.
    pub fn steps_per_epoch(&self) -> u64 {
        self.training.len() as u64
    }

    /// One training step; the loss before it, in nats per character.
    ///
    /// # Errors
    /// When the run fails, or the loss is no number any more.
    pub fn step(&mut self) -> Result<f32> {
        let window = (self.steps % self.steps_per_epoch()) as usize;
        if window == 0 {
            self.state = self.network.zero_state(self.settings, self.training.rows())?;
        }
        let (x, y) = self.training.get(window)?;
        let net = &self.network;
        let feeds = net.starting_from(&self.state).with(net.inputs, x).with(net.targets, y);
        let fetches = (net.loss, &net.final_state, self.train_step);
        let (loss, state, ()) = self.session.run(fetches, feeds)?;
        let loss = loss.to_scalar::<f32>()?;
        self.state = state;
        self.steps += 1;
        match loss.is_finite() {
            true => Ok(loss),
            false => Err(Error::Diverged { loss, steps: self.steps }),
        }
    }

    /// The perplexity of the text held out: `e` to its mean cross-entropy, which is how many characters the model wavers between.
    ///
    /// # Errors
    /// When a run fails.
    pub fn held_out_perplexity(&self) -> Result<f64> {
        let net = &self.network;
        let mut state = net.zero_state(self.settings, self.held_out.rows())?;
        let mut sum = 0.0;
        for window in 0..self.held_out.len() {
            let (x, y) = self.held_out.get(window)?;
            let feeds = net.starting_from(&state).with(net.inputs, x).with(net.targets, y);
            let (loss, next) = self.session.run((net.loss, &net.final_state), feeds)?;
            sum += f64::from(loss.to_scalar::<f32>()?);
            state = next;
        }
        Ok((sum / self.held_out.len() as f64).exp())
    }

    /// All that going on from here takes.
    ///
    /// # Errors
    /// When the variables cannot be read.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let variables = self.graph.global_variables();
        let values = self.session.run(&variables, feed! {})?;
        let names = variables.iter().map(|v| v.op().name());
        Ok(Checkpoint {
            settings: self.settings,
            vocabulary: self.vocabulary.clone(),
            fingerprint: self.fingerprint,
            steps: self.steps,
            state: self.state.clone(),
            variables: names.zip(values).collect(),
        })
    }
}
