//! `tidemill run`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidemill_core::{Error, Operation, Result};
use tidemill_graphdef::ModelSignature;
use tidemill_session::{FeedDict, RunOptions, Session};
use tidemill_tensor::{Value, npz};

use crate::model::{Model, Source, print};
use crate::of_file;

/// Set by Ctrl-C.
static CANCELLED: AtomicBool = AtomicBool::new(false);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// What a tensor is fed: an array in a file of NumPy's. Any tensor may be fed. May be given several times.
    #[arg(long = "feed", value_name = "TENSOR=FILE.npy", value_parser = feed)]
    feeds: Vec<(String, PathBuf)>,
    /// A tensor that is wanted, `node:output`. May be given several times.
    #[arg(long = "fetch", value_name = "TENSOR")]
    fetches: Vec<String>,
    /// An operation that is run for what it does. May be given several times.
    #[arg(long = "target", value_name = "OPERATION")]
    targets: Vec<String>,
    /// An operation that is run before, such as the initializer of variables. May be given several times.
    #[arg(long = "init", value_name = "OPERATION")]
    init: Vec<String>,
    /// Tensors go by the names that this signature of a SavedModel gives them; without --fetch, all that it gives is wanted.
    #[arg(long)]
    signature: Option<String>,
    /// Where the values of what is fetched go; they are printed without it.
    #[arg(long, value_name = "FILE.npz")]
    out: Option<PathBuf>,
    /// The run is given up after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
}

fn feed(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((tensor, file)) if !tensor.is_empty() && !file.is_empty() => {
            Ok((tensor.to_owned(), file.into()))
        }
        _ => Err("not TENSOR=FILE.npy".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let timeout = match args.timeout.map(Duration::try_from_secs_f64).transpose() {
        Ok(timeout) => timeout,
        Err(e) => return Err(Error::invalid(format!("--timeout: {e}"))),
    };
    let model = args.source.read()?;
    let signature = match (&args.signature, &model) {
        (None, _) => None,
        (Some(name), Model::Saved(saved)) => Some(saved.signature(name)?),
        (Some(_), _) => return Err(of_file(args.source.path(), "only a SavedModel has signatures")),
    };
    let mut fetches = args.fetches.clone();
    if let (true, Some(signature)) = (fetches.is_empty(), signature) {
        fetches = signature.outputs.keys().cloned().collect();
    }
    if fetches.is_empty() && args.targets.is_empty() && args.init.is_empty() {
        return Err(Error::invalid("nothing is to be run: give --fetch, --target or --init"));
    }
    let name = |name: &String| tensor_name(signature, name);
    let feeds: Vec<(String, &PathBuf)> = args.feeds.iter().map(|(n, path)| (name(n), path)).collect();
    let wanted: Vec<String> = fetches.iter().map(name).collect();
    let all = feeds.iter().map(|(name, _)| name).chain(&wanted).chain(&args.targets).chain(&args.init);
    let loaded = model.load(args.source.path(), &all.cloned().collect::<Vec<_>>())?;

    let mut dict = FeedDict::new();
    for (name, path) in feeds {
        dict.insert(loaded.tensor(&name)?, Value::load_npy(path)?);
    }
    let operations = |names: &[String]| -> Result<Vec<Operation>> {
        names.iter().map(|name| loaded.operation(name)).collect()
    };
    let (init, targets) = (operations(&args.init)?, operations(&args.targets)?);
    let tensors: Vec<_> = wanted.iter().map(|name| loaded.tensor(name)).collect::<Result<_>>()?;

    // Without a handler Ctrl-C ends the program, which is all that is lost.
    let _ = ctrlc::set_handler(|| CANCELLED.store(true, Ordering::Relaxed));
    let options = || {
        let options = RunOptions::new().cancel_flag(&CANCELLED);
        timeout.map_or(options, |timeout| options.timeout(timeout))
    };
    let session = Session::new(&loaded.graph);
    if !init.is_empty() {
        session.run_with(init, FeedDict::new(), options())?;
    }
    let (values, _) = session.run_with((tensors, targets), dict, options())?;
    let results = || fetches.iter().map(String::as_str).zip(&values);
    match &args.out {
        Some(path) => Ok(npz::save(path, results())?),
        None => print(&results().map(|(name, value)| format!("{name} = {value}\n")).collect::<String>()),
    }
}

/// What the graph calls the tensor.
fn tensor_name(signature: Option<&ModelSignature>, name: &str) -> String {
    let known = signature.and_then(|s| s.inputs.get(name).or(s.outputs.get(name)));
    known.map_or(name.to_owned(), |tensor| tensor.name.clone())
}
