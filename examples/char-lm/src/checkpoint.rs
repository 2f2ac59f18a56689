//! What going on takes, in an `.npz` file: settings, vocabulary, variables (with the optimizer's), the state, and the steps taken.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tf::npz;
use tidemill as tf;

use crate::data::Vocabulary;
use crate::{Error, Result, Settings};

/// Tells texts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Of a text.
    pub fn of(text: &str) -> Fingerprint {
        Fingerprint(md5::compute(text).0)
    }
}

/// A model, and how far its training has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The model's sizes, and how it is trained.
    pub settings: Settings,
    /// The characters that it knows.
    pub vocabulary: Vocabulary,
    /// The text that it is trained on.
    pub fingerprint: Fingerprint,
    /// Training steps taken.
    pub steps: u64,
    /// The network's state after them.
    pub state: Vec<tf::Value>,
    /// All variables, by name.
    pub variables: BTreeMap<String, tf::Value>,
}

impl Checkpoint {
    /// Writes the file. One that is there is replaced only when the new one is whole.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |message: String| Error::Save { path: path.into(), message };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| failed(e.to_string()))?;
        }
        let Settings { units, layers, batch_size, num_steps, learning_rate, seed } = self.settings;
        let mut entries = vec![
            ("settings/units".to_owned(), tf::Value::scalar(units as i64)),
            ("settings/layers".to_owned(), tf::Value::scalar(layers as i64)),
            ("settings/batch_size".to_owned(), tf::Value::scalar(batch_size as i64)),
            ("settings/num_steps".to_owned(), tf::Value::scalar(num_steps as i64)),
            ("settings/learning_rate".to_owned(), tf::Value::scalar(learning_rate)),
            ("settings/seed".to_owned(), tf::Value::scalar(seed as i64)),
            ("vocabulary".to_owned(), self.vocabulary.codes().into()),
            ("fingerprint".to_owned(), self.fingerprint.0.to_vec().into()),
            ("steps".to_owned(), tf::Value::scalar(self.steps as i64)),
        ];
        entries.extend(self.state.iter().enumerate().map(|(i, value)| (format!("state/{i}"), value.clone())));
        entries.extend(self.variables.iter().map(|(name, v)| (format!("variables/{name}"), v.clone())));
        let part = path.with_extension("part");
        npz::save(&part, entries.iter().map(|(name, value)| (name.as_str(), value)))
            .map_err(|e| failed(e.to_string()))?;
        fs::rename(&part, path).map_err(|e| failed(e.to_string()))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or does not hold what [`save`](Checkpoint::save) writes.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let failed = |message: String| Error::Load { path: path.into(), message };
        if !path.exists() {
            return Err(failed("there is no such file; `char-lm train` writes one".to_owned()));
        }
        let entries = npz::load(path).map_err(|e| failed(e.to_string()))?;
        Checkpoint::from_entries(entries.into_iter().collect()).map_err(failed)
    }

    fn from_entries(mut entries: BTreeMap<String, tf::Value>) -> std::result::Result<Checkpoint, String> {
        let mut take = |name: &str| entries.remove(name).ok_or_else(|| format!("it has no `{name}`"));
        let wrong = |name: &'static str| move |e: tf::tensor::TensorError| format!("`{name}`: {e}");
        let mut number = |name: &'static str| {
            let number = take(name)?.to_scalar::<i64>().map_err(wrong(name))?;
            u64::try_from(number).map_err(|_| format!("`{name}` is {number}"))
        };
        let mut size = |name: &'static str| number(name).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let (units, layers) = (size("settings/units")?, size("settings/layers")?);
        let (batch_size, num_steps) = (size("settings/batch_size")?, size("settings/num_steps")?);
        let (seed, steps) = (number("settings/seed")?, number("steps")?);
        let learning_rate =
            take("settings/learning_rate")?.to_scalar::<f64>().map_err(wrong("settings/learning_rate"))?;
        let settings = Settings { units, layers, batch_size, num_steps, learning_rate, seed };
        let settings = settings.checked().map_err(|e| e.to_string())?;
        let codes = take("vocabulary")?.to_vec::<i32>().map_err(wrong("vocabulary"))?;
        let vocabulary = Vocabulary::from_codes(&codes).ok_or("`vocabulary` holds no sorted characters")?;
        let fingerprint = take("fingerprint")?.to_vec::<u8>().map_err(wrong("fingerprint"))?;
        let fingerprint = Fingerprint(fingerprint.try_into().map_err(|_| "`fingerprint` is not 16 bytes")?);
        let mut state = vec![];
        while let Some(value) = entries.remove(&format!("state/{}", state.len())) {
            state.push(value);
        }
        // Memory and output of each layer.
        if state.len() != 2 * layers {
            return Err(format!(
                "its state has {} parts, but {layers} layers have {}",
                state.len(),
                2 * layers
            ));
        }
        let variables = entries
            .into_iter()
            .map(|(name, value)| match name.strip_prefix("variables/") {
                Some(name) => Ok((name.to_owned(), value)),
                None => Err(format!("`{name}` belongs to no checkpoint")),
            })
            .collect::<std::result::Result<_, _>>()?;
        Ok(Checkpoint { settings, vocabulary, fingerprint, steps, state, variables })
    }

    /// Sets all variables of the session's graph.
    ///
    /// # Errors
    /// When one is missing, or of another shape.
    pub fn load_into(&self, session: &tf::Session) -> Result<()> {
        for variable in session.graph().global_variables() {
            let name = variable.op().name();
            let Some(value) = self.variables.get(&name) else {
                let message = format!("the checkpoint has no variable \"{name}\"");
                return Err(tf::Error::new(tf::ErrorKind::NotFound, message).into());
            };
            session.load(variable, value)?;
        }
        Ok(())
    }
}
