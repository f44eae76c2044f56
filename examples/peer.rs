//! Compresses files as a worker of `bench/peers`: reads a source's path and an output's path from each line of standard input,
//! answers with the output's length.
//!
//! Measured from outside: what it does besides compressing is what every worker there does.

use std::io::{self, BufRead as _, Write as _};

use halftone::compress::{Limits, Settings, compress};

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (source, output) = line.split_once('\t').unwrap_or((&line, ""));
        let bytes = std::fs::read(source)?;
        let answer = match compress(&bytes, &Settings::default(), &Limits::default()) {
            Ok(compressed) => {
                if !output.is_empty() {
                    std::fs::write(output, &compressed.bytes)?;
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
