//! The comparison's page, in a browser if there is one.
#![allow(missing_docs)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BROWSERS: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell"];

/// The first browser on the path.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|p| p.is_file())
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("rnn-tutorial-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the program; what it printed.
fn rnn_tutorial(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_rnn-tutorial")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn write_page(folder: &Path) -> (PathBuf, String) {
    let page = folder.join("nested/compare.html");
    let (ok, printed, errors) = rnn_tutorial(&[
        "compare",
        "--num-steps=2,3",
        "--batch-size=10",
        "--seconds=0",
        "--training-steps=50",
        "--out",
        page.to_str().unwrap(),
    ]);
    assert!(ok, "{errors}");
    (page, printed)
}

/// The document as the browser has it once the page's script has run.
fn rendered(browser: &Path, profile: &Path, page: &Path, hash: &str) -> String {
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--window-size=1500,1200", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}#{hash}", page.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut dom = String::new();
        stdout.read_to_string(&mut dom).map(|_| dom)
    });
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the browser did not finish");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let dom = reader.join().unwrap().unwrap();
    assert!(dom.contains("data-ready=\"true\""), "the script ran to its end: {}", &dom[..dom.len().min(300)]);
    assert!(!dom.contains("data-error"), "{}", &dom[..300]);
    dom
}

/// One of the two graphs.
fn panel<'a>(dom: &'a str, side: &str) -> &'a str {
    let part = dom.split(&format!("id=\"{side}\"")).nth(1).unwrap();
    part.split("</article>").next().unwrap()
}

/// The classes of a box, if it is drawn.
fn classes<'a>(panel: &'a str, key: &str) -> Option<Vec<&'a str>> {
    let before = panel.split_once(&format!("data-key=\"{key}\""))?.0;
    let classes = before.rsplit_once("class=\"")?.1.split('"').next()?;
    Some(classes.split(' ').collect())
}

#[track_caller]
fn check(panel: &str, key: &str, want: Option<&str>) {
    let have = classes(panel, key).map(|classes| classes.join(" "));
    assert_eq!(have.as_deref(), want, "{key}");
}

#[test]
fn graphs_are_drawn_and_unfold_at_a_click() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is none of {BROWSERS:?} to look at the page with");
        return;
    };
    let folder = Folder::new("page");
    let (page, _) = write_page(&folder.0);
    let look = |hash: &str| rendered(&browser, &folder.0.join("profile"), &page, hash);

    let dom = look("");
    let (left, right) = (panel(&dom, "left"), panel(&dom, "right"));
    check(left, "step 1", Some("box group open"));
    check(left, "step 1/MatMul", Some("box op"));
    check(left, "step 2", Some("box group"));
    check(left, "step 2/MatMul_1", None);
    check(left, "step 5", Some("box group"));
    check(left, "step 6", None);
    check(left, "input_placeholder", Some("box placeholder"));
    check(left, "gradients", None);
    check(right, "rnn", Some("box scope open"));
    check(right, "rnn/scan", Some("box loop open"));
    check(right, "rnn/scan/carry", Some("box param"));
    check(right, "rnn/scan/Tanh", Some("box op"));
    assert_eq!(right.matches("class=\"edge carry\"").count(), 1);
    assert!(left.matches("class=\"edge data\"").count() > 20);
    assert_eq!(dom.matches("NaN").count(), 0, "every place is a number");

    let dom = look("click=left:step%202&click=right:rnn/scan&click=left:rnn_cell&click=left:rnn_cell/W");
    let (left, right) = (panel(&dom, "left"), panel(&dom, "right"));
    check(left, "step 2", Some("box group open"));
    check(left, "step 2/MatMul_1", Some("box op"));
    check(left, "rnn_cell", Some("box scope open"));
    check(left, "rnn_cell/W", Some("box variable open"));
    check(left, "rnn_cell/b", Some("box variable"));
    check(right, "rnn/scan", Some("box loop"));
    check(right, "rnn/scan/carry", None);

    let dom = look("T=10&left=static&backward&constants");
    let (left, right) = (panel(&dom, "left"), panel(&dom, "right"));
    check(left, "rnn/basic_rnn_cell/step 10", Some("box group"));
    check(left, "gradients", Some("box scope backward"));
    check(left, "rnn/basic_rnn_cell/step 1/axis = 1", Some("box constant"));
    check(right, "gradients", Some("box scope backward"));
    check(right, "Adagrad", Some("box scope backward"));

    let dom = look(
        "click=right:gradients&backward&click=right:gradients/rnn&click=right:gradients/rnn/scan_grad&click=right:gradients/rnn/scan_grad/backward",
    );
    let right = panel(&dom, "right");
    check(right, "gradients/rnn/scan_grad/backward", Some("box loop open backward"));
    check(right, "gradients/rnn/scan_grad/backward/trip count", Some("box param backward"));
    assert_eq!(
        right.matches("class=\"edge carry\"").count(),
        4,
        "the state forwards; its gradient and two more backwards"
    );
}

#[test]
fn the_page_is_one_file_with_the_table_and_the_curves() {
    let folder = Folder::new("table");
    let (page, printed) = write_page(&folder.0);
    let html = fs::read_to_string(page).unwrap();
    assert!(!html.contains("{{"), "the template is filled in");
    let elsewhere = ["https://", " src=", "href=", "@import", "url(\"", "fetch("];
    assert!(elsewhere.iter().all(|text| !html.contains(text)), "nothing comes from elsewhere");
    assert_eq!(html.matches("http://").count(), html.matches("http://www.w3.org/2000/svg").count());

    let rows: Vec<Vec<&str>> = printed
        .lines()
        .filter(|line| ["manual", "static", "dynamic"].iter().any(|model| line.contains(model)))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 6, "{printed}");
    let names: Vec<(&str, &str)> = rows.iter().map(|row| (row[0], row[1])).collect();
    let expected: Vec<(&str, &str)> = ["2", "3"]
        .into_iter()
        .flat_map(|t| ["manual", "static", "dynamic"].map(|model| (t, model)))
        .collect();
    assert_eq!(names, expected);
    for row in rows {
        assert!(
            row.ends_with(if row[1] == "dynamic" { &["same", "graph"] } else { &["new", "graph"] }),
            "{row:?}"
        );
        assert!(html.contains(&format!("<td>{}</td>", row[2])), "{row:?}");
    }
    if cfg!(target_os = "linux") {
        assert!(!printed.contains("not known"), "{printed}");
    }
    let apart = printed.split("differ by at most ").nth(1).and_then(|rest| rest.split(".\n").next()).unwrap();
    assert!(apart.parse::<f64>().unwrap() < 1e-4, "{apart}");
    for model in ["manual", "static", "dynamic"] {
        assert!(html.contains(&format!("<path class=\"{model}\" d=\"M")), "the curve of {model}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    #[track_caller]
    fn check(arguments: &[&str], message: &str) {
        let (ok, _, errors) = rnn_tutorial(&[&["compare"], arguments].concat());
        assert!(!ok);
        assert_eq!(errors.trim(), message);
    }
    check(&["--num-steps=5,0"], "rnn-tutorial: the number of steps must be at least 1");
    check(&["--state-size=0"], "rnn-tutorial: the state size must be at least 1");
    check(&["--seconds=nan"], "rnn-tutorial: the time for timing must be a number of seconds: NaN is not");
    let (ok, _, errors) = rnn_tutorial(&["--num-steps=5", "compare"]);
    assert!(!ok && errors.contains("cannot be used with"), "{errors}");
}
