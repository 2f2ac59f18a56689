//! The command as its users see it: what it prints, what it writes, and how it exits.
#![allow(missing_docs)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tidemill_core::{DType, Graph, ops};
use tidemill_graphdef::{export_graph_def, proto, write_graph_def};
use tidemill_tensor::{Value, npz};

/// A directory of its own for a test.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Dir {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, def: &proto::GraphDef) -> String {
        fs::write(self.path(name), write_graph_def(def).unwrap()).unwrap();
        self.path(name)
    }
}

/// `y = 2 x`, a variable, and a loop.
fn graph() -> Graph {
    let g = Graph::new();
    let x = g.placeholder(DType::F32, [2]).named("x");
    let _ = ops::mul(x, 2.0).named("y");
    let count = g.constant(0i32);
    let _ = ops::while_loop(|i| i.lt(5), |i| i + 1, count).named("count");
    g
}

#[track_caller]
fn tidemill(args: &[&str], code: i32) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tidemill")).args(args).output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn shows(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn inspect_shows_what_a_graph_is_made_of() {
    let dir = Dir::new("inspect");
    let file = dir.write("g.pb", &export_graph_def(&graph()).unwrap());
    let out = text(&tidemill(&["inspect", &file], 0).stdout);
    shows(&out, &["1 StatelessWhile", "Placeholders:\n  \"x\" f32[2]  8 bytes", "\"y\" Mul: f32[2]"]);
    let out = text(&tidemill(&["inspect", &file, "--text"], 0).stdout);
    shows(&out, &["= Placeholder {dtype=f32, shape=shape [2]} : f32[2]  \"x\""]);
    let out = text(&tidemill(&["inspect", &file, "--dot"], 0).stdout);
    shows(&out, &["digraph tidemill {"]);
    tidemill(&["inspect", &file, "--dot", "--text"], 2);
}

#[test]
fn inspect_lists_what_is_not_supported() {
    let dir = Dir::new("unsupported");
    let node =
        |name: &str, op: &str| proto::NodeDef { name: name.into(), op: op.into(), ..Default::default() };
    let def = proto::GraphDef {
        node: vec![node("a", "NoSuchOp"), node("b", "NoSuchOp"), node("c", "NorThis")],
        ..Default::default()
    };
    let file = dir.write("g.pb", &def);
    let out = text(&tidemill(&["inspect", &file], 0).stdout);
    shows(&out, &["NoSuchOp (\"a\", \"b\")", "NorThis (\"c\")", "cannot be run"]);
    let err = text(&tidemill(&["run", &file, "--fetch", "a"], 1).stderr);
    shows(&err, &["Unimplemented", "NoSuchOp (\"a\")"]);
}

#[test]
fn run_feeds_and_fetches() {
    let dir = Dir::new("run");
    let file = dir.write("g.pb", &export_graph_def(&graph()).unwrap());
    let (x, out) = (dir.path("x.npy"), dir.path("out.npz"));
    Value::from([1.5f32, -1.0]).save_npy(&x).unwrap();
    let feed = format!("x={x}");
    tidemill(&["run", &file, "--feed", &feed, "--fetch", "y:0", "--fetch", "count", "--out", &out], 0);
    let got = npz::load(&out).unwrap();
    let want = [("y:0".to_owned(), Value::from([3f32, -2.0])), ("count".to_owned(), Value::scalar(5i32))];
    assert_eq!(got, want);
    shows(&text(&tidemill(&["run", &file, "--fetch", "count"], 0).stdout), &["count = ", "5"]);
}

#[test]
fn mistakes_are_told() {
    let dir = Dir::new("mistakes");
    let file = dir.write("g.pb", &export_graph_def(&graph()).unwrap());
    let err = |args: &[&str], code| text(&tidemill(args, code).stderr);
    shows(&err(&["run", &file, "--fetch", "z"], 1), &["NotFound", "\"z\""]);
    shows(&err(&["run", &file, "--fetch", "y"], 1), &["\"x\""]);
    shows(&err(&["run", &file], 1), &["nothing is to be run"]);
    shows(&err(&["run", &file, "--feed", "x", "--fetch", "y"], 2), &["TENSOR=FILE.npy"]);
    shows(&err(&["run", &file, "--feed", "x=no.npy", "--fetch", "y"], 1), &["no.npy"]);
    shows(&err(&["run", &file, "--fetch", "y", "--signature", "serve"], 1), &["only a SavedModel"]);
    shows(&err(&["inspect", &dir.path("no.pb")], 1), &["no.pb"]);
    fs::write(dir.path("bad.pb"), [0xffu8; 20]).unwrap();
    shows(&err(&["inspect", &dir.path("bad.pb")], 1), &["DataLoss", "bad.pb", "not a GraphDef"]);
    tidemill(&["paint", &file], 2);
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let dir = Dir::new("endless");
    let g = Graph::new();
    let _ = ops::while_loop(|i| i.ge(0), |i| i * 1, g.constant(0i32)).named("endless");
    let file = dir.write("g.pb", &export_graph_def(&g).unwrap());
    let err = tidemill(&["run", &file, "--fetch", "endless", "--timeout", "0.2"], 1).stderr;
    shows(&text(&err), &["DeadlineExceeded"]);
}

/// Ctrl-C is a signal.
#[cfg(unix)]
#[test]
fn a_run_is_cancelled_by_ctrl_c() {
    use std::io::Read;
    use std::process::Stdio;
    let dir = Dir::new("cancelled");
    let g = Graph::new();
    let _ = ops::while_loop(|i| i.ge(0), |i| i * 1, g.constant(0i32)).named("endless");
    let file = dir.write("g.pb", &export_graph_def(&g).unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidemill"))
        .args(["run", &file, "--fetch", "endless", "--timeout", "60"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Until the handler is there, the signal ends the process by itself.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let killed = Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status().unwrap();
    assert!(killed.success());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{err}");
    shows(&err, &["Cancelled"]);
}

#[test]
fn convert_goes_to_text_and_back() {
    let dir = Dir::new("convert");
    let g = Graph::new();
    let x = g.placeholder(DType::F32, [2]).named("x");
    let _ = ops::tanh(x);
    let file = dir.write("g.pb", &export_graph_def(&g).unwrap());
    let (txt, pb, dot) = (dir.path("g.txt"), dir.path("again.pb"), dir.path("g.dot"));
    tidemill(&["convert", &file, &txt], 0);
    assert_eq!(fs::read_to_string(&txt).unwrap(), g.to_text());
    tidemill(&["convert", &txt, &pb], 0);
    assert_eq!(fs::read(&pb).unwrap(), fs::read(&file).unwrap());
    tidemill(&["convert", &txt, &dot], 0);
    assert_eq!(fs::read_to_string(&dot).unwrap(), g.to_dot());
    fs::write(&txt, "n0 = Tanh (n7) : f32[]  \"Tanh\"\n").unwrap();
    shows(&text(&tidemill(&["convert", &txt, &pb], 1).stderr), &["g.txt", "line 1", "n7"]);
}

#[test]
fn a_saved_model_is_run_by_its_signature() {
    use proto::tensor_info::Encoding;
    let dir = Dir::new("saved_model");
    let named = |name: &str| proto::TensorInfo {
        encoding: Some(Encoding::Name(name.to_owned())),
        ..Default::default()
    };
    let signature = proto::SignatureDef {
        inputs: [("number".to_owned(), named("x:0"))].into(),
        outputs: [("double".to_owned(), named("y:0"))].into(),
        ..Default::default()
    };
    let meta = proto::MetaGraphDef {
        graph_def: Some(export_graph_def(&graph()).unwrap()),
        signature_def: [("serving_default".to_owned(), signature)].into(),
        ..Default::default()
    };
    let model = proto::SavedModel { saved_model_schema_version: 1, meta_graphs: vec![meta] };
    fs::write(dir.path("saved_model.pb"), prost::Message::encode_to_vec(&model)).unwrap();
    Value::from([1f32, 2.0]).save_npy(dir.path("x.npy")).unwrap();
    let (path, feed) = (dir.path(""), format!("number={}", dir.path("x.npy")));
    shows(&text(&tidemill(&["inspect", &path], 0).stdout), &["serving_default", "in number: \"x:0\""]);
    let out = tidemill(&["run", &path, "--signature", "serving_default", "--feed", &feed], 0);
    shows(&text(&out.stdout), &["double = ", "4"]);
    let err = tidemill(&["run", &path, "--signature", "other", "--feed", &feed], 1).stderr;
    shows(&text(&err), &["no signature \"other\"", "serving_default"]);
}
