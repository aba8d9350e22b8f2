//! The page's files, and the answers to what does not exist.

use crate::bench::{Answer, Bench};
use axum::body::Body;
use axum::http::{Request, StatusCode};

#[tokio::test]
async fn the_page_comes_with_its_policy() {
    let bench = Bench::new().await;
    let page = get(&bench, "/", &[]).await.expect(StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; \
         img-src 'self' blob:; style-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag").to_owned();
    let again = get(&bench, "/index.html", &[("if-none-match", &tag)]).await;
    assert!(again.expect(StatusCode::NOT_MODIFIED).body.is_empty());
    assert_eq!(get(&bench, "/style.css", &[]).await.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn nothing_outside_of_the_page_is_served() {
    let bench = Bench::new().await;
    for path in ["/../Cargo.toml", "/..%2FCargo.toml", "/%2e%2e/Cargo.toml", "/.git", "//etc/passwd", "/nix"]
    {
        let answer = get(&bench, path, &[]).await.expect(StatusCode::NOT_FOUND);
        assert!(answer.headers.contains_key("content-security-policy"), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_call_is_answered_like_one() {
    let bench = Bench::new().await;
    for path in ["/api", "/api/", "/api/v1", "/api/v1/nix", "/api/v2/openapi.json"] {
        private(&get(&bench, path, &[]).await.fails(StatusCode::NOT_FOUND, "not-found"));
    }
    for (path, allow) in [("/api/v1/auth/login", "POST"), ("/api/v1/auth/tokens", "DELETE, GET, POST")] {
        let request = Request::patch(path).body(Body::empty()).unwrap();
        let answer = bench.send(request).await;
        let answer = answer.fails(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow);
        private(&answer);
    }
    let answer = bench.send(Request::post("/").body(Body::empty()).unwrap()).await;
    private(&answer.fails(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"));
}

fn private(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn get(bench: &Bench, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    bench.send(request.body(Body::empty()).unwrap()).await
}
