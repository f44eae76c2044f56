//! Compresses files as a worker of `bench/peers`: reads a task as JSON from each line of standard input, answers with the
//! output's length.
//!
//! Measured from outside: what it does besides compressing is what every worker there does.

use std::io::{self, BufRead as _, Write as _};

use halftone_compress::{Format, Goal, Limits, Settings, compress};

#[derive(serde::Deserialize)]
struct Task {
    source: String,
    /// Empty where the output is not looked at.
    output: String,
    quality: u8,
    width: Option<u32>,
    format: Option<Kind>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Avif,
    Webp,
}

impl From<Kind> for Format {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Avif => Self::Avif,
            Kind::Webp => Self::Webp,
        }
    }
}

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let task: Task = serde_json::from_str(&line?)?;
        let bytes = std::fs::read(task.source)?;
        let settings = Settings {
            goal: Goal::Quality(task.quality),
            max_width: task.width,
            format: task.format.map(Format::from),
            ..Settings::default()
        };
        let answer = match compress(&bytes, &settings, &Limits::default()) {
            Ok(compressed) => {
                if !task.output.is_empty() {
                    std::fs::write(task.output, &compressed.bytes)?;
                }
                compressed.bytes.len().to_string()
            }
            Err(error) => format!("error {error}"),
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}
