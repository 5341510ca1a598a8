//! The local token issuer: an RSA key, tokens for whoever asks on this machine, a page to sign in on, and the two documents
//! by which others check them. It stands where an OIDC provider stands in a deployment, and is never deployed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chat_domain::{UserId, Violation};
use chrono::Utc;
use http::{Method, StatusCode, request};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, LineEnding};
use serde::Serialize;

use self::sign_in::Codes;
pub(crate) use self::sign_in::answer_sign_in_page;
use super::reply::{self, Answer};

mod sign_in;

/// Where the keys are that tokens are checked with.
pub(crate) const JWKS_PATH: &str = "/.well-known/jwks.json";
/// Where it says what it does.
pub(crate) const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// Where tokens are: by GET for whoever asks, by POST for a code.
pub(crate) const TOKEN_PATH: &str = "/dev/token";
const SIGN_IN_PATH: &str = "/dev/sign-in";

/// How long a token is good for when its taker does not say.
pub const TOKEN_TTL_DEFAULT: Duration = Duration::from_hours(12);
/// How long a token may be good for.
pub const TOKEN_TTL_MAX: Duration = Duration::from_hours(30 * 24);
/// What AWS accepts, and what is quick to sign with.
const KEY_BITS: usize = 2_048;

/// Signs tokens as an OIDC provider would. Clones share the key.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    url: String,
    audience: String,
    key: EncodingKey,
    key_id: String,
    jwks: JwkSet,
    /// Handed out to pages, and not exchanged yet.
    codes: Codes,
}

/// Why there is no issuer, or no token.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key's file cannot be read or written.
    #[error("cannot keep the token issuer's key in {}: check the folder's owner and free space", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key's file holds something else.
    #[error("{} does not hold an RSA private key: delete it, and a new one is made", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The crypto library refused.
    #[error("cannot make or use an RSA key")]
    Key(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such user.
    #[error("the user {0}")]
    User(Violation),
    /// The time is too short or too long.
    #[error("ttl_seconds must be 1 to {}", TOKEN_TTL_MAX.as_secs())]
    Ttl,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
}

impl Issuer {
    /// The issuer with the key in this file, which is made (readable by its owner only) when it is not there. `url` and
    /// `audience` are what the tokens say in `iss` and `aud`. Takes about a second when the key has to be made.
    pub fn load_or_create(key_file: &Path, url: &str, audience: &str) -> Result<Self, IssuerError> {
        let file = |source| IssuerError::File {
            path: key_file.to_owned(),
            source,
        };
        let pem = match fs::read_to_string(key_file) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                keep_first(key_file, &generate_pem()?).map_err(file)?;
                fs::read_to_string(key_file).map_err(file)?
            }
            Err(error) => return Err(file(error)),
        };
        if RsaPrivateKey::from_pkcs1_pem(&pem).is_err() {
            return Err(IssuerError::NotAKey {
                path: key_file.to_owned(),
            });
        }
        Self::with_pem(&pem, url, audience)
    }

    /// An issuer whose key lives as long as it does.
    pub fn generate(url: &str, audience: &str) -> Result<Self, IssuerError> {
        Self::with_pem(&generate_pem()?, url, audience)
    }

    fn with_pem(pem: &str, url: &str, audience: &str) -> Result<Self, IssuerError> {
        let fault = |error: jsonwebtoken::errors::Error| IssuerError::Key(error.into());
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(fault)?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).map_err(fault)?;
        let key_id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(fault)?;
        jwk.common.key_id = Some(key_id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let jwks = JwkSet { keys: vec![jwk] };
        Ok(Self(Arc::new(Inner {
            url: url.to_owned(),
            audience: audience.to_owned(),
            key,
            key_id,
            jwks,
            codes: Codes::default(),
        })))
    }

    /// Whether a request is the issuer's to answer.
    pub(crate) fn is_asked(parts: &request::Parts) -> bool {
        let methods: &[Method] = match parts.uri.path() {
            JWKS_PATH | CONFIGURATION_PATH => &[Method::GET],
            TOKEN_PATH | SIGN_IN_PATH => &[Method::GET, Method::POST],
            _ => &[],
        };
        methods.contains(&parts.method)
    }

    /// What the tokens say in `iss`.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// What the tokens say in `aud`.
    pub fn audience(&self) -> &str {
        &self.0.audience
    }

    pub(crate) fn jwks(&self) -> &JwkSet {
        &self.0.jwks
    }

    /// A token for this user, good from now on for `ttl`.
    pub fn token(&self, user: &str, ttl: Duration) -> Result<String, IssuerError> {
        let user: UserId = user.parse().map_err(IssuerError::User)?;
        let seconds = i64::try_from(ttl.as_secs())
            .ok()
            .filter(|_| ttl.as_secs() > 0 && ttl <= TOKEN_TTL_MAX);
        let iat = Utc::now().timestamp();
        let exp = iat + seconds.ok_or(IssuerError::Ttl)?;
        let claims = Claims {
            iss: &self.0.url,
            aud: &self.0.audience,
            sub: user.as_str(),
            iat,
            exp,
        };
        self.sign(&claims)
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, IssuerError> {
        let header = Header {
            kid: Some(self.0.key_id.clone()),
            ..Header::new(Algorithm::RS256)
        };
        jsonwebtoken::encode(&header, claims, &self.0.key).map_err(|error| IssuerError::Key(error.into()))
    }

    /// `GET /dev/token?user=alice[&ttl_seconds=3600]`: a token as plain text.
    pub(crate) fn answer_token(&self, query: &str) -> Answer {
        let (mut user, mut ttl) = (None, Ok(TOKEN_TTL_DEFAULT));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "user" => user = Some(value),
                "ttl_seconds" => ttl = value.parse().map(Duration::from_secs).map_err(|_| IssuerError::Ttl),
                _ => return reply::line(StatusCode::BAD_REQUEST, "only user and ttl_seconds can be asked for"),
            }
        }
        let Some(user) = user else {
            return reply::line(StatusCode::BAD_REQUEST, "say for whom: /dev/token?user=alice");
        };
        match ttl.and_then(|ttl| self.token(&user, ttl)) {
            Ok(token) => reply::line(StatusCode::OK, &token),
            Err(error @ (IssuerError::User(_) | IssuerError::Ttl)) => {
                reply::line(StatusCode::BAD_REQUEST, &error.to_string())
            }
            Err(error) => reply::line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// `GET /.well-known/jwks.json`.
    pub(crate) fn answer_jwks(&self) -> Answer {
        reply::json(StatusCode::OK, &self.0.jwks)
    }

    /// `GET /.well-known/openid-configuration`. `base` is where the gateway can be reached, without a slash at its end.
    pub(crate) fn answer_configuration(&self, base: &str) -> Answer {
        #[derive(Serialize)]
        struct Configuration<'a> {
            issuer: &'a str,
            jwks_uri: String,
            authorization_endpoint: String,
            token_endpoint: String,
            response_types_supported: [&'static str; 1],
            grant_types_supported: [&'static str; 2],
            code_challenge_methods_supported: [&'static str; 1],
            token_endpoint_auth_methods_supported: [&'static str; 1],
            authorization_response_iss_parameter_supported: bool,
            subject_types_supported: [&'static str; 1],
            id_token_signing_alg_values_supported: [&'static str; 1],
        }
        let configuration = Configuration {
            issuer: &self.0.url,
            jwks_uri: format!("{base}{JWKS_PATH}"),
            authorization_endpoint: format!("{base}{SIGN_IN_PATH}"),
            token_endpoint: format!("{base}{TOKEN_PATH}"),
            response_types_supported: ["code"],
            grant_types_supported: ["authorization_code", "refresh_token"],
            code_challenge_methods_supported: ["S256"],
            token_endpoint_auth_methods_supported: ["none"],
            authorization_response_iss_parameter_supported: true,
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["RS256"],
        };
        reply::json(StatusCode::OK, &configuration)
    }
}

fn generate_pem() -> Result<String, IssuerError> {
    let key =
        RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).map_err(|error| IssuerError::Key(error.into()))?;
    Ok(key
        .to_pkcs1_pem(LineEnding::LF)
        .map_err(|error| IssuerError::Key(error.into()))?
        .to_string())
}

/// Puts the key in its file, whole or not at all. Of several that do so at once, the first one's key stays.
fn keep_first(path: &Path, pem: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("{:016x}.new", rand::random::<u64>()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let kept = file
        .write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    fs::remove_file(&draft)?;
    kept
}
