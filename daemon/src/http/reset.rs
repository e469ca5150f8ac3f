//! Factory reset, asked for by the owner.
//!
//! Owns what must be proven before it is noted. Must never wipe anything: the next start does, before the daemon.

use dockbeacon_core::event::What;
use dockbeacon_core::provision::reset::Extent;
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::entry;
use super::error::HttpError;
use super::state::HttpState;

/// What a factory reset is to take away, and the proof that its owner wants it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBody {
    /// The password, once more.
    pub password: String,
    /// Services and their data, too.
    #[serde(default)]
    pub data: bool,
    /// The device's own name: the second time that it is asked for, needed for the data.
    #[serde(default)]
    pub name: String,
    /// Restart the device now; else it is carried out whenever it starts next.
    #[serde(default)]
    pub now: bool,
}

/// Asks for a factory reset, which the next start of the device carries out; says what will happen.
pub(super) async fn ask(state: &HttpState, caller: &Caller, body: ResetBody) -> Result<String, HttpError> {
    let view = state.view();
    let Some(owner) = state.owner.as_ref().filter(|_| view.device.can_reset) else {
        return Err(HttpError::NotFound(
            "this machine was not set up by Dockbeacon's image, so no factory reset is carried out when it starts"
                .to_owned(),
        ));
    };
    let name = &view.status.host_name;
    if body.data && body.name.trim() != name {
        return Err(HttpError::Invalid(format!(
            "to wipe services and their data, too, enter the device's name: {name}"
        )));
    }
    let permit = entry::prove_owner(state, caller, body.password, "factory reset").await?;
    let extent = if body.data { Extent::Everything } else { Extent::Settings };
    let failed = |error| HttpError::Unavailable(format!("the reset could not be noted: {error}"));
    owner.ask_for_reset(extent).map_err(failed)?;
    drop(permit);
    state.audit(caller, format!("factory reset: asked for, {}", extent.name()));
    let message = format!("At the next start of the device {}.", extent.words());
    state.happened(What::FactoryReset { text: message.clone() });
    if !body.now {
        return Ok(message);
    }
    crate::host::ask(crate::host::Verb::Reboot).await.map_err(|why| {
        HttpError::Unavailable(format!("the device could not be restarted ({why}); its next start resets it"))
    })?;
    Ok(format!("The device restarts; {}.", extent.words()))
}

/// Asks for no reset any more.
pub(super) fn cancel(state: &HttpState, caller: &Caller) -> Result<String, HttpError> {
    if let Some(owner) = &state.owner {
        let failed = |error| HttpError::Unavailable(format!("the reset could not be taken back: {error}"));
        owner.cancel_reset().map_err(failed)?;
    }
    state.audit(caller, "factory reset: taken back".to_owned());
    let message = "No factory reset is asked for any more; everything stays as it is.".to_owned();
    state.happened(What::FactoryReset { text: message.clone() });
    Ok(message)
}
