//! What a GraphQL document may cost, decided before any of it is validated or run.
//! Takes time and memory linear in the document; never panics, whatever the bytes are.
//!
//! Validation and execution follow every fragment spread, so 500 bytes of nested spreads can hold a
//! core for seconds before the schema's own depth and complexity limits are looked at, and the parser
//! recurses for every bracket. [`admit`] therefore counts first: brackets and tokens over the text,
//! then selections, aliases and depth over the parsed document, each fragment once.

mod absent;
mod cost;
mod enums;
mod introspection;
mod literals;
mod one_of;
mod scan;
mod typename;
mod uploads;

use std::{fmt, num::NonZeroUsize, sync::Once};

use async_graphql::{
    ErrorExtensionValues, Name, Pos, Request, ServerError, Value, Variables,
    parser::{
        self,
        types::{BaseType, DocumentOperations, OperationDefinition, OperationType, VariableDefinition},
    },
};

/// What one GraphQL request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Fields inside fields. Below 16 the standard introspection query stops working.
    pub depth: usize,
    /// Complexity as the schema counts it; enforced by the schema, which knows the list sizes.
    pub complexity: usize,
    /// Aliases, counted each time a fragment that holds them is spread.
    pub aliases: usize,
    /// Selections (fields, spreads, inline fragments) after spreading every fragment.
    pub selections: usize,
    /// Names, numbers, strings and punctuation marks in the document's text.
    pub tokens: usize,
    /// Bytes of a JSON body, of a query string, or of `operations` and `map` together.
    pub body_bytes: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { depth: 16, complexity: 1_000, aliases: 100, selections: 2_000, tokens: 15_000, body_bytes: 256 * 1024 }
    }
}

/// Why a document is not executed: a stable code, a sentence, and where it is if that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    pub code: &'static str,
    pub message: String,
    pub location: Option<Pos>,
}

/// The document is not GraphQL.
pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// The document does not fit the schema.
pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// The document is over one of the [`QueryLimits`].
pub const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
/// `operationName` does not choose exactly one operation.
pub const UNKNOWN_OPERATION: &str = "OPERATION_RESOLUTION_FAILED";
/// A string poses as an uploaded file.
pub const BAD_UPLOAD: &str = "BAD_UPLOAD";

impl Rejection {
    fn new(code: &'static str, location: Option<Pos>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), location }
    }

    fn too_complex(location: Pos, message: impl Into<String>) -> Self {
        Self::new(TOO_COMPLEX, Some(location), message)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for ServerError {
    fn from(rejection: Rejection) -> Self {
        let mut error = ServerError::new(rejection.message, rejection.location);
        error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", rejection.code);
        error
    }
}

/// Parses the request's document, leaves it in the request for the schema to use, and says what kind
/// of operation the request chose.
///
/// Call it before uploads are set: it refuses every string that looks like the library's own
/// reference to an uploaded file, wherever the client wrote it.
///
/// # Errors
/// A [`Rejection`] when the document is not GraphQL, is over a limit, spreads a fragment inside itself,
/// names no operation, leaves a required variable out, or forges a reference to a file.
pub fn admit(request: &mut Request, limits: &QueryLimits) -> Result<OperationType, Rejection> {
    scan::check(&request.query, limits.tokens)?;
    bound_parser();
    let mut document = parser::parse_query(&request.query).map_err(parse_failed)?;
    cost::check(&document, limits)?;
    uploads::check(&document, &request.variables)?;

    // Some clients send an empty name for "the only one".
    if request.operation_name.as_deref() == Some("") {
        request.operation_name = None;
    }
    let operation = choose(&document.operations, request.operation_name.as_deref())?;
    required_variables(operation, &request.variables)?;
    let kind = operation.ty;
    absent::drop_uses(&mut document, request.operation_name.as_deref(), &request.variables);
    one_of::check(&document, &request.variables)?;
    enums::check(&document)?;
    typename::wrap(&mut document);
    request.set_parsed_query(document);
    Ok(kind)
}

/// Steps of the parser for one document: more than twice what the costliest known takes that passes [`scan::check`], a
/// quarter of a megabyte of empty lines and comments.
const PARSER_STEPS: NonZeroUsize = NonZeroUsize::new(6_000_000).unwrap();

/// Bounds the parser's work. The bound is a setting of the library for the whole process, which parses nothing else with it.
fn bound_parser() {
    static BOUNDED: Once = Once::new();
    BOUNDED.call_once(|| pest::set_call_limit(Some(PARSER_STEPS)));
}

fn choose<'a>(operations: &'a DocumentOperations, name: Option<&str>) -> Result<&'a OperationDefinition, Rejection> {
    let refuse = |message: String| Rejection::new(UNKNOWN_OPERATION, None, message);
    let mut matching = operations.iter().filter(|(own, _)| name.is_none() || own.map(Name::as_str) == name);
    match (matching.next(), matching.next()) {
        (Some((_, operation)), None) => Ok(&operation.node),
        (Some(_), Some(_)) => {
            Err(refuse("The document has several operations; choose one with `operationName`.".to_owned()))
        }
        (None, _) => {
            let name = name.unwrap_or_default();
            Err(refuse(format!("The document has no operation named \"{name}\".")))
        }
    }
}

/// Refuses a request that leaves a required variable out, which the schema would notice only where
/// the variable is used, if there. Files are missing until their part has arrived.
fn required_variables(operation: &OperationDefinition, variables: &Variables) -> Result<(), Rejection> {
    for definition in &operation.variable_definitions {
        let VariableDefinition { name, var_type, default_value, .. } = &definition.node;
        let given = variables.get(&name.node).is_some_and(|value| *value != Value::Null);
        let required = !var_type.node.nullable && default_value.is_none();
        let is_file = matches!(&var_type.node.base, BaseType::Named(name) if name == "Upload");
        if required && !given && !is_file {
            let message = format!("Variable \"${}\" of type \"{}\" is required.", name.node, var_type.node);
            return Err(Rejection::new(VALIDATION_FAILED, Some(definition.pos), message));
        }
    }
    Ok(())
}

/// The parser's message quotes the whole line, which may be the whole document; only its last line,
/// which says what was expected, is passed on.
fn parse_failed(error: parser::Error) -> Rejection {
    let location = error.positions().next();
    let message = match &error {
        parser::Error::Syntax { message, start, .. } => {
            let expected = message
                .lines()
                .rev()
                .find_map(|line| line.trim_start().strip_prefix("= "))
                .unwrap_or("unexpected text");
            if expected == "call limit reached" {
                let message = format!("Parsing the document takes more than {PARSER_STEPS} steps.");
                return Rejection::new(TOO_COMPLEX, None, message);
            }
            format!("Syntax error at line {}, column {}: {expected}.", start.line, start.column)
        }
        other => format!("Syntax error: {other}"),
    };
    Rejection::new(PARSE_FAILED, location, message)
}

#[cfg(test)]
mod tests;
