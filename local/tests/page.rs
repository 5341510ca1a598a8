//! What a page needs besides the API: somebody to sign in at, and its own files.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chat_local::gateway::{self, Gateway, GatewayConfig, Issuer, Limits};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";
const BACK: &str = "http://localhost:5173/signed-in";

/// One key for all tests, since making one takes a while.
fn issuer() -> Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER
        .get_or_init(|| Issuer::generate("http://127.0.0.1:8080", "chat").unwrap())
        .clone()
}

struct Page {
    address: SocketAddr,
    folder: PathBuf,
    _gateway: Gateway,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A gateway with a page of its own and nothing behind it.
async fn page() -> Page {
    let folder = std::env::temp_dir().join(format!("chat-page-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    std::fs::write(folder.join("index.html"), "<title>the page</title>").unwrap();
    std::fs::write(folder.join("assets/app-1234.js"), "'the script'").unwrap();
    let config = GatewayConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        functions: Vec::new(),
        settings: chat_operation::Settings::default(),
        issuer: issuer(),
        limits: Limits::default(),
        site: Some(folder.clone()),
    };
    let gateway = gateway::serve(config).await.unwrap();
    Page {
        address: gateway.address(),
        folder,
        _gateway: gateway,
    }
}

impl Page {
    async fn send(&self, method: Method, path: &str, host: &str, body: String) -> Response<Bytes> {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("host", host)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(body))
            .unwrap();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(Method::GET, path, "localhost", String::new()).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response<Bytes> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.send(Method::POST, path, "localhost", form).await
    }

    /// Signs in, and answers the code that the person is sent back with.
    async fn code(&self, user: &str) -> String {
        let response = self.post(&sign_in(BACK), &[("user", user)]).await;
        assert_eq!(response.status(), 303);
        let location = response.headers()["location"].to_str().unwrap();
        let (back, query) = location.split_once('?').unwrap();
        assert_eq!(back, BACK);
        let value = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).unwrap().1.into_owned()
        };
        assert_eq!(
            (value("state").as_str(), value("iss").as_str()),
            ("a state", issuer().url())
        );
        value("code")
    }

    async fn exchange(&self, code: &str, change: (&str, &str)) -> Response<Bytes> {
        let mut form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", "chat-web"),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in &mut form {
            if *name == change.0 {
                *value = change.1;
            }
        }
        self.post("/dev/token", &form).await
    }
}

fn sign_in(redirect_uri: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", "chat-web"),
            ("redirect_uri", redirect_uri),
            ("state", "a state"),
            ("nonce", "a nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    format!("/dev/sign-in?{query}")
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// What a token says, without a look at its signature.
fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_signs_in_and_stays_so() {
    let page = page().await;
    let asked = page.get(&sign_in(BACK)).await;
    assert_eq!(asked.status(), 200);
    assert!(text(&asked).contains("<button name=\"user\" value=\"alice\">"));

    let code = page.code("alice").await;
    let tokens = json(&page.exchange(&code, ("", "")).await);
    assert_eq!(claims(&tokens["access_token"])["sub"], "alice");
    assert_eq!(claims(&tokens["access_token"])["aud"], "chat");
    let id = claims(&tokens["id_token"]);
    assert_eq!((&id["aud"], &id["nonce"]), (&"chat-web".into(), &"a nonce".into()));

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = |client: &'static str| {
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("client_id", client),
        ]
    };
    let again = json(&page.post("/dev/token", &form("chat-web")).await);
    assert_eq!(claims(&again["access_token"])["sub"], "alice");
    assert_eq!(page.post("/dev/token", &form("another")).await.status(), 400);
}

#[tokio::test]
async fn a_code_is_good_once_and_for_who_asked_alone() {
    let page = page().await;
    for (change, is_good) in [
        (("", ""), true),
        (("code", "another"), false),
        (("client_id", "another"), false),
        (("redirect_uri", "http://localhost:5173/"), false),
        (("code_verifier", "another"), false),
    ] {
        let code = page.code("alice").await;
        let first = page.exchange(&code, change).await;
        assert_eq!(first.status().is_success(), is_good, "{change:?}");
        if !is_good {
            assert_eq!(json(&first)["error"], "invalid_grant", "{change:?}");
        }
        if change.0 != "code" {
            assert_eq!(page.exchange(&code, ("", "")).await.status(), 400, "{change:?}");
        }
    }
    let access = issuer().token("alice", std::time::Duration::from_mins(1)).unwrap();
    for form in [
        vec![("grant_type", "password")],
        vec![],
        vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", access.as_str()),
            ("client_id", "chat-web"),
        ],
        vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
            ("client_id", "chat-web"),
        ],
    ] {
        assert_eq!(page.post("/dev/token", &form).await.status(), 400, "{form:?}");
    }
}

#[tokio::test]
async fn people_are_sent_back_to_this_machine_alone() {
    let page = page().await;
    for elsewhere in [
        "https://evil.example/",
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://localhost:1@evil.example/",
        "ftp://localhost/",
        "//evil.example",
        "/signed-in",
        "javascript:alert(1)",
        "",
    ] {
        let path = sign_in(elsewhere);
        for response in [page.get(&path).await, page.post(&path, &[("user", "alice")]).await] {
            assert_eq!(response.status(), 400, "{elsewhere}");
            assert!(response.headers().get("location").is_none(), "{elsewhere}");
        }
    }
    let plain = sign_in(BACK).replace("S256", "plain");
    assert_eq!(page.get(&plain).await.status(), 400);
    let asked = sign_in(BACK);
    let foreign = page.send(Method::GET, &asked, "evil.example", String::new()).await;
    assert_eq!(foreign.status(), 403);
}

#[tokio::test]
async fn a_name_that_is_none_is_told_and_nothing_that_is_said_becomes_markup() {
    let page = page().await;
    for name in ["", "two words", "<script>", &"x".repeat(129), "å"] {
        let response = page.post(&sign_in(BACK), &[("user", name)]).await;
        let is_name = name == "<script>";
        assert_eq!(response.status(), if is_name { 303 } else { 400 }, "{name}");
    }
    let told = page.post(&sign_in(BACK), &[("user", "å")]).await;
    assert!(text(&told).contains("role=\"alert\""), "{}", text(&told));
    let marked = page
        .get(&format!("{}&x='--!&y=%22%3E%3Cscript%3E", sign_in(BACK)))
        .await;
    assert_eq!(marked.status(), 200);
    assert!(!text(&marked).contains("<script"), "{}", text(&marked));
    assert!(
        marked.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let long = page.post("/dev/token", &[("grant_type", &"x".repeat(20_000))]).await;
    assert_eq!(long.status(), 413);
}

#[tokio::test]
async fn the_page_is_served_wherever_there_is_no_file() {
    let page = page().await;
    for path in [
        "/",
        "/index.html",
        "/c/01890a5d-ac96-774b-bcce-b302099a8057",
        "/people",
        "/signed-in?code=x",
    ] {
        let response = page.get(path).await;
        assert_eq!(
            (response.status().as_u16(), text(&response)),
            (200, "<title>the page</title>"),
            "{path}"
        );
        assert_eq!(response.headers()["cache-control"], "no-cache", "{path}");
        assert_eq!(response.headers()["content-type"], "text/html", "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
    }
    // A call that is made the wrong way is told so, as by the API, and shown no page.
    let call = page.get("/chat.v1.ConversationService/ListConversations").await;
    assert_eq!(
        (call.status().as_u16(), text(&call)),
        (404, r#"{"message":"Not Found"}"#)
    );
    let script = page.get("/assets/app-1234.js").await;
    assert_eq!(text(&script), "'the script'");
    assert_eq!(script.headers()["cache-control"], "public, max-age=31536000, immutable");
    let gone = page.get("/assets/app-0000.js").await;
    assert_eq!(gone.status(), 404);
    assert_eq!(gone.headers()["cache-control"], "no-cache");
    let config = json(&page.get("/config.json").await);
    assert_eq!(config["issuer"], issuer().url());
    // The API is where it was.
    let post = page.post("/chat.v1.MessageService/SendMessage", &[]).await;
    assert_eq!(post.status(), 404);
}

#[tokio::test]
async fn a_deployed_page_may_do_what_the_local_one_may() {
    let page = page().await;
    let response = page.get("/").await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    let template = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml")).unwrap();
    let (_, headers) = template.split_once("\n  WebHeaders:\n").unwrap();
    // Its lines, put together as they are deployed.
    let deployed: String = headers
        .lines()
        .map(|line| line.trim().trim_matches(['-', ' ', '"', '\'']))
        .collect();
    for directive in policy
        .split("; ")
        .filter(|directive| !directive.starts_with("connect-src"))
    {
        assert!(deployed.contains(directive), "template.yaml lacks {directive}");
    }
    for (name, value) in response.headers() {
        if ["referrer-policy", "permissions-policy"].contains(&name.as_str()) {
            assert!(headers.contains(value.to_str().unwrap()), "template.yaml lacks {name}");
        }
    }
}

#[tokio::test]
async fn nothing_outside_of_the_pages_folder_is_served() {
    let page = page().await;
    let secret = page.folder.with_extension("secret");
    std::fs::write(&secret, "secret").unwrap();
    let name = Path::new(secret.file_name().unwrap()).display().to_string();
    for path in [
        format!("/../{name}"),
        format!("/%2e%2e/{name}"),
        format!("/assets/..%2f..%2f{name}"),
        format!("/assets/%2e%2e/%2e%2e/{name}"),
    ] {
        let response = page.get(&path).await;
        assert!(!text(&response).contains("secret"), "{path}");
    }
    std::fs::remove_file(secret).unwrap();
}
