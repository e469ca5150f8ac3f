//! The containers and settings of an ordinary household, from which every state is made.
//!
//! Owns names and versions only. Must never hold a state of its own.

use dockbeacon::view::{ContainerView, Mood, SettingView};

use super::{back, reason, version};

fn container(project: &str, name: &str, image: &str, v: &str) -> ContainerView {
    let v = version(v, 40);
    ContainerView {
        id: v.digest.trim_start_matches("sha256:").chars().rev().collect(),
        name: name.to_owned(),
        project: project.to_owned(),
        image: image.to_owned(),
        version: v,
        state: "running".to_owned(),
        health: "healthy".to_owned(),
        status: "Up 3 days (healthy)".to_owned(),
        mood: Mood::Well,
        policy: "auto".to_owned(),
        policy_origin: "the default".to_owned(),
        next: "none".to_owned(),
        reason: reason("up-to-date", "runs what the registry has"),
        created: back(12 * 86_400),
        ..ContainerView::default()
    }
}

pub(super) fn household() -> Vec<ContainerView> {
    let mut all = vec![
        container("cloud", "nextcloud", "nextcloud:31-apache", "31.0.9"),
        container("cloud", "nextcloud-db", "postgres:17", "17.6"),
        container("cloud", "nextcloud-redis", "redis:8-alpine", "8.2.1"),
        container("home", "homeassistant", "ghcr.io/home-assistant/home-assistant:stable", "2026.11.2"),
        container("home", "mosquitto", "eclipse-mosquitto:2", "2.0.22"),
        container("home", "zigbee2mqtt", "koenkk/zigbee2mqtt:2", "2.6.2"),
        container("media", "jellyfin", "jellyfin/jellyfin:10", "10.11.3"),
        container("media", "navidrome", "deluan/navidrome:latest", "0.58.0"),
        container("paper", "paperless", "ghcr.io/paperless-ngx/paperless-ngx:2", "2.18.4"),
        container("paper", "paperless-broker", "redis:8-alpine", "8.2.1"),
        container("watch", "grafana", "grafana/grafana:latest", "12.2.0"),
        container("watch", "prometheus", "prom/prometheus:v3", "3.7.1"),
        container("", "adguard", "adguard/adguardhome:latest", "0.107.67"),
        container("", "caddy", "caddy:2", "2.10.2"),
    ];
    let ports =
        [("nextcloud", 8080), ("homeassistant", 8123), ("jellyfin", 8096), ("grafana", 3000), ("caddy", 443)];
    for c in &mut all {
        c.ports = ports.iter().filter(|(n, _)| *n == c.name).map(|(_, p)| *p).collect();
        if c.name == "nextcloud-db" {
            c.policy = "approve".to_owned();
            c.policy_origin = "label dockbeacon.update".to_owned();
        }
        if c.name == "homeassistant" {
            c.policy = "monitor".to_owned();
            c.policy_origin = "label com.centurylinklabs.watchtower.monitor-only".to_owned();
            c.reason =
                reason("monitor-only", "only watched: label com.centurylinklabs.watchtower.monitor-only");
        }
        if c.name == "navidrome" {
            c.health = String::new();
            c.status = "Up 3 days".to_owned();
        }
    }
    all
}

pub(super) fn settings() -> Vec<SettingView> {
    let row = |key: &str, value: &str, origin: &str, doc: &str| SettingView {
        key: key.to_owned(),
        value: value.to_owned(),
        origin: origin.to_owned(),
        doc: doc.to_owned(),
    };
    vec![
        row("engine.host", "unix:///var/run/docker.sock", "default", "where the engine listens"),
        row("update.mode", "auto", "default", "what is done with containers that have no label of their own"),
        row("update.cleanup", "true", "config.yaml line 7", "delete old images after a commit"),
        row("update.settle", "30s", "default", "without a health check: how long a successor must stay up"),
        row("update.scope", "", "default", "only containers of this scope"),
        row(
            "schedule.cron",
            "0 0 3 * * *",
            "environment WATCHTOWER_SCHEDULE",
            "when to look for newer images",
        ),
        row(
            "schedule.time_zone",
            "Europe/Berlin",
            "config.yaml line 3",
            "the time zone of the schedule and of the page",
        ),
        row(
            "registry.password",
            "(secret)",
            "environment REPO_PASS",
            "password for registries that config.json does not know",
        ),
        row("http.listen", "127.0.0.1:3625", "default", "where the page and the API listen"),
        row("panel.driver", "auto", "default", "which driver moves the lamps"),
        row("log.level", "info", "default", "how much is logged"),
    ]
}
