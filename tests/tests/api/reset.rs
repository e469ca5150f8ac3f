//! Factory reset: who may ask for it, and what proves that it is meant.

use std::sync::Arc;

use axum::http::Request;
use axum::http::header;
use dockbeacon::http::app;
use dockbeacon::owner::Owner;
use dockbeacon::view::DeviceView;
use dockbeacon_core::provision::reset::Extent;
use serde_json::json;

use super::bench::{Bench, PASSWORD, settings};

const PATH: &str = "/api/v1/factory-reset";

/// A device that the image's first boot has set up, and its files.
fn appliance(folder: &std::path::Path) -> (Bench, Owner) {
    let mut bench = Bench::with_loops(settings());
    let owner = Owner::new(folder.to_owned());
    bench.app = app(bench.state.clone().telling(owner.clone()));
    bench.view.send_modify(|view| {
        Arc::make_mut(view).device = DeviceView { can_reset: true, ..DeviceView::default() };
    });
    (bench, owner)
}

#[tokio::test]
async fn it_needs_the_password_and_for_the_data_the_name_too() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, owner) = appliance(folder.path());
    let cookie = bench.claim().await;
    let refused = [
        (json!({ "password": "not the password" }), 401),
        (json!({ "password": PASSWORD, "data": true }), 422),
        (json!({ "password": PASSWORD, "data": true, "name": "shelf" }), 422),
        (json!({ "data": false }), 422),
    ];
    for (body, status) in refused {
        let answer = bench.post_as(&cookie, PATH, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {answer:?}");
        assert_eq!(owner.asked_reset(), None, "{body}");
    }
    let answer = bench.post_as(&cookie, PATH, json!({ "password": PASSWORD })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text.contains("At the next start of the device"), "{answer:?}");
    assert_eq!(owner.asked_reset(), Some(Extent::Settings));
    let all = json!({ "password": PASSWORD, "data": true, "name": "cupboard" });
    assert_eq!(bench.post_as(&cookie, PATH, all).await.status, 200);
    assert_eq!(owner.asked_reset(), Some(Extent::Everything));
    let back = bench.send(Request::delete(PATH).header(header::COOKIE, &cookie), "").await;
    assert_eq!((back.status.as_u16(), owner.asked_reset()), (200, None), "{back:?}");
    let audit = bench.audit().join("\n");
    for part in ["refused, wrong password", "asked for, settings", "asked for, everything", "taken back"] {
        assert!(audit.contains(&format!("factory reset: {part}")), "{part}: {audit}");
    }
    assert!(!audit.contains(PASSWORD));
}

#[tokio::test]
async fn strangers_and_lesser_tokens_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, owner) = appliance(folder.path());
    let cookie = bench.claim().await;
    let body = json!({ "password": PASSWORD });
    assert_eq!(bench.post(PATH, body.clone()).await.status, 401);
    let token = bench.token(&cookie, "phone", "operate").await;
    assert_eq!(bench.bearer(&token, "POST", PATH, &body.to_string()).await.status, 403);
    assert_eq!(owner.asked_reset(), None);
}

#[tokio::test]
async fn the_form_does_the_same_and_leads_back() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, owner) = appliance(folder.path());
    let cookie = bench.claim().await;
    let page = bench.get_as(&cookie, "/device").await.text;
    assert!(page.contains("action=\"/actions/factory-reset\""), "{page}");
    let wrong = bench.form_as(&cookie, "factory-reset", "password=wrong&return=/device").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("location")), (303, "/device"));
    assert_eq!(owner.asked_reset(), None);
    let fields = "password=a+quiet+harbour+light&extent=everything&name=cupboard&return=/device";
    assert_eq!(bench.form_as(&cookie, "factory-reset", fields).await.status, 303);
    assert_eq!(owner.asked_reset(), Some(Extent::Everything));
    bench.view.send_modify(|view| Arc::make_mut(view).device.reset_asked = "everything".to_owned());
    let page = bench.get_as(&cookie, "/device").await.text;
    assert!(page.contains("wipes everything") && page.contains("factory-reset-cancel"), "{page}");
    assert_eq!(bench.form_as(&cookie, "factory-reset-cancel", "return=/device").await.status, 303);
    assert_eq!(owner.asked_reset(), None);
}

#[tokio::test]
async fn a_machine_that_no_image_set_up_offers_none() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, owner) = appliance(folder.path());
    bench.view.send_modify(|view| Arc::make_mut(view).device.can_reset = false);
    let cookie = bench.claim().await;
    let answer = bench.post_as(&cookie, PATH, json!({ "password": PASSWORD })).await;
    assert_eq!((answer.status.as_u16(), owner.asked_reset()), (404, None), "{answer:?}");
    assert!(!bench.get_as(&cookie, "/device").await.text.contains("factory-reset"));
}
