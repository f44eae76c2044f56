//! Which form of answer the client asked for in `Accept`.
//! Follows GraphQL over HTTP: `application/graphql-response+json` when it is named and weighs no less
//! than `application/json`, else `application/json`; for streams `text/event-stream`, or `multipart/mixed` with the
//! parameter `subscriptionSpec=1.0`.

use axum::http::{HeaderMap, StatusCode, header};

use super::stream::Form;
use crate::http::{media::Media, refusal::Refusal};

/// What the client takes. At least one of the two is `Some`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Accept {
    /// For one answer, with its weight.
    single: Option<(Media, f32)>,
    /// For a stream, with its weight.
    stream: Option<(Form, f32)>,
    /// `text/event-stream` was named, not only matched by a wildcard. Whoever names the other form wants it for
    /// subscriptions only.
    stream_is_named: bool,
}

impl Accept {
    /// # Errors
    /// 406 when the client takes none of them.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut weights = Weights::default();
        let mut any = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                any |= !range.trim().is_empty();
                weights.note(range);
            }
        }
        if !any {
            weights.note("*/*");
        }
        weights.choose().ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_ACCEPTABLE,
                "NOT_ACCEPTABLE",
                "Accept application/graphql-response+json, application/json or, for subscriptions, \
                 text/event-stream or multipart/mixed;subscriptionSpec=1.0.",
            )
        })
    }

    /// The form for errors that end the request.
    pub(super) fn media(self) -> Media {
        self.single.map_or(Media::Json, |(media, _)| media)
    }

    /// The form of a query's or mutation's answer; `None`: as a stream of one.
    pub(super) fn single(self) -> Option<Media> {
        let (media, weight) = self.single?;
        let stream = self.stream.filter(|_| self.stream_is_named);
        (weight >= stream.map_or(0.0, |(_, weight)| weight)).then_some(media)
    }

    /// The form of a stream.
    pub(super) fn form(self) -> Form {
        self.stream.map_or(Form::Events, |(form, _)| form)
    }

    pub(super) fn takes_streams(self) -> bool {
        self.stream.is_some()
    }
}

/// The greatest weight seen for each media range that matters; `None` where it was not named.
#[derive(Default)]
struct Weights {
    graphql: Option<f32>,
    json: Option<f32>,
    events: Option<f32>,
    parts: Option<f32>,
    application: Option<f32>,
    text: Option<f32>,
    all: Option<f32>,
}

impl Weights {
    fn note(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let slot = match name.as_str() {
            "application/graphql-response+json" => &mut self.graphql,
            "application/json" => &mut self.json,
            "text/event-stream" => &mut self.events,
            // Without the parameter it is asked for other kinds of answers in parts.
            "multipart/mixed" if is_for_subscriptions(range) => &mut self.parts,
            "application/*" => &mut self.application,
            "text/*" => &mut self.text,
            "*/*" => &mut self.all,
            _ => return,
        };
        let mut weight = 1.0f32;
        for parameter in parts {
            let Some((key, value)) = parameter.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            if key.trim().eq_ignore_ascii_case("q") {
                weight = value.parse().unwrap_or(0.0);
            } else if key.trim().eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
                return;
            }
        }
        *slot = Some(slot.unwrap_or(0.0).max(weight.clamp(0.0, 1.0)));
    }

    fn choose(&self) -> Option<Accept> {
        let wanted = |weight: &f32| *weight > 0.0;
        let json = self.json.or(self.application).or(self.all).filter(wanted);
        let parts = self.parts.filter(wanted);
        let stream_is_named = self.events.is_some_and(|events| parts.is_none_or(|parts| events > parts));
        let events = self.events.or(self.text).or(self.all).filter(wanted).map(|weight| (Form::Events, weight));
        let stream = if stream_is_named { events } else { parts.map(|weight| (Form::Parts, weight)).or(events) };
        let single = match (self.graphql.filter(wanted), json) {
            (Some(graphql), json) if graphql >= json.unwrap_or(0.0) => Some((Media::GraphqlResponse, graphql)),
            (_, json) => json.map(|weight| (Media::Json, weight)),
        };
        (single.is_some() || stream.is_some()).then_some(Accept { single, stream, stream_is_named })
    }
}

fn is_for_subscriptions(range: &str) -> bool {
    let mut parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters.any(|(key, value)| {
        key.trim().eq_ignore_ascii_case("subscriptionSpec") && value.trim().trim_matches('"') == "1.0"
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accept(value: &str) -> Result<Accept, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(value).expect("a header"));
        Accept::of(&headers)
    }

    #[test]
    fn the_newer_media_type_wins_only_where_it_is_named() {
        for (value, media) in [
            ("", Some(Media::Json)),
            ("*/*", Some(Media::Json)),
            ("application/*", Some(Media::Json)),
            ("application/json", Some(Media::Json)),
            ("application/json; charset=UTF-8", Some(Media::Json)),
            ("application/graphql-response+json", Some(Media::GraphqlResponse)),
            ("Application/GraphQL-Response+JSON, application/json", Some(Media::GraphqlResponse)),
            ("application/json, application/graphql-response+json;q=0.9", Some(Media::Json)),
            ("application/graphql-response+json;q=0.5, */*;q=0.1", Some(Media::GraphqlResponse)),
            ("text/event-stream", None),
            ("text/event-stream, application/json", Some(Media::Json)),
            ("text/event-stream, application/json;q=0.5", None),
            ("text/event-stream, */*;q=0.1", None),
            ("text/html, application/json;q=0, */*", None),
        ] {
            assert_eq!(accept(value).expect("acceptable").single(), media, "{value}");
        }
        assert_eq!(Accept::of(&HeaderMap::new()).map(Accept::media), Ok(Media::Json));
    }

    #[test]
    fn streams_need_their_media_type_or_a_wildcard() {
        for (value, takes) in [
            ("text/event-stream", true),
            ("application/json, text/event-stream", true),
            ("*/*", true),
            ("text/*", true),
            ("application/json", false),
            ("application/json, text/event-stream;q=0", false),
        ] {
            assert_eq!(accept(value).expect("acceptable").takes_streams(), takes, "{value}");
        }
    }

    #[test]
    fn parts_are_for_subscriptions_of_those_who_name_them() {
        let apollo = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0";
        for (value, single, form) in [
            (&format!("{apollo},application/graphql-response+json,application/json;q=0.9")[..], true, Form::Parts),
            (&format!("{apollo}, text/event-stream"), false, Form::Parts),
            (&format!("{apollo};q=0.5, text/event-stream, */*;q=0.1"), false, Form::Events),
            (&format!("{apollo};q=0, */*"), true, Form::Events),
            ("Multipart/Mixed; subscriptionspec=\"1.0\"", false, Form::Parts),
            ("*/*", true, Form::Events),
        ] {
            let accept = accept(value).expect("acceptable");
            assert_eq!(
                (accept.single().is_some(), accept.takes_streams(), accept.form()),
                (single, true, form),
                "{value}"
            );
        }
        let deferred = accept("multipart/mixed;deferSpec=20220824,application/json").expect("acceptable");
        assert!(!deferred.takes_streams());
    }

    #[test]
    fn nothing_we_have_is_not_acceptable() {
        for value in ["text/html", "image/png, text/plain", "application/json;q=0", "application/json;charset=latin1"] {
            assert_eq!(accept(value).map_err(|error| error.status), Err(StatusCode::NOT_ACCEPTABLE), "{value}");
        }
    }
}
