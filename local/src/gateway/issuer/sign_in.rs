//! Signing in at the local issuer, by the authorization code flow with PKCE as at any OIDC provider, save that nobody is
//! asked for a password: whoever sits at this machine is who they say.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_domain::UserId;
use chrono::Utc;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Issuer, IssuerError};
use crate::gateway::is_local_host;
use crate::gateway::reply::{self, Answer};

/// How long a code may be exchanged.
const CODE_TTL: Duration = Duration::from_mins(1);
/// Codes that wait to be exchanged, at most.
const CODES_MAX: usize = 1_000;
/// How long a page's access token is good for: short, so that refreshing one is what happens every day.
const ACCESS_TTL: Duration = Duration::from_mins(15);
/// How long somebody who does not come back stays signed in.
const REFRESH_TTL: Duration = Duration::from_hours(30 * 24);
/// Users that the page offers.
const DEMO_USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Codes that were handed out.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<String, Grant>>);

/// What a code is good for.
struct Grant {
    user: String,
    client_id: String,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    until: Instant,
}

/// What a client asks for when it sends a person here.
#[derive(Default)]
struct Wish {
    client_id: String,
    redirect_uri: String,
    challenge: String,
    state: Option<String>,
    nonce: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RefreshClaims {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    iat: i64,
    exp: i64,
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

#[derive(Serialize)]
struct Tokens {
    access_token: String,
    id_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: u64,
}

impl Wish {
    /// Reads what stands in the address. A wish without a place to go back to is answered here, in words.
    fn read(query: &str) -> Result<Self, String> {
        let mut wish = Self::default();
        let (mut response_type, mut method) = (String::new(), String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "client_id" => wish.client_id = value,
                "redirect_uri" => wish.redirect_uri = value,
                "code_challenge" => wish.challenge = value,
                "code_challenge_method" => method = value,
                "response_type" => response_type = value,
                "state" => wish.state = Some(value),
                "nonce" => wish.nonce = Some(value),
                _ => {}
            }
        }
        let back = wish.redirect_uri.parse::<Uri>().ok();
        let is_page = back
            .as_ref()
            .and_then(Uri::scheme_str)
            .is_some_and(|scheme| ["http", "https"].contains(&scheme));
        // Without the name and password that an authority may begin with, and that may look like a host.
        let host = back.as_ref().and_then(Uri::host);
        if !is_page || !host.is_some_and(is_local_host) {
            return Err(format!(
                "redirect_uri is `{}`: the local issuer sends people back to pages of this machine alone",
                wish.redirect_uri
            ));
        }
        if wish.client_id.is_empty() {
            return Err("client_id is missing".to_owned());
        }
        if response_type != "code" || method != "S256" || wish.challenge.is_empty() {
            return Err(
                "ask with response_type=code, code_challenge_method=S256 and a code_challenge: it is the only flow here"
                    .to_owned(),
            );
        }
        Ok(wish)
    }
}

/// `GET /dev/sign-in?…`: the page on which one says who one is.
pub(crate) fn answer_sign_in_page(query: &str) -> Answer {
    match Wish::read(query) {
        Ok(_) => page(StatusCode::OK, query, None),
        Err(fault) => reply::line(StatusCode::BAD_REQUEST, &fault),
    }
}

impl Issuer {
    /// `POST /dev/sign-in?…` with the form of that page: sends the person back with a code.
    pub(crate) fn answer_sign_in(&self, query: &str, form: &[u8]) -> Answer {
        let wish = match Wish::read(query) {
            Ok(wish) => wish,
            Err(fault) => return reply::line(StatusCode::BAD_REQUEST, &fault),
        };
        let user = form_urlencoded::parse(form)
            .filter(|(name, value)| name == "user" && !value.is_empty())
            .last()
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default();
        if let Err(violation) = user.parse::<UserId>() {
            return page(StatusCode::BAD_REQUEST, query, Some(&format!("That name {violation}.")));
        }
        let code = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let Wish {
            client_id,
            redirect_uri,
            challenge,
            state,
            nonce,
        } = wish;
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("code", &code).append_pair("iss", self.url());
        if let Some(state) = state {
            back.append_pair("state", &state);
        }
        let joint = if redirect_uri.contains('?') { '&' } else { '?' };
        let location = format!("{redirect_uri}{joint}{}", back.finish());
        let Ok(location) = HeaderValue::from_str(&location) else {
            return reply::line(StatusCode::BAD_REQUEST, "redirect_uri is not a URL");
        };
        let grant = Grant {
            user,
            client_id,
            redirect_uri,
            challenge,
            nonce,
            until: Instant::now() + CODE_TTL,
        };
        if !self.0.codes.put(code, grant) {
            return reply::line(
                StatusCode::TOO_MANY_REQUESTS,
                "too many codes wait: try again in a minute",
            );
        }
        let mut answer = reply::empty(StatusCode::SEE_OTHER);
        answer.headers_mut().insert(LOCATION, location);
        answer
    }

    /// `POST /dev/token` with a code, or with a refresh token: tokens.
    pub(crate) fn answer_exchange(&self, form: &[u8]) -> Answer {
        let fields: HashMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let granted = match field("grant_type") {
            "authorization_code" => self.exchange_code(
                field("code"),
                field("client_id"),
                field("redirect_uri"),
                field("code_verifier"),
            ),
            "refresh_token" => self.refresh(field("refresh_token"), field("client_id")),
            _ => return refusal("unsupported_grant_type", "use authorization_code or refresh_token"),
        };
        match granted {
            Some(Ok(tokens)) => reply::json(StatusCode::OK, &tokens),
            Some(Err(error)) => reply::line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            None => refusal(
                "invalid_grant",
                "the code or token is not good for this client, was used, or is too old",
            ),
        }
    }

    fn exchange_code(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Option<Result<Tokens, IssuerError>> {
        // Taken in any case: a code that was shown to somebody else is good for nobody.
        let grant = self.0.codes.take(code)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let is_its = grant.client_id == client_id && grant.redirect_uri == redirect_uri && grant.challenge == challenge;
        is_its.then(|| self.tokens(&grant.user, &grant.client_id, grant.nonce.as_deref()))
    }

    fn refresh(&self, token: &str, client_id: &str) -> Option<Result<Tokens, IssuerError>> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[self.url()]);
        validation.set_audience(&[self.refresh_audience()]);
        let key = self
            .jwks()
            .keys
            .first()
            .and_then(|jwk| DecodingKey::from_jwk(jwk).ok())?;
        let claims = jsonwebtoken::decode::<RefreshClaims>(token, &key, &validation)
            .ok()?
            .claims;
        (claims.client_id == client_id).then(|| self.tokens(&claims.sub, client_id, None))
    }

    fn tokens(&self, user: &str, client_id: &str, nonce: Option<&str>) -> Result<Tokens, IssuerError> {
        let iat = Utc::now().timestamp();
        let until = |ttl: Duration| iat.saturating_add_unsigned(ttl.as_secs());
        Ok(Tokens {
            access_token: self.token(user, ACCESS_TTL)?,
            id_token: self.sign(&IdClaims {
                iss: self.url(),
                aud: client_id,
                sub: user,
                iat,
                exp: until(ACCESS_TTL),
                nonce,
            })?,
            // Signed and not kept, so that people stay signed in when the service is started again.
            refresh_token: self.sign(&RefreshClaims {
                iss: self.url().to_owned(),
                aud: self.refresh_audience(),
                sub: user.to_owned(),
                client_id: client_id.to_owned(),
                iat,
                exp: until(REFRESH_TTL),
            })?,
            token_type: "Bearer",
            expires_in: ACCESS_TTL.as_secs(),
        })
    }

    /// No service takes a refresh token for an access token.
    fn refresh_audience(&self) -> String {
        format!("{}{}", self.url(), super::TOKEN_PATH)
    }
}

impl Codes {
    fn put(&self, code: String, grant: Grant) -> bool {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        codes.retain(|_, grant| grant.until > now);
        if codes.len() >= CODES_MAX {
            return false;
        }
        codes.insert(code, grant);
        true
    }

    fn take(&self, code: &str) -> Option<Grant> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.remove(code).filter(|grant| grant.until > Instant::now())
    }
}

fn refusal(error: &'static str, description: &'static str) -> Answer {
    #[derive(Serialize)]
    struct Refused {
        error: &'static str,
        error_description: &'static str,
    }
    reply::json(
        StatusCode::BAD_REQUEST,
        &Refused {
            error,
            error_description: description,
        },
    )
}

/// The page. It has no script, and nothing that a request said stands in it but in the form's address, escaped.
fn page(status: StatusCode, query: &str, fault: Option<&str>) -> Answer {
    let mut users = String::new();
    for user in DEMO_USERS {
        let _ = write!(users, r#"<button name="user" value="{user}">{user}</button>"#);
    }
    let fault = fault
        .map(|fault| format!(r#"<p role="alert">{}</p>"#, escaped(fault)))
        .unwrap_or_default();
    let text = format!(
        r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 1rem }}
main {{ width: min(22rem, 100%) }} h1 {{ font-size: 1.4rem; margin: 0 }}
form {{ display: grid; gap: .5rem }}
button, input {{ font: inherit; padding: .6rem 1rem; border: 1px solid #8888; border-radius: .6rem }}
button {{ text-align: start; background: #8882; cursor: pointer }} button:hover {{ background: #8884 }}
[role=alert] {{ color: light-dark(#a10, #f98) }}
</style>
<main><h1>Who are you?</h1>
<p>This is the sign-in of a chat on your own machine. It asks for no password; a deployment has an identity provider here.</p>
{fault}<form method="post" action="/dev/sign-in?{query}">{users}</form>
<p>or someone else</p>
<form method="post" action="/dev/sign-in?{query}"><input name="user" aria-label="Name" required maxlength="128"
 pattern="[!-~]+" title="letters, digits and signs without spaces" autocomplete="username" placeholder="erin"><button>Continue</button></form>
</main></html>"#,
        query = escaped(query),
    );
    let mut answer = reply::html(status, text);
    // The form's answer leads back to the page that asked, which `form-action` would have to name.
    answer.headers_mut().insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
    );
    answer
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
        escaped
    })
}
