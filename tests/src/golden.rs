//! Recorded runs of TensorFlow: a script of steps in JSON, and the arrays it names.
//!
//! A small set is part of the repository (`tests/golden`, format in its README). A larger corpus, where there is one, is found by the
//! environment variable `TIDEMILL_CORPUS` (default: a folder `shared` beside the checkout); tests that need it say so and pass when it is absent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tidemill::Value;
use zip::ZipArchive;

/// One recorded case.
pub struct Case {
    /// The script.
    pub script: Json,
    arrays: HashMap<String, Value>,
}

/// One step of a script.
pub struct Step<'a> {
    case: &'a Case,
    json: &'a Json,
}

impl Case {
    /// A case of `tests/golden`: `name.json` and `name.npz`.
    ///
    /// # Panics
    /// When it cannot be read: it is part of the repository.
    pub fn golden(name: &str) -> Case {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
        let script = std::fs::read_to_string(path.with_extension("json")).expect("a golden script");
        let script = serde_json::from_str(&script).expect("JSON");
        Case { script, arrays: read_arrays(&path.with_extension("npz"), "") }
    }

    /// A case of the corpus, by its path there; `None`, said on stderr, when there is no corpus.
    ///
    /// # Panics
    /// When the corpus is there, but not the case.
    pub fn corpus(path: &str) -> Option<Case> {
        let file = corpus(path)?;
        let mut zip = ZipArchive::new(File::open(&file).expect("a case of the corpus")).expect("a zip");
        let mut script = String::new();
        zip.by_name("0/case.json").expect("a script").read_to_string(&mut script).expect("UTF-8");
        Some(Case { script: serde_json::from_str(&script).expect("JSON"), arrays: read_arrays(&file, "0/") })
    }

    /// The steps of the script.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.script["steps"].as_array().into_iter().flatten().map(|json| Step { case: self, json })
    }

    /// An array of the archive by its member's name.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn array(&self, member: &Json) -> Value {
        self.arrays[member.as_str().expect("a member")].clone()
    }
}

impl<'a> Step<'a> {
    /// `run`, `set_variables`, ...
    pub fn kind(&self) -> &'a str {
        self.json["kind"].as_str().unwrap_or_default()
    }

    /// The values of a map of the step (`feeds`, `values`), by name.
    pub fn values(&self, field: &str) -> Vec<(String, Value)> {
        let entries = self.json[field].as_object().into_iter().flatten();
        entries.map(|(name, reference)| (name.clone(), self.case.array(&reference["npy"]))).collect()
    }

    /// The names in a list of the step (`fetches`, `targets`, `roles`).
    pub fn names(&self, field: &str) -> Vec<&'a str> {
        self.json[field].as_array().into_iter().flatten().filter_map(Json::as_str).collect()
    }

    /// The results, in the order of the fetches.
    pub fn results(&self) -> Vec<Value> {
        self.json["results"].as_array().into_iter().flatten().map(|r| self.case.array(&r["npy"])).collect()
    }
}

fn read_arrays(path: &Path, prefix: &str) -> HashMap<String, Value> {
    let mut zip = ZipArchive::new(File::open(path).expect("an archive")).expect("a zip");
    let mut arrays = HashMap::new();
    for i in 0..zip.len() {
        let mut member = zip.by_index(i).expect("a member");
        let name = member.name().map(|n| n.into_owned()).unwrap_or_default();
        let Some(name) = name.strip_prefix(prefix).filter(|n| n.ends_with(".npy")) else { continue };
        let mut bytes = vec![];
        member.read_to_end(&mut bytes).expect("a readable member");
        arrays.insert(name.to_owned(), Value::read_npy(Cursor::new(bytes)).expect("an array"));
    }
    arrays
}

/// A path in the corpus; `None`, said on stderr, when there is no corpus.
fn corpus(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("TIDEMILL_CORPUS") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    if !root.join("conformance").is_dir() {
        eprintln!("skipped {path}: there is no corpus (set TIDEMILL_CORPUS)");
        return None;
    }
    Some(root.join("conformance/cases").join(path))
}

/// The names of the cases in a folder of the corpus, in order; none, said on stderr, when there is no corpus.
///
/// # Panics
/// When the corpus is there, but not the folder.
pub fn corpus_folder(folder: &str) -> Vec<String> {
    corpus(folder).map_or(vec![], |path| names(&path))
}

/// The names of the cases in a folder of `tests/golden`, in order.
///
/// # Panics
/// When it cannot be read: it is part of the repository.
pub fn golden_folder(folder: &str) -> Vec<String> {
    let files = names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder));
    files.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Fails unless two values agree to within `rtol * |want| + atol`, naming the worst element.
///
/// # Panics
/// When they do not agree.
#[track_caller]
pub fn assert_close(what: &str, got: &Value, want: &Value, rtol: f64, atol: f64) {
    assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{what}");
    let worst = got
        .iter_f64()
        .zip(want.iter_f64())
        .map(|(g, w)| {
            (if g.is_nan() && w.is_nan() { 0.0 } else { (g - w).abs() - rtol * w.abs() - atol }, g, w)
        })
        .fold((f64::NEG_INFINITY, 0.0, 0.0), |a, b| if b.0 > a.0 || b.0.is_nan() { b } else { a });
    assert!(worst.0 <= 0.0, "{what}: got {}, want {}", worst.1, worst.2);
}
