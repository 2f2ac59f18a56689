//! Writing: one character after the other, each drawn as likely as the model holds it to be.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill as tf;

use crate::checkpoint::Checkpoint;
use crate::data::Vocabulary;
use crate::model::Network;
use crate::{Error, Result};

/// A model that writes: an iterator over characters, without end.
pub struct Sampler {
    network: Network,
    session: tf::Session,
    vocabulary: Vocabulary,
    temperature: f64,
    rng: StdRng,
    /// What has not been read yet.
    unread: Vec<i32>,
    state: Vec<tf::Value>,
}

impl Sampler {
    /// Writes on from `prime`. Logits are divided by `temperature`: below 1 the likely gets likelier still, at 0 nothing else is written. The
    /// same seed writes the same.
    ///
    /// # Errors
    /// When `prime` is empty or has a character that the model does not know, the temperature is no number from 0, or the
    /// checkpoint is not whole.
    pub fn new(checkpoint: &Checkpoint, prime: &str, temperature: f64, seed: u64) -> Result<Sampler> {
        if !(temperature >= 0.0 && temperature.is_finite()) {
            let (what, value) = ("the temperature", temperature.to_string());
            return Err(Error::Setting { what, want: "0 or a positive number".to_owned(), value });
        }
        let unread = checkpoint.vocabulary.ids(prime)?;
        if unread.is_empty() {
            let want = "at least one character".to_owned();
            return Err(Error::Setting { what: "the text to go on from", want, value: "\"\"".to_owned() });
        }
        let graph = tf::Graph::new();
        let network = Network::new(&graph, checkpoint.settings, checkpoint.vocabulary.len());
        let session = tf::Session::new(&graph);
        checkpoint.load_into(&session)?;
        Ok(Sampler {
            state: network.zero_state(checkpoint.settings, 1)?,
            network,
            session,
            vocabulary: checkpoint.vocabulary.clone(),
            temperature,
            rng: StdRng::seed_from_u64(seed),
            unread,
        })
    }

    fn step(&mut self) -> Result<char> {
        let net = &self.network;
        let read = tf::Value::from_slice([1, self.unread.len()], &self.unread)?;
        let feeds = net.starting_from(&self.state).with(net.inputs, read);
        let (logits, state) = self.session.run((net.logits, &net.final_state), feeds)?;
        self.state = state;
        let logits: Vec<f64> = logits.iter_f64().collect();
        let last = &logits[logits.len() - self.vocabulary.len()..];
        let id = draw(last, self.temperature, self.rng.random());
        self.unread = vec![id as i32];
        let beyond = || tf::Error::internal(format!("character {id} was drawn, which there is not"));
        Ok(self.vocabulary.character(id).ok_or_else(beyond)?)
    }
}

impl Iterator for Sampler {
    type Item = Result<char>;

    fn next(&mut self) -> Option<Result<char>> {
        Some(self.step())
    }
}

/// Which of the classes `uniform`, of `[0, 1)`, falls on, when each takes as much of that as its probability.
fn draw(logits: &[f64], temperature: f64, uniform: f64) -> usize {
    let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    if temperature == 0.0 {
        return best;
    }
    let weights: Vec<f64> = logits.iter().map(|logit| ((logit - logits[best]) / temperature).exp()).collect();
    let mut left = uniform * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_drawn_as_often_as_they_are_likely() {
        let logits = [0.1f64, 0.2, 0.7].map(f64::ln);
        let share = |class: usize, temperature: f64| {
            let drawn = (0..1000).filter(|i| draw(&logits, temperature, (*i as f64 + 0.5) / 1000.0) == class);
            drawn.count() as f64 / 1000.0
        };
        for (class, probability) in [0.1, 0.2, 0.7].into_iter().enumerate() {
            assert!((share(class, 1.0) - probability).abs() < 2e-3);
        }
        // Divided by 1/2, probabilities are squared.
        assert!((share(2, 0.5) - 0.49 / 0.54).abs() < 2e-3);
        assert_eq!(share(2, 0.0), 1.0);
        assert_eq!(share(2, 1e-300), 1.0);
    }
}
