//! The HTTP API's JWT authorizer: the checks that AWS documents for it, in its order, with its answers.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use http::header::{AUTHORIZATION, HeaderMap};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Tokens whose signature need not be checked again, at most.
const VERIFIED_MAX: usize = 4_096;

/// Why a request has no identity; the text is for the `www-authenticate` header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TokenFault {
    #[error("no token")]
    Missing,
    #[error("the token is malformed or its signature is not valid")]
    Invalid,
    #[error("the token is not signed with RS256 and a key of the issuer")]
    Key,
    #[error("the token was issued by someone else")]
    Issuer,
    #[error("the token is not meant for this audience")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
}

/// A verified token.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The claims as the event carries them: a JSON object of strings.
    pub(crate) claims: Box<RawValue>,
    /// When it ends, in seconds since 1970.
    expires_at: i64,
}

/// Checks tokens against one issuer and one audience.
pub(crate) struct JwtAuthorizer {
    issuer: String,
    audience: String,
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
    /// Checking an RSA signature costs more than the rest of the gateway's work on a request.
    verified: Mutex<HashMap<String, Arc<Identity>>>,
}

impl JwtAuthorizer {
    /// Keys that it cannot use are left out, as AWS does.
    pub(crate) fn new(issuer: &str, audience: &str, jwks: &JwkSet) -> Self {
        let keys = jwks
            .keys
            .iter()
            .filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)));
        // Only the signature is the library's to check: AWS has rules of its own for the claims.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            keys: keys.collect(),
            validation,
            verified: Mutex::default(),
        }
    }

    /// Who sent a request with these headers.
    pub(crate) fn authorize(&self, headers: &HeaderMap) -> Result<Arc<Identity>, TokenFault> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values
            .next()
            .ok_or(TokenFault::Missing)?
            .to_str()
            .map_err(|_| TokenFault::Invalid)?;
        if values.next().is_some() {
            return Err(TokenFault::Invalid);
        }
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) => return Err(TokenFault::Missing),
            None => value,
        };
        let now = Utc::now().timestamp();
        let verified = self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .map(Arc::clone);
        if let Some(identity) = verified {
            return if now < identity.expires_at {
                Ok(identity)
            } else {
                Err(TokenFault::Expired)
            };
        }
        let claims = self.verify(token)?;
        let expires_at = check(&claims, &self.issuer, &self.audience, now)?;
        let identity = Arc::new(Identity {
            claims: claims_of_strings(&claims),
            expires_at,
        });
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.retain(|_, identity| now < identity.expires_at);
            if verified.len() >= VERIFIED_MAX {
                verified.clear();
            }
        }
        verified.insert(token.to_owned(), Arc::clone(&identity));
        Ok(identity)
    }

    fn verify(&self, token: &str) -> Result<Map<String, Value>, TokenFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Invalid)?;
        let key = header
            .kid
            .and_then(|key_id| self.keys.get(&key_id))
            .ok_or(TokenFault::Key)?;
        if header.alg != Algorithm::RS256 {
            return Err(TokenFault::Key);
        }
        let token = jsonwebtoken::decode(token, key, &self.validation).map_err(|_| TokenFault::Invalid)?;
        Ok(token.claims)
    }
}

/// Checks the claims at a time given in seconds since 1970, and answers when the token ends.
fn check(claims: &Map<String, Value>, issuer: &str, audience: &str, now: i64) -> Result<i64, TokenFault> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(issuer) {
        return Err(TokenFault::Issuer);
    }
    let meant = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
        Some(one) => one.as_str() == Some(audience),
        // Only then: a token for another audience does not pass by its client.
        None => text("client_id") == Some(audience),
    };
    if !meant {
        return Err(TokenFault::Audience);
    }
    let expires_at = seconds(claims.get("exp")).ok_or(TokenFault::Expired)?;
    if now >= expires_at {
        return Err(TokenFault::Expired);
    }
    for name in ["nbf", "iat"] {
        if let Some(start) = claims.get(name)
            && seconds(Some(start)).is_none_or(|start| now < start)
        {
            return Err(TokenFault::NotYet);
        }
    }
    Ok(expires_at)
}

/// A time claim in whole seconds; fractions, which JWT allows, are cut off.
fn seconds(claim: Option<&Value>) -> Option<i64> {
    let claim = claim?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a time beyond i64 saturates, which compares as it should"
    )]
    claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64))
}

/// The claims in the form that the event carries them: every value a string, a list as in `[a b]`.
fn claims_of_strings(claims: &Map<String, Value>) -> Box<RawValue> {
    let strings: Map<String, Value> = claims
        .iter()
        .map(|(name, claim)| (name.clone(), Value::String(claim_text(claim))))
        .collect();
    // A map of strings always serialises; null stands for no claims, which no function takes for an identity.
    serde_json::value::to_raw_value(&strings).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn claim_text(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(claim_text).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut text = String::from("map[");
            for (index, (name, value)) in fields.iter().enumerate() {
                let space = if index == 0 { "" } else { " " };
                // Writing to a String cannot fail.
                let _ = write!(text, "{space}{name}:{}", claim_text(value));
            }
            text + "]"
        }
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => claim.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn outcome(claims: &Value) -> Result<i64, TokenFault> {
        check(claims.as_object().expect("an object"), "https://issuer", "chat", NOW)
    }

    #[test]
    fn a_token_counts_between_its_start_and_its_end() {
        let good = json!({"iss": "https://issuer", "aud": "chat", "exp": NOW + 1, "nbf": NOW, "iat": NOW});
        assert_eq!(outcome(&good), Ok(NOW + 1));
        for (name, value, fault) in [
            ("exp", json!(NOW), TokenFault::Expired),
            ("exp", json!("soon"), TokenFault::Expired),
            ("nbf", json!(NOW + 1), TokenFault::NotYet),
            ("nbf", json!("now"), TokenFault::NotYet),
            ("iat", json!(NOW + 1), TokenFault::NotYet),
            ("iss", json!("https://issuer/"), TokenFault::Issuer),
        ] {
            let mut claims = good.clone();
            claims[name] = value;
            assert_eq!(outcome(&claims), Err(fault), "{claims}");
        }
        let endless = json!({"iss": "https://issuer", "aud": "chat"});
        assert_eq!(outcome(&endless), Err(TokenFault::Expired));
    }

    #[test]
    fn the_client_counts_as_audience_only_where_there_is_none() {
        let with = |audience: Value, client: &str| {
            outcome(&json!({"iss": "https://issuer", "exp": 1_700_000_001.5, "aud": audience, "client_id": client}))
        };
        assert_eq!(with(json!(["other", "chat"]), "other"), Ok(NOW + 1));
        assert_eq!(with(json!("other"), "chat"), Err(TokenFault::Audience));
        assert_eq!(with(json!([]), "chat"), Err(TokenFault::Audience));
        let none = json!({"iss": "https://issuer", "exp": NOW + 1, "client_id": "chat"});
        assert_eq!(outcome(&none), Ok(NOW + 1));
        let neither = json!({"iss": "https://issuer", "exp": NOW + 1});
        assert_eq!(outcome(&neither), Err(TokenFault::Audience));
    }

    #[test]
    fn every_claim_becomes_a_string() {
        let claims =
            json!({"a": ["x", "y z", 1], "b": true, "c": 1_700_000_000, "d": {"e": ["f"]}, "g": "h", "i": null});
        let strings = claims_of_strings(claims.as_object().expect("an object"));
        assert_eq!(
            strings.get(),
            r#"{"a":"[x y z 1]","b":"true","c":"1700000000","d":"map[e:[f]]","g":"h","i":"<nil>"}"#
        );
    }
}
