//! The OpenAPI 3.1 document.
//!
//! Owns the list of what is documented. Must never differ from what is served: a test compares it with the file in the
//! tree, and every path in it is asked for.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::caller::SESSION_COOKIE;
use super::error::{ErrorBody, ErrorView};
use super::{api, compat, health, stream};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dockbeacon",
        description = "Looks after the containers of one Docker host. Requests that change something must come from the device's own page or from a program."
    ),
    paths(
        api::read::status, api::read::containers, api::read::container, api::read::candidates, api::read::plan,
        api::read::updates, api::read::update, api::read::panel, api::read::device,
        api::read::settings, api::read::audit, stream::events,
        api::session::session, api::session::claim, api::session::login, api::session::logout, api::session::factory_reset, api::session::cancel_factory_reset, api::tokens::list,
        api::tokens::make, api::tokens::revoke, api::change::check, api::change::approve, api::change::update,
        api::change::rollback, api::change::pause, api::change::resume, api::change::press, api::change::identify,
        compat::update, health::livez, health::readyz, health::healthz,
    ),
    components(schemas(ErrorBody, ErrorView)),
    security(("session" = []), ("token" = [])),
    modifiers(&Common)
)]
struct Document;

/// What all paths have in common: the two ways in, and the shape of errors.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = ApiKeyValue::with_description(SESSION_COOKIE, "Made by POST /api/v1/login");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Made by POST /api/v1/tokens"));
        components.add_security_scheme("token", SecurityScheme::Http(token.build()));
        for (path, item) in &mut document.paths.paths {
            if !path.starts_with("/api/") && !path.starts_with("/v1/") {
                continue;
            }
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
                let failed = ResponseBuilder::new()
                    .description(
                        "Not served, and why: 400, 401, 403, 404, 405, 409, 413, 415, 421, 422, 429, 503",
                    )
                    .content("application/json", body);
                operation.responses.responses.insert("default".to_owned(), failed.build().into());
            }
        }
    }
}

/// The document as pretty JSON with a line end; the same for the same program.
#[must_use]
pub fn openapi() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /api/openapi.json`
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi())
}
