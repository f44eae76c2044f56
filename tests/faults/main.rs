//! Faults on purpose: real processes, a real Postgres, a real image host, a real webhook receiver; one checker at the
//! end of every run.
//!
//! `cargo test --test faults` runs each quick scenario once. `./dev faults` runs all of them, of which `machines::` needs root;
//! `FAULT_RUNS=20` repeats each. A table at the end says how often each one ran, how long it took and what it measured.

#![expect(clippy::unwrap_used, reason = "what a test does not expect fails it")]
#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use more of it")]
mod support;

mod checker;
mod network;
mod scenarios;
mod world;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use scenarios::Scenario;
use world::World;

/// What the table says of one scenario.
struct Row {
    name: &'static str,
    runs: usize,
    slowest: Duration,
    notes: Vec<String>,
    failure: Option<String>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Scenarios measure and stop whole processes: one at a time.
    arguments.test_threads = Some(1);
    let runs = std::env::var_os("FAULT_RUNS").map_or(1, |runs| {
        runs.to_str().and_then(|runs| runs.parse().ok()).expect("FAULT_RUNS is how often each scenario runs")
    });
    let table = Arc::new(Mutex::new(Vec::new()));
    let trials = scenarios::ALL.iter().map(|scenario| {
        let table = table.clone();
        Trial::test(scenario.name, move || {
            let row = repeat(scenario, runs);
            let failure = row.failure.clone();
            table.lock().unwrap().push(row);
            failure.map_or(Ok(()), |failure| Err(Failed::from(failure)))
        })
        .with_ignored_flag(scenario.is_slow)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    print(&table.lock().unwrap());
    conclusion.exit_code()
}

/// Runs a scenario until it has run often enough or has failed.
fn repeat(scenario: &'static Scenario, runs: usize) -> Row {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut row = Row { name: scenario.name, runs: 0, slowest: Duration::ZERO, notes: Vec::new(), failure: None };
    while row.runs < runs && row.failure.is_none() {
        let started = Instant::now();
        let ended = runtime.block_on(async {
            tokio::spawn(async {
                let mut world = World::new().await;
                (scenario.run)(&mut world).await;
                checker::check(&mut world).await;
                std::mem::take(&mut world.notes)
            })
            .await
        });
        row.runs += 1;
        row.slowest = row.slowest.max(started.elapsed());
        match ended {
            Ok(notes) => row.notes = notes,
            Err(error) => row.failure = Some(format!("run {}: {error}", row.runs)),
        }
    }
    row
}

fn print(rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    println!("{:<44} {:>4} {:>9}  measured in the last run", "fault", "runs", "slowest");
    for row in rows {
        let what = if row.failure.is_some() { "FAILED".to_owned() } else { row.notes.join("; ") };
        println!("{:<44} {:>4} {:>7.1} s  {what}", row.name, row.runs, row.slowest.as_secs_f64());
    }
}
