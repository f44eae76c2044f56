//! From what the client sent to a request the schema can run.
//! Whatever comes out has been through the [`admission`].

use async_graphql::{Extensions, Request, Value, Variables, parser::types::OperationType};
use serde_json::Value as Json;

use super::options::EndpointOptions;
use crate::access::Caller;
use crate::graphql::admission::{self, Rejection};
use crate::graphql::charging::Counted;
use crate::graphql::error::FORBIDDEN;
use crate::http::refusal::Refusal;

/// Reads `{"query", "operationName", "variables", "extensions"}`; other members are ignored.
///
/// # Errors
/// 400 when it is not that, or a list of such (a batch).
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Request, Refusal> {
    let json = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad_request(format!("The body is not JSON: {error}.")))?;
    from_json(json)
}

/// As [`from_bytes`], from parsed JSON.
pub(super) fn from_json(json: Json) -> Result<Request, Refusal> {
    let mut members = match json {
        Json::Object(members) => members,
        Json::Array(_) => {
            return Err(Refusal::new(
                axum::http::StatusCode::BAD_REQUEST,
                "BATCH_NOT_SUPPORTED",
                "Send one operation per request; lists of operations are not supported.",
            ));
        }
        _ => return Err(Refusal::bad_request("The request must be a JSON object.")),
    };
    let mut request = match members.remove("query") {
        Some(Json::String(query)) => Request::new(query),
        // Clients that try a hash first send the query when they read this message.
        Some(Json::Null) | None
            if members.get("extensions").is_some_and(|given| given.get("persistedQuery").is_some()) =>
        {
            return Err(Refusal::new(
                axum::http::StatusCode::OK,
                "PERSISTED_QUERY_NOT_SUPPORTED",
                "PersistedQueryNotSupported",
            ));
        }
        Some(Json::Null) | None => return Err(Refusal::bad_request("`query` is missing.")),
        Some(_) => return Err(Refusal::bad_request("`query` must be a string.")),
    };
    request.operation_name = match members.remove("operationName") {
        None | Some(Json::Null) => None,
        Some(Json::String(name)) => Some(name),
        Some(_) => return Err(Refusal::bad_request("`operationName` must be a string.")),
    };
    if let Some(variables) = object(members.remove("variables"), "variables")? {
        request.variables = Variables::from_json(variables);
    }
    if let Some(extensions) = object(members.remove("extensions"), "extensions")?
        && let Ok(Value::Object(extensions)) = Value::from_json(extensions)
    {
        let members = extensions.into_iter().map(|(key, value)| (key.to_string(), value));
        request.extensions = Extensions(members.collect());
    }
    Ok(request)
}

/// Reads the same members from a query string, `variables` and `extensions` being JSON in it.
///
/// # Errors
/// 400 when a member is missing, given twice, or not what it must be.
pub(super) fn from_query(query: &str) -> Result<Request, Refusal> {
    let mut members = serde_json::Map::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match key.as_ref() {
            "query" | "operationName" => Json::String(value.into_owned()),
            "variables" | "extensions" if value.is_empty() => Json::Null,
            "variables" | "extensions" => serde_json::from_str(&value)
                .map_err(|error| Refusal::bad_request(format!("`{key}` is not JSON: {error}.")))?,
            _ => continue,
        };
        if members.insert(key.to_string(), value).is_some() {
            return Err(Refusal::bad_request(format!("`{key}` is given twice.")));
        }
    }
    from_json(Json::Object(members))
}

/// Passes the request through the guard, refuses what the caller may not do, and names the caller to the resolvers.
pub(super) fn prepare(
    mut request: Request,
    caller: &Caller,
    options: &EndpointOptions,
) -> Result<(Request, OperationType), Rejection> {
    let kind = admission::admit(&mut request, &options.query)?;
    if kind == OperationType::Mutation && !caller.may_write() {
        let message = "This API key may only read. Use one with the scope `write`.";
        return Err(Rejection { code: FORBIDDEN, message: message.to_owned(), location: None });
    }
    request.data.insert(caller.clone());
    let name = request.operation_name.clone();
    let document = request.parsed_query().ok();
    if let Some(counted) = document.and_then(|document| Counted::of(document, name.as_deref())) {
        request.data.insert(counted);
    }
    Ok((request, kind))
}

fn object(member: Option<Json>, name: &str) -> Result<Option<Json>, Refusal> {
    match member {
        None | Some(Json::Null) => Ok(None),
        Some(member @ Json::Object(_)) => Ok(Some(member)),
        Some(_) => Err(Refusal::bad_request(format!("`{name}` must be an object."))),
    }
}
