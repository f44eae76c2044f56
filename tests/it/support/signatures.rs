//! Who may use a bucket, as its provider documents it: for S3 "Signature Version 4 for Amazon S3", for Google the tokens that a
//! service account signs itself and "V4 signing". In headers and in addresses, with the time they are valid for.

use std::collections::BTreeMap;

use axum::http::request;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{NaiveDateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::bucket::query;
use super::tls;

const KEY_ID: &str = "AKIDHALFTONETEST";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "eu-test-1";
const ACCOUNT: &str = "halftone@test.iam.gserviceaccount.com";
/// By this name every bucket of Google's is signed for, wherever its server is.
const GOOGLE_HOST: &str = "storage.googleapis.com";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Everything but what both leave unescaped in a query string.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The variables with which their owner is let in.
pub fn environment() -> Vec<(String, String)> {
    let variables = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", REGION)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    variables.into_iter().chain([(GOOGLE_ACCOUNT.to_owned(), google_account())]).collect()
}

/// The variable with the service account.
pub const GOOGLE_ACCOUNT: &str = "GOOGLE_SERVICE_ACCOUNT_KEY";

/// A service account, as Google hands it out in a file. The key beside the tests' certificates protects nothing.
pub fn google_account() -> String {
    let key = std::fs::read_to_string(tls::file("rsa_key.pem")).expect("a key");
    let account =
        json!({ "type": "service_account", "client_email": ACCOUNT, "private_key_id": "1", "private_key": key });
    account.to_string()
}

/// What an address says of its signature, in parameters that begin alike: `X-Amz-…` or `X-Goog-…`.
struct Signed {
    date: String,
    scope: String,
    headers: String,
    signature: String,
    valid_for: TimeDelta,
}

impl Signed {
    fn of_address(query: &BTreeMap<String, String>, beginning: &str, signer: &str) -> Result<Self, String> {
        let field = |name: &str| query.get(&format!("{beginning}{name}")).cloned().unwrap_or_default();
        let seconds = field("Expires").parse().map_err(|_| "no time that it is valid for")?;
        Ok(Self {
            date: field("Date"),
            scope: scope(&field("Credential"), signer)?,
            headers: field("SignedHeaders"),
            signature: field("Signature"),
            valid_for: TimeDelta::seconds(seconds),
        })
    }

    fn check_time(&self) -> Result<(), String> {
        let time = NaiveDateTime::parse_from_str(&self.date, "%Y%m%dT%H%M%SZ").map_err(|_| "no date")?.and_utc();
        let age = Utc::now() - time;
        let is_now = age <= self.valid_for && age >= TimeDelta::minutes(-15);
        if is_now { Ok(()) } else { Err(format!("signed at {time}")) }
    }

    fn check_scope(&self, rest: &str) -> Result<(), String> {
        let day = self.date.get(..8).ok_or("no date")?;
        if self.scope == format!("{day}/{rest}") { Ok(()) } else { Err(format!("the scope {}", self.scope)) }
    }

    /// The text that is signed by `algorithm`, for a request with these values of its headers.
    fn text<'a>(&self, algorithm: &str, head: &request::Parts, header: impl Fn(&str) -> &'a str, hash: &str) -> String {
        let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let query = query(head);
        let signed = query.iter().filter(|(name, _)| !["X-Amz-Signature", "X-Goog-Signature"].contains(&name.as_str()));
        let mut pairs: Vec<String> =
            signed.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        pairs.sort_unstable();
        let headers: String = self.headers.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
        let request =
            [head.method.as_str(), head.uri.path(), &pairs.join("&"), &headers, &self.headers, hash].join("\n");
        let request = hex::encode(Sha256::digest(request.as_bytes()));
        format!("{algorithm}\n{}\n{}\n{request}", self.date, self.scope)
    }
}

fn scope(credential: &str, signer: &str) -> Result<String, String> {
    let scope = credential.strip_prefix(signer).and_then(|rest| rest.strip_prefix('/'));
    Ok(scope.ok_or("another signer")?.to_owned())
}

fn header<'a>(head: &'a request::Parts, name: &str) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn compare(signature: &str, ours: &[u8]) -> Result<(), String> {
    if hex::encode(ours) == signature { Ok(()) } else { Err("another signature".to_owned()) }
}

/// Whether the request is signed with the secret, now, and its body is the one that was signed.
pub fn check_s3(head: &request::Parts, body: &Bytes) -> Result<(), String> {
    const ALGORITHM: &str = "AWS4-HMAC-SHA256";
    let query = query(head);
    let (signed, hash) = if query.contains_key("X-Amz-Signature") {
        (Signed::of_address(&query, "X-Amz-", KEY_ID)?, UNSIGNED)
    } else {
        let fields = header(head, "authorization").strip_prefix(ALGORITHM).ok_or("no signature")?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)).unwrap_or_default().to_owned()
        };
        let signed = Signed {
            date: header(head, "x-amz-date").to_owned(),
            scope: scope(&field("Credential="), KEY_ID)?,
            headers: field("SignedHeaders="),
            signature: field("Signature="),
            valid_for: TimeDelta::minutes(15),
        };
        for needed in ["host", "x-amz-date", "x-amz-content-sha256"] {
            if !signed.headers.split(';').any(|signed| signed == needed) {
                return Err(format!("{needed} is not signed"));
            }
        }
        let hash = header(head, "x-amz-content-sha256");
        if hash != UNSIGNED && hash != hex::encode(Sha256::digest(body)) {
            return Err("another body was signed".to_owned());
        }
        (signed, hash)
    };
    signed.check_scope(&format!("{REGION}/s3/aws4_request"))?;
    signed.check_time()?;
    let sign = |key: &[u8], text: &str| {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length").chain_update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let key = signed.scope.split('/').fold(format!("AWS4{SECRET}").into_bytes(), |key, part| sign(&key, part));
    compare(&signed.signature, &sign(&key, &signed.text(ALGORITHM, head, |name| header(head, name), hash)))
}

/// Whether the request is of the service account, now.
pub fn check_google(head: &request::Parts) -> Result<(), String> {
    const ALGORITHM: &str = "GOOG4-RSA-SHA256";
    let query = query(head);
    let Some(algorithm) = query.get("X-Goog-Algorithm") else {
        return check_token(header(head, "authorization").strip_prefix("Bearer ").ok_or("no token")?);
    };
    if algorithm != ALGORITHM {
        return Err(format!("the algorithm {algorithm}"));
    }
    let signed = Signed::of_address(&query, "X-Goog-", ACCOUNT)?;
    signed.check_scope("auto/storage/goog4_request")?;
    signed.check_time()?;
    let value_of = |name: &str| if name == "host" { GOOGLE_HOST } else { header(head, name) };
    compare(&signed.signature, &sign_rsa(&signed.text(ALGORITHM, head, value_of, UNSIGNED)))
}

/// A token that the account signed itself.
fn check_token(token: &str) -> Result<(), String> {
    let (signed, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|error| error.to_string());
    compare(&hex::encode(decode(signature)?), &sign_rsa(signed))?;
    let (_, claims) = signed.split_once('.').ok_or("no claims")?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).map_err(|error| error.to_string())?;
    let now = Utc::now().timestamp();
    let is_now = claims["iat"].as_i64() <= Some(now) && claims["exp"].as_i64() > Some(now);
    if is_now && claims["iss"] == ACCOUNT && claims["scope"].is_string() { Ok(()) } else { Err(claims.to_string()) }
}

/// Signs with the account's key. The same text always has the same signature, so that it can be compared.
fn sign_rsa(text: &str) -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_file(tls::file("rsa_key.pem")).expect("a key");
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key for RSA");
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).expect("a signer");
    signer.sign(text.as_bytes()).expect("a signature")
}
