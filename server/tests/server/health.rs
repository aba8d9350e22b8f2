//! What whoever watches over the server is told.

use crate::bench::{Answer, Bench};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn it_says_whether_the_server_can_work_and_nothing_else() {
    let bench = Bench::new().await;
    let well = health(&bench).await.expect(StatusCode::OK);
    assert_eq!(body(&well), json!({ "status": "ok" }));
    assert_eq!(well.header("cache-control"), "no-store");

    // Whoever deletes the folder beneath it, or puts it on a disk that breaks, has no server any more.
    let data = bench.folder.path().join("data");
    let away = bench.folder.path().join("away");
    std::fs::rename(&data, &away).unwrap();
    let ill = health(&bench).await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body(&ill), json!({ "status": "failing", "problems": ["store", "data-folder"] }));
    std::fs::rename(&away, &data).unwrap();
    health(&bench).await.expect(StatusCode::OK);

    let post = bench.send(Request::post("/healthz").body(Body::empty()).unwrap()).await;
    post.expect(StatusCode::METHOD_NOT_ALLOWED);
    let openapi: Value = serde_json::from_slice(&bench.get("/openapi.json").await.body).unwrap();
    assert!(openapi["paths"].as_object().unwrap().keys().all(|path| path.starts_with("/api/v1/")));
}

async fn health(bench: &Bench) -> Answer {
    bench.send(Request::get("/healthz").body(Body::empty()).unwrap()).await
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}
