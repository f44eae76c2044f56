//! Reads the command line and the environment, and finds every bad setting, not only the first.

use std::error::Error as _;
use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

/// Parses `arguments` with `command`, whose own arguments are the settings. On failure every bad setting, each with what
/// it takes. Ends the process, as clap does, where the command line itself makes no sense or asks for help.
pub fn read(mut command: Command, arguments: &[OsString]) -> Result<ArgMatches, Vec<String>> {
    let mut problems = Vec::new();
    loop {
        let error = match command.clone().try_get_matches_from(arguments) {
            Ok(matches) if problems.is_empty() => return Ok(matches),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let Some((id, problem)) = bad_setting(&command, &error) else { error.exit() };
        problems.push(problem);
        // Parsed again without the check of this setting, the command line shows the next one that is bad.
        let accept = move |argument: clap::Arg| {
            if *argument.get_id() == id { argument.value_parser(ValueParser::os_string()) } else { argument }
        };
        command = command.mut_args(accept.clone()).mut_subcommands(|command| command.mut_args(accept.clone()));
    }
}

/// The setting whose value was refused, and the sentence that says so.
fn bad_setting(command: &Command, error: &clap::Error) -> Option<(clap::Id, String)> {
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let (ContextValue::String(name), ContextValue::String(value)) =
        (error.get(ContextKind::InvalidArg)?, error.get(ContextKind::InvalidValue)?)
    else {
        return None;
    };
    let setting = command.get_arguments().find(|argument| argument.to_string() == *name)?;
    let (flag, takes) = (setting.get_long()?, error.source()?);
    let problem = if setting.is_hide_env_values_set() {
        // A secret, or something that holds one.
        format!("The value of --{flag} is not {takes}.")
    } else {
        format!("--{flag} {value:?} is not {takes}.")
    };
    Some((setting.get_id().clone(), problem))
}
