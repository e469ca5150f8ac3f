//! What Dockbeacon does to containers and images, and the two inspects.
//!
//! Owns paths, time limits and what each status means for each act. Must never force a removal of an image, and never
//! repeat an act: whoever gets an error looks before acting again.

use std::time::Duration;

use dockbeacon_core::model::ContainerId;
use hyper::Method;
use serde_json::{Value, json};

use super::raw::{Call, encode};
use super::{ASK, Engine, EngineError};

/// Patience for an act that copies or deletes files.
const WORK: Duration = Duration::from_secs(300);

impl Engine {
    /// The whole definition and state of a container, every field as the engine gave it; `None` when there is none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn inspect_container(&self, id: &str) -> Result<Option<Value>, EngineError> {
        self.inspect(format!("/containers/{}/json", encode(id)), &format!("inspecting {id}")).await
    }

    /// The whole description of an image by id or reference; `None` when there is none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn inspect_image(&self, image: &str) -> Result<Option<Value>, EngineError> {
        self.inspect(format!("/images/{}/json", encode(image)), &format!("inspecting {image}")).await
    }

    async fn inspect(&self, path: String, what: &str) -> Result<Option<Value>, EngineError> {
        match self.get(path, what).await {
            Ok(answer) => answer.json(what).map(Some),
            Err(EngineError::NotFound(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Creates a container from a raw body: the `Config` fields, `HostConfig` and `NetworkingConfig`.
    ///
    /// # Errors
    /// `Conflict` when the name is taken, `NotFound` when the image or a volume's donor is not there, `Refused` when the
    /// definition is.
    pub async fn create(&self, name: &str, body: &Value) -> Result<ContainerId, EngineError> {
        let what = format!("creating {name}");
        let path = format!("/containers/create?name={}", encode(name));
        let answer =
            self.call(Call::change(Method::POST, "create", path, what.clone(), WORK).with(body)).await?;
        let value: Value = answer.json(&what)?;
        let id = value.get("Id").and_then(Value::as_str).unwrap_or_default();
        ContainerId::new(id).map_err(|e| EngineError::Garbled { what, why: e.to_string() })
    }

    /// Connects a container to a network with this `EndpointConfig`.
    ///
    /// # Errors
    /// `NotFound` when either is not there, `Refused` (or `Conflict`) when it is connected already or the address is taken.
    pub async fn connect_network(
        &self,
        network: &str,
        container: &str,
        endpoint: &Value,
    ) -> Result<(), EngineError> {
        let body = json!({ "Container": container, "EndpointConfig": endpoint });
        let path = format!("/networks/{}/connect", encode(network));
        let what = format!("connecting {container} to {network}");
        self.call(Call::change(Method::POST, "connect", path, what, ASK).with(&body)).await.map(|_| ())
    }

    /// Stops a container with its own signal. `wait` is the time before it is killed; without it, its own applies. Our
    /// patience is that plus 60 seconds. A container that does not run is fine.
    ///
    /// # Errors
    /// `NotFound`, `TimedOut` (the engine goes on trying by itself).
    pub async fn stop(
        &self,
        id: &str,
        wait: Option<Duration>,
        signal: Option<&str>,
    ) -> Result<(), EngineError> {
        let (mut query, grace) = match wait {
            Some(wait) => (format!("?t={}", wait.as_secs()), wait),
            None => (String::new(), self.own_stop_timeout(id).await?),
        };
        if let Some(signal) = signal {
            if self.inner.takes_stop_signal() {
                let joint = if query.is_empty() { '?' } else { '&' };
                query = format!("{query}{joint}signal={}", encode(signal));
            } else {
                return self.stop_by_signal(id, signal, grace).await;
            }
        }
        let path = format!("/containers/{}/stop{query}", encode(id));
        let patience = grace.saturating_add(Duration::from_secs(60));
        self.call(Call::change(Method::POST, "stop", path, format!("stopping {id}"), patience))
            .await
            .map(|_| ())
    }

    /// An engine before API 1.42 takes no signal with a stop: it is sent first, and the stop comes when its time is over.
    async fn stop_by_signal(&self, id: &str, signal: &str, grace: Duration) -> Result<(), EngineError> {
        let path = format!("/containers/{}/kill?signal={}", encode(id), encode(signal));
        match self
            .call(Call::change(Method::POST, "kill", path, format!("sending {signal} to {id}"), ASK))
            .await
        {
            // It does not run, so there is nothing to signal.
            Ok(_) | Err(EngineError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        let path = format!("/containers/{}/wait?condition=not-running", encode(id));
        let what = format!("waiting until {id} has stopped");
        match tokio::time::timeout(grace, self.call(Call::get(path, what.clone(), grace).by(Method::POST)))
            .await
        {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(EngineError::TimedOut { .. })) | Err(_) => {
                let path = format!("/containers/{}/stop?t=0", encode(id));
                let patience = Duration::from_secs(60);
                self.call(Call::change(Method::POST, "stop", path, format!("stopping {id}"), patience))
                    .await
                    .map(|_| ())
            }
            Ok(Err(error)) => Err(error),
        }
    }

    /// The container's own stop timeout, or the engine's default; a negative one means for ever, taken as an hour.
    async fn own_stop_timeout(&self, id: &str) -> Result<Duration, EngineError> {
        let inspect = self.inspect_container(id).await?;
        let seconds = inspect.as_ref().and_then(|v| v.pointer("/Config/StopTimeout")).and_then(Value::as_i64);
        Ok(Duration::from_secs(u64::try_from(seconds.unwrap_or(10)).unwrap_or(3600)))
    }

    /// Sets the restart policy, `{"Name": "always", "MaximumRetryCount": 0}`.
    ///
    /// # Errors
    /// `NotFound`, `Refused`.
    pub async fn set_restart_policy(&self, id: &str, policy: &Value) -> Result<(), EngineError> {
        let body = json!({ "RestartPolicy": policy });
        let path = format!("/containers/{}/update", encode(id));
        let what = format!("setting the restart policy of {id}");
        self.call(Call::change(Method::POST, "update", path, what, ASK).with(&body)).await.map(|_| ())
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when the name is taken.
    pub async fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{}/rename?name={}", encode(id), encode(name));
        let what = format!("renaming {id} to {name}");
        self.call(Call::change(Method::POST, "rename", path, what, ASK)).await.map(|_| ())
    }

    /// Starts a container; one that runs already is fine.
    ///
    /// # Errors
    /// `NotFound`, `Refused` with the engine's words (a port that is taken, a mount that is not there).
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{}/start", encode(id));
        self.call(Call::change(Method::POST, "start", path, format!("starting {id}"), WORK)).await.map(|_| ())
    }

    /// Removes a container, with `volumes` its anonymous volumes too. A removal that is under way already is fine: wait
    /// for it with [`Engine::wait_gone`].
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when it runs and `force` is not given.
    pub async fn remove(&self, id: &str, force: bool, volumes: bool) -> Result<(), EngineError> {
        let path = format!("/containers/{}?force={force}&v={volumes}", encode(id));
        match self.call(Call::change(Method::DELETE, "remove", path, format!("removing {id}"), WORK)).await {
            Err(EngineError::Conflict(words)) if words.contains("is already in progress") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Waits until a container is gone, name and all.
    ///
    /// # Errors
    /// `TimedOut` when it is still there after `patience`.
    pub async fn wait_gone(&self, id: &str, patience: Duration) -> Result<(), EngineError> {
        let what = format!("waiting until {id} is gone");
        let late = || EngineError::TimedOut { what: what.clone() };
        let path = format!("/containers/{}/wait?condition=removed", encode(id));
        let mut call = Call::get(path, what.clone(), patience);
        call.method = Method::POST;
        match self.call(call).await {
            Ok(_) | Err(EngineError::NotFound(_)) => {}
            Err(other) => return Err(other),
        }
        if self.inspect_container(id).await?.is_some() { Err(late()) } else { Ok(()) }
    }

    /// Gives an image (by id) the name `repo:tag`, taking it from any other image.
    ///
    /// # Errors
    /// `NotFound` when there is no such image.
    pub async fn tag(&self, image: &str, repo: &str, tag: &str) -> Result<(), EngineError> {
        let path = format!("/images/{}/tag?repo={}&tag={}", encode(image), encode(repo), encode(tag));
        let what = format!("giving {image} the name {repo}:{tag}");
        self.call(Call::change(Method::POST, "tag", path, what, ASK)).await.map(|_| ())
    }

    /// Takes a name from an image; the image goes too when it was the last one and nothing uses it. Never forced.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when a container uses it.
    pub async fn untag(&self, reference: &str) -> Result<(), EngineError> {
        let path = format!("/images/{}", encode(reference));
        let what = format!("removing the image {reference}");
        self.call(Call::change(Method::DELETE, "untag", path, what, WORK)).await.map(|_| ())
    }
}
