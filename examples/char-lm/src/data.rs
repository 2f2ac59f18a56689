//! The text: where it comes from, its characters as numbers, and its batches.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tidemill as tf;

use crate::{Error, Result};

/// The project's own Markdown, as it was when this program was built.
const MARKDOWN: [&str; 6] = [
    include_str!("../../../README.md"),
    include_str!("../../../ARCHITECTURE.md"),
    include_str!("../../../docs/adding_an_op.md"),
    include_str!("../../../docs/for_tensorflow_users.md"),
    include_str!("../../../docs/loops.md"),
    include_str!("../../../docs/static_and_dynamic.md"),
];

/// The text of these files, one after the other; the project's Markdown if there are none.
///
/// # Errors
/// When a file cannot be read, or is no UTF-8.
pub fn text(files: &[PathBuf]) -> Result<String> {
    if files.is_empty() {
        return Ok(MARKDOWN.concat());
    }
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|source| Error::Text { path: path.clone(), source })
    };
    files.iter().map(read).collect()
}

/// The characters that a model knows, sorted: a character's number is its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary(Vec<char>);

impl Vocabulary {
    /// The characters of a text.
    pub fn of(text: &str) -> Vocabulary {
        let distinct: BTreeSet<char> = text.chars().collect();
        Vocabulary(distinct.into_iter().collect())
    }

    /// From the code points that [`codes`](Vocabulary::codes) gave; `None` when they are no sorted characters.
    pub fn from_codes(codes: &[i32]) -> Option<Vocabulary> {
        let characters: Option<Vec<char>> =
            codes.iter().map(|&code| char::from_u32(u32::try_from(code).ok()?)).collect();
        characters.filter(|all| all.is_sorted_by(|a, b| a < b)).map(Vocabulary)
    }

    /// The code points.
    pub fn codes(&self) -> Vec<i32> {
        self.0.iter().map(|&character| character as i32).collect()
    }

    /// How many characters there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The character of a number.
    pub fn character(&self, id: usize) -> Option<char> {
        self.0.get(id).copied()
    }

    /// The numbers of a text's characters.
    ///
    /// # Errors
    /// When the vocabulary does not have one of them.
    pub fn ids(&self, text: &str) -> Result<Vec<i32>> {
        let id =
            |c: char| self.0.binary_search(&c).map(|id| id as i32).map_err(|_| Error::UnknownCharacter(c));
        text.chars().map(id).collect()
    }
}

/// A text in batches. It is cut into as many rows of one length as a batch has, and a *window* is a stretch of every row at once, so
/// that a window goes on where the one before it ended, and the network's state can be handed on.
#[derive(Debug, Clone)]
pub struct Windows {
    ids: Vec<i32>,
    rows: usize,
    steps: usize,
}

impl Windows {
    /// Windows of `steps` characters of each of `rows` rows of a text, which is `part` in errors.
    ///
    /// # Errors
    /// When the text is too short for one window.
    pub fn new(ids: Vec<i32>, rows: usize, steps: usize, part: &'static str) -> Result<Windows> {
        // The last character of a row has to be followed by another.
        let need = rows * steps + 1;
        match ids.len() {
            have if have < need => Err(Error::TooShort { part, have, need, rows, steps }),
            _ => Ok(Windows { ids, rows, steps }),
        }
    }

    /// Rows of a window.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many windows there are in an epoch.
    pub fn len(&self) -> usize {
        (self.ids.len() - 1) / self.rows / self.steps
    }

    /// Never: one window there is always.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The characters of a window, and those that follow each of them: both `[rows, steps]`.
    ///
    /// # Errors
    /// When `window` is not below [`len`](Windows::len).
    pub fn get(&self, window: usize) -> Result<(tf::Value, tf::Value)> {
        let length = (self.ids.len() - 1) / self.rows;
        let read = |ahead: usize| {
            let start = |row: usize| row * length + window * self.steps + ahead;
            let ids = (0..self.rows).flat_map(|row| self.ids.iter().skip(start(row)).take(self.steps));
            tf::Value::from_vec([self.rows, self.steps], ids.copied().collect::<Vec<i32>>())
        };
        Ok((read(0)?, read(1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_numbers() {
        let vocabulary = Vocabulary::of("tide ▶ tide");
        assert_eq!(vocabulary.len(), 6);
        let ids = vocabulary.ids("edit▶").unwrap();
        assert_eq!(ids, [2, 1, 3, 4, 5]);
        let back: Option<String> = ids.iter().map(|id| vocabulary.character(*id as usize)).collect();
        assert_eq!(back.as_deref(), Some("edit▶"));
        assert_eq!(Vocabulary::from_codes(&vocabulary.codes()), Some(vocabulary.clone()));
        assert_eq!(
            vocabulary.ids("tidy").unwrap_err().to_string(),
            "the model has never seen 'y': it was not in the text it was trained on"
        );
        for nonsense in [vec![-1], vec![0xD800], vec![66, 65], vec![65, 65]] {
            assert_eq!(Vocabulary::from_codes(&nonsense), None);
        }
    }

    #[test]
    fn windows_go_on_where_the_one_before_ended() {
        let windows = Windows::new((0..20).collect(), 3, 2, "the text").unwrap();
        assert_eq!(windows.len(), 3);
        let pair = |window| {
            let (x, y) = windows.get(window).unwrap();
            (x.to_vec::<i32>().unwrap(), y.to_vec::<i32>().unwrap())
        };
        assert_eq!(pair(0), (vec![0, 1, 6, 7, 12, 13], vec![1, 2, 7, 8, 13, 14]));
        assert_eq!(pair(2), (vec![4, 5, 10, 11, 16, 17], vec![5, 6, 11, 12, 17, 18]));
    }

    #[test]
    fn a_text_can_be_too_short() {
        assert_eq!(Windows::new((0..7).collect(), 3, 2, "the text").unwrap().len(), 1);
        let error = Windows::new((0..6).collect(), 3, 2, "the text").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the text has 6 characters, but 3 rows of 2 steps take 7: give more text, or ask for smaller batches"
        );
    }

    #[test]
    fn the_projects_markdown_is_there() {
        let all = text(&[]).unwrap();
        assert!(all.starts_with("# Tidemill") && all.contains("# Architecture"));
        let missing = text(&["no/such/file.md".into()]).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read no/such/file.md: "), "{missing}");
    }
}
