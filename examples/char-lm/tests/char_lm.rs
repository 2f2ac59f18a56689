//! The model learns, goes on where it stopped, writes, and says what is wrong.

use std::fs;
use std::path::Path;

use char_lm::checkpoint::Checkpoint;
use char_lm::cli::{Cli, run};
use char_lm::sampling::Sampler;
use char_lm::training::Trainer;
use char_lm::{Settings, data};
use clap::Parser;

const SMALL: Settings =
    Settings { units: 24, layers: 2, batch_size: 8, num_steps: 12, learning_rate: 0.02, seed: 3 };

/// Enough to learn something of, little enough to be quick.
fn text() -> String {
    "A tide mill turns on the flood and on the ebb. ".repeat(40)
}

fn trained(steps: usize) -> Trainer {
    let mut trainer = Trainer::new(SMALL, &text()).unwrap();
    for _ in 0..steps {
        trainer.step().unwrap();
    }
    trainer
}

/// What the program prints, or why it stopped.
fn program(folder: &Path, arguments: &str) -> Result<String, String> {
    let arguments = arguments.replace("DIR", folder.to_str().unwrap());
    let all = ["char-lm"].into_iter().chain(arguments.split_whitespace());
    let cli = Cli::try_parse_from(all).map_err(|e| e.to_string())?;
    let mut printed = vec![];
    run(&cli, &mut printed).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(printed).unwrap())
}

#[test]
fn it_learns() {
    let mut trainer = Trainer::new(SMALL, &text()).unwrap();
    let before = trainer.held_out_perplexity().unwrap();
    let characters = trainer.vocabulary().len() as f64;
    assert!((before - characters).abs() < 0.1 * characters, "it knows nothing: {before} of {characters}");
    let first = trainer.step().unwrap();
    for _ in 0..150 {
        trainer.step().unwrap();
    }
    let last = trainer.step().unwrap();
    assert!(last < 0.3 * first, "the loss falls from {first} to {last}");
    let after = trainer.held_out_perplexity().unwrap();
    assert!(after < 1.5, "a text that repeats itself is known by heart: {after}");
}

#[test]
fn what_repeats_itself_is_written_on() {
    let checkpoint = trained(200).checkpoint().unwrap();
    let sampler = Sampler::new(&checkpoint, "A tide mill ", 0.0, 1).unwrap();
    let written: String = sampler.take(30).map(Result::unwrap).collect();
    assert_eq!(written, "turns on the flood and on the ");
}

#[test]
fn training_goes_on_as_if_it_had_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/model.npz");
    let steps_per_epoch = trained(0).steps_per_epoch() as usize;
    let (stop, end) = (steps_per_epoch - 2, steps_per_epoch + 5);
    let losses = |trainer: &mut Trainer, steps: usize| -> Vec<f32> {
        (0..steps).map(|_| trainer.step().unwrap()).collect()
    };
    let mut whole = trained(stop);
    let halves = trained(stop);
    halves.checkpoint().unwrap().save(&path).unwrap();
    drop(halves);
    let mut resumed = Trainer::resume(Checkpoint::load(&path).unwrap(), &text()).unwrap();
    assert_eq!(resumed.steps(), stop as u64);
    assert_eq!(
        losses(&mut resumed, end - stop),
        losses(&mut whole, end - stop),
        "over the end of an epoch too"
    );
    assert_eq!(resumed.checkpoint().unwrap(), whole.checkpoint().unwrap());
}

#[test]
fn a_seed_writes_the_same_again() {
    let checkpoint = trained(40).checkpoint().unwrap();
    let written = |temperature: f64, seed: u64| -> String {
        let sampler = Sampler::new(&checkpoint, "mill", temperature, seed).unwrap();
        sampler.take(60).map(Result::unwrap).collect()
    };
    assert_eq!(written(1.0, 7), written(1.0, 7));
    assert_ne!(written(1.0, 7), written(1.0, 8));
    assert_eq!(written(0.0, 7), written(0.0, 8), "at temperature 0 nothing is left to chance");
}

#[test]
fn the_program_trains_goes_on_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), text()).unwrap();
    let program = |arguments: &str| program(folder.path(), arguments).unwrap();
    let sizes = "--units 8 --batch-size 4 --num-steps 6 --report-every 2";
    let trained = program(&format!("train --text DIR/a.txt --checkpoint DIR/c.npz --steps 3 {sizes}"));
    let lines: Vec<&str> = trained.lines().collect();
    assert_eq!(lines.len(), 4, "{trained}");
    assert!(lines[0].starts_with("18 different characters; 1 x 8 LSTM units, "), "{trained}");
    assert!(lines[2].starts_with("step      3  perplexity: training "), "{trained}");
    let on = program("train --text DIR/a.txt --checkpoint DIR/c.npz --steps 2 --resume");
    assert!(on.contains("Going on after step 3\nstep      5  perplexity"), "{on}");
    let written = program("sample --checkpoint DIR/c.npz --prime mill --length 20 --seed 5");
    assert!(written.starts_with("mill"), "{written}");
    assert_eq!(written.chars().count(), 4 + 20 + 1);
    assert_eq!(written, program("sample --checkpoint DIR/c.npz --prime mill --length 20 --seed 5"));
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), text()).unwrap();
    fs::write(path("short.txt"), "too short").unwrap();
    fs::write(path("latin.txt"), b"caf\xe9").unwrap();
    fs::write(path("bad.npz"), b"PK no archive").unwrap();
    let checkpoint = trained(1).checkpoint().unwrap();
    checkpoint.save(&path("c.npz")).unwrap();
    let whole = fs::read(path("c.npz")).unwrap();
    fs::write(path("cut.npz"), &whole[..whole.len() / 2]).unwrap();
    let less = |name: &str| {
        let mut less = checkpoint.clone();
        less.variables.remove(name).unwrap();
        less.save(&path("less.npz")).unwrap();
    };
    less("softmax/W");
    let mut huge = checkpoint.clone();
    huge.settings.units = usize::MAX / 2;
    huge.save(&path("huge.npz")).unwrap();
    let mut other = checkpoint.clone();
    other.settings.units += 1;
    other.save(&path("other.npz")).unwrap();

    #[track_caller]
    fn check(folder: &Path, arguments: &str, message: &str) {
        let error = program(folder, arguments).expect_err(arguments);
        assert!(error.contains(message), "{arguments}: {error}");
    }
    let fails = |arguments: &str, message: &str| check(folder.path(), arguments, message);
    fails("train --text DIR/none.txt", "none.txt: No such file");
    fails("train --text DIR/latin.txt", "latin.txt: stream did not contain valid UTF-8");
    fails(
        "train --text DIR/short.txt",
        "the text to train on has 9 characters, but 16 rows of 32 steps take 513",
    );
    fails("train --units 0", "the number of units must be from 1 to 65536: 0 is not");
    fails("train --batch-size 9999999999", "the batch size must be from 1 to 65536");
    fails("train --learning-rate nan", "the learning rate must be a positive number: NaN is not");
    fails("train --report-every 0", "0 is not in 1..");
    fails("train --resume --units 8", "cannot be used with");
    fails(
        "train --resume --checkpoint DIR/none.npz",
        "none.npz: there is no such file; `char-lm train` writes one",
    );
    fails("train --resume --checkpoint DIR/c.npz", "the checkpoint was trained on another text");
    fails(
        "train --text DIR/a.txt --checkpoint DIR/a.txt/c.npz --steps 1 --num-steps 6",
        "cannot write the checkpoint",
    );
    fails(
        "sample --checkpoint DIR/c.npz --temperature=-1",
        "the temperature must be 0 or a positive number: -1 is not",
    );
    fails("sample --checkpoint DIR/c.npz --prime=", "at least one character");
    fails("sample --checkpoint DIR/c.npz --prime Zoë", "the model has never seen 'Z'");
    fails("sample --prime mill --checkpoint DIR/bad.npz", "bad.npz");
    fails("sample --prime mill --checkpoint DIR/cut.npz", "cut.npz");
    fails("sample --prime mill --checkpoint DIR/less.npz", "the checkpoint has no variable \"softmax/W\"");
    fails("sample --prime mill --checkpoint DIR/huge.npz", "the number of units must be from 1 to 65536");
    fails(
        "sample --prime mill --checkpoint DIR/other.npz",
        "the variable \"embedding\" is a f32[18,25], the value a f32[18,24]",
    );
}

#[test]
fn a_rate_too_large_is_noticed() {
    let settings = Settings { learning_rate: 1e38, ..SMALL };
    let mut trainer = Trainer::new(settings, &text()).unwrap();
    let error = (0..20).find_map(|_| trainer.step().err()).expect("the loss is infinite or NaN");
    assert!(error.to_string().ends_with("try a smaller --learning-rate"), "{error}");
}

#[test]
fn the_default_text_suits_the_default_sizes() {
    let trainer = Trainer::new(Settings::default(), &data::text(&[]).unwrap()).unwrap();
    assert!(trainer.steps_per_epoch() > 20, "{}", trainer.steps_per_epoch());
}
