//! Claiming by a press of the button on the device: one open claim is granted, several are not, and nobody without one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::bench::{Bench, PASSWORD, settings};

/// Waits until so many claims are open.
async fn open(bench: &Bench, count: usize) {
    let seen = async {
        while bench.state.claims.count() != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("the claim opens");
}

#[tokio::test]
async fn a_press_makes_the_owner() {
    let bench = Arc::new(Bench::new(settings()));
    let refused = bench.post("/api/v1/claim", json!({ "press": true, "password": PASSWORD })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("no button"), "{}", refused.text);
    bench.state.claims.have_button();
    let weak = bench.post("/api/v1/claim", json!({ "press": true, "password": "short" })).await;
    assert_eq!(weak.code(), "invalid");
    assert_eq!(bench.state.claims.count(), 0);
    let asks = Arc::clone(&bench);
    let waits = tokio::spawn(async move {
        asks.post("/api/v1/claim", json!({ "press": true, "password": PASSWORD })).await
    });
    open(&bench, 1).await;
    assert!(bench.state.claims.press());
    let claimed = waits.await.unwrap();
    assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.text);
    assert_eq!(bench.get_as(&claimed.session(), "/api/v1/status").await.status, StatusCode::OK);
    let late = bench.post("/api/v1/claim", json!({ "press": true, "password": PASSWORD })).await;
    assert_eq!(late.code(), "claimed");
}

#[tokio::test]
async fn of_several_claims_none_is_granted_and_one_that_was_given_up_does_not_count() {
    let bench = Arc::new(Bench::new(settings()));
    bench.state.claims.have_button();
    let ask = || {
        let asks = Arc::clone(&bench);
        tokio::spawn(
            async move { asks.form_as("", "claim", &format!("way=press&password={PASSWORD}")).await },
        )
    };
    let (first, second) = (ask(), ask());
    open(&bench, 2).await;
    assert!(!bench.state.claims.press());
    for answer in [first.await.unwrap(), second.await.unwrap()] {
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.text.contains("several people"), "{}", answer.text);
    }
    let gone = ask();
    open(&bench, 1).await;
    gone.abort();
    open(&bench, 0).await;
    let owner = ask();
    open(&bench, 1).await;
    assert!(bench.state.claims.press());
    let claimed = owner.await.unwrap();
    assert_eq!((claimed.status, claimed.header("location")), (StatusCode::SEE_OTHER, "/"));
}

#[tokio::test]
async fn the_button_forgets_the_owner() {
    let bench = Bench::new(settings());
    let cookie = bench.claim().await;
    assert_eq!(bench.get_as(&cookie, "/api/v1/status").await.status, StatusCode::OK);
    let code = dockbeacon::http::forget_owner_by_button(&bench.state).await.unwrap();
    assert_ne!(bench.get_as(&cookie, "/api/v1/status").await.status, StatusCode::OK);
    let again = bench.post("/api/v1/claim", json!({ "code": code, "password": PASSWORD })).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
}
