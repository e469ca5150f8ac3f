//! What may be looked at.
//!
//! Owns the reading routes. Must never compute anything: the snapshot holds all of it.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::error::HttpError;
use super::super::extract::{Params, Segment};
use super::super::state::HttpState;
use crate::view::{ContainerView, DeviceView, PanelView, PlanView, SettingView, Status, UpdateView};

/// Updates that are searched for one that the snapshot no longer has.
const HISTORY: usize = 1000;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// At most so many, newest first; 1000 are the most.
    pub limit: Option<usize>,
}

/// One line of the audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub who: String,
    /// From which address.
    pub from: String,
    /// What was asked for, and how it ended.
    pub what: String,
}

/// The whole device in a few words.
#[utoipa::path(get, path = "/api/v1/status", tag = "look", responses((status = 200, body = Status)))]
pub async fn status(State(state): State<HttpState>) -> Json<Status> {
    Json(state.view().status.clone())
}

/// Every container, ordered by project, then name.
#[utoipa::path(get, path = "/api/v1/containers", tag = "look", responses((status = 200, body = Vec<ContainerView>)))]
pub async fn containers(State(state): State<HttpState>) -> Json<Vec<ContainerView>> {
    Json(state.view().containers.clone())
}

/// One container.
#[utoipa::path(get, path = "/api/v1/containers/{name}", tag = "look",
    params(("name" = String, Path, description = "The container's name")),
    responses((status = 200, body = ContainerView)))]
pub(in super::super) async fn container(
    State(state): State<HttpState>,
    Segment(name): Segment,
) -> Result<Json<ContainerView>, HttpError> {
    let view = state.view();
    let found = view.containers.iter().find(|container| container.name == name);
    found.cloned().map(Json).ok_or_else(|| HttpError::NotFound(format!("there is no container {name}")))
}

/// The containers that have a newer image.
#[utoipa::path(get, path = "/api/v1/candidates", tag = "look", responses((status = 200, body = Vec<ContainerView>)))]
pub async fn candidates(State(state): State<HttpState>) -> Json<Vec<ContainerView>> {
    let view = state.view();
    Json(view.containers.iter().filter(|container| container.candidate.is_some()).cloned().collect())
}

/// What an update run would do now, and why not.
#[utoipa::path(get, path = "/api/v1/plan", tag = "look", responses((status = 200, body = PlanView)))]
pub async fn plan(State(state): State<HttpState>) -> Json<PlanView> {
    Json(state.view().plan.clone())
}

/// Updates, the running ones first, then newest first.
#[utoipa::path(get, path = "/api/v1/updates", tag = "look", params(Limit),
    responses((status = 200, body = Vec<UpdateView>)))]
pub(in super::super) async fn updates(
    State(state): State<HttpState>,
    Params(Limit { limit }): Params<Limit>,
) -> Result<Json<Vec<UpdateView>>, HttpError> {
    let mut updates = state.view().updates.clone();
    let limit = limit.unwrap_or(200).min(HISTORY);
    if limit > updates.len() {
        let older = state.records.updates(limit)?;
        updates
            .extend(older.into_iter().filter(|old| !state.view().updates.iter().any(|new| new.tx == old.tx)));
    }
    updates.truncate(limit);
    Ok(Json(updates))
}

/// One update.
#[utoipa::path(get, path = "/api/v1/updates/{tx}", tag = "look",
    params(("tx" = String, Path, description = "The transaction")),
    responses((status = 200, body = UpdateView)))]
pub(in super::super) async fn update(
    State(state): State<HttpState>,
    Segment(tx): Segment,
) -> Result<Json<UpdateView>, HttpError> {
    if let Some(found) = state.view().updates.iter().find(|update| update.tx == tx) {
        return Ok(Json(found.clone()));
    }
    let found = state.records.updates(HISTORY)?.into_iter().find(|update| update.tx == tx);
    found.map(Json).ok_or_else(|| HttpError::NotFound(format!("there is no update {tx}")))
}

/// The front panel.
#[utoipa::path(get, path = "/api/v1/panel", tag = "look", responses((status = 200, body = PanelView)))]
pub async fn panel(State(state): State<HttpState>) -> Json<PanelView> {
    Json(state.view().panel.clone())
}

/// Power, heat, card and memory of the device.
#[utoipa::path(get, path = "/api/v1/device", tag = "look", responses((status = 200, body = DeviceView)))]
pub async fn device(State(state): State<HttpState>) -> Json<DeviceView> {
    Json(state.view().device.clone())
}

/// The settings in force, and where each came from. Secrets are hidden.
#[utoipa::path(get, path = "/api/v1/settings", tag = "look", responses((status = 200, body = Vec<SettingView>)))]
pub async fn settings(State(state): State<HttpState>) -> Json<Vec<SettingView>> {
    Json(state.view().settings.clone())
}

/// Who did what, newest first. Needs the role admin.
#[utoipa::path(get, path = "/api/v1/audit", tag = "access", params(Limit),
    responses((status = 200, body = Vec<AuditView>)))]
pub(in super::super) async fn audit(
    State(state): State<HttpState>,
    Params(Limit { limit }): Params<Limit>,
) -> Result<Json<Vec<AuditView>>, HttpError> {
    let rows = state.records.audit_log(limit.unwrap_or(200).min(HISTORY))?;
    let view =
        |row: crate::ports::AuditRow| AuditView { at: row.at, who: row.who, from: row.from, what: row.what };
    Ok(Json(rows.into_iter().map(view).collect()))
}
