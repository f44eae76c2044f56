//! Scalars of the contract.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use uuid::Uuid;

/// Largest whole number a JavaScript client reads exactly.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// A whole number from 0 to 2^53-1, for byte counts and revisions, which may exceed Int.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsignedInt53(pub u64);

/// A whole number from 0 to 2^53-1, for byte counts and revisions, which may exceed Int.
#[Scalar(name = "UnsignedInt53", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259#section-6")]
impl ScalarType for UnsignedInt53 {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match number.as_u64() {
                Some(number) if number <= MAX_SAFE => Ok(Self(number)),
                _ => Err(InputValueError::custom("a whole number from 0 to 2^53-1 is expected")),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

impl From<i64> for UnsignedInt53 {
    fn from(number: i64) -> Self {
        Self(u64::try_from(number).unwrap_or(0).min(MAX_SAFE))
    }
}

/// An absolute http(s) URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(pub String);

/// An absolute http(s) URL.
#[Scalar(name = "URL", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3986")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A time in UTC, in RFC 3339 format: `2026-11-28T01:02:03.456789Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub chrono::DateTime<chrono::Utc>);

/// A time in UTC, in RFC 3339 format: `2026-11-28T01:02:03.456789Z`.
#[Scalar(name = "DateTime", specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => match chrono::DateTime::parse_from_rfc3339(text) {
                Ok(moment) => Ok(Self(moment.to_utc())),
                Err(_) => Err(InputValueError::custom("a time such as 2026-11-28T01:02:03Z is expected")),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
    }
}

/// The id a client sent, if it is one: anything else names nothing.
pub fn uuid(id: &async_graphql::ID) -> Option<Uuid> {
    Uuid::parse_str(id).ok()
}
