//! In which order containers are stopped.
//!
//! Owns the reading of what needs what. Must never leave one out, whatever circles there are.

use std::collections::BTreeSet;

use super::{Container, compose};

/// The running containers, those that need others before what they need, else the newest first.
#[must_use]
pub fn stop_order(containers: &[Container]) -> Vec<&Container> {
    let mut rest: Vec<&Container> = containers.iter().filter(|c| c.is_running()).collect();
    rest.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    let mut order = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let needed: BTreeSet<&str> = rest.iter().flat_map(|c| needs(c, &rest)).collect();
        // In a circle the newest goes.
        let next = rest.iter().position(|c| !needed.contains(c.id.as_str())).unwrap_or(0);
        order.push(rest.remove(next));
    }
    order
}

/// Ids of those among `all` that this one needs.
fn needs<'a>(one: &Container, all: &[&'a Container]) -> Vec<&'a str> {
    let label = |c: &Container, key: &str| c.labels.get(key).unwrap_or_default().to_owned();
    let project = label(one, compose::PROJECT);
    let depends = label(one, compose::DEPENDS_ON);
    let services: Vec<&str> =
        depends.split(',').filter_map(|entry| entry.split(':').next()).filter(|s| !s.is_empty()).collect();
    all.iter()
        .filter(|other| other.id != one.id)
        .filter(|other| {
            let service = label(other, compose::SERVICE);
            let by_compose = !project.is_empty()
                && label(other, compose::PROJECT) == project
                && services.contains(&service.as_str());
            let by_join = one.joins.iter().any(|join| {
                join.target == other.name.as_str()
                    || (join.target.len() >= 12 && other.id.as_str().starts_with(&join.target))
            });
            by_compose || by_join
        })
        .map(|other| other.id.as_str())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::{ContainerId, ContainerName, ContainerState, ImageId, Join, JoinKind, Labels};
    use chrono::DateTime;

    fn container(name: &str, made: i64, depends: &str, join: Option<&str>) -> Container {
        Container {
            id: ContainerId::new(format!("{name}-0123456789abcdef")).unwrap(),
            name: ContainerName::new(name).unwrap(),
            image: "x".to_owned(),
            image_id: ImageId::new("sha256:1").unwrap(),
            state: ContainerState::Running,
            status: String::new(),
            health: None,
            created: DateTime::from_timestamp(made, 0),
            labels: Labels::from_iter([
                (compose::PROJECT, "p"),
                (compose::SERVICE, name),
                (compose::DEPENDS_ON, depends),
            ]),
            ports: Vec::new(),
            auto_remove: false,
            joins: join
                .map(|target| Join { kind: JoinKind::Network, target: target.to_owned() })
                .into_iter()
                .collect(),
        }
    }

    fn order(containers: &[Container]) -> Vec<String> {
        stop_order(containers).iter().map(|c| c.name.as_str().to_owned()).collect()
    }

    #[test]
    fn what_needs_others_stops_first() {
        let db = || container("db", 9, "", None);
        let web = || container("web", 1, "db:service_healthy:true", None);
        let vpn = || container("vpn", 5, "", None);
        let leech = || container("leech", 2, "", Some("vpn"));
        assert_eq!(order(&[db(), web()]), ["web", "db"]);
        assert_eq!(order(&[vpn(), leech()]), ["leech", "vpn"]);
        assert_eq!(order(&[db(), web(), vpn(), leech()]), ["leech", "vpn", "web", "db"]);
        assert_eq!(order(&[container("a", 1, "", None), container("b", 2, "", None)]), ["b", "a"]);
        let circle = [container("a", 1, "b:x:y", None), container("b", 2, "a:x:y", None)];
        assert_eq!(order(&circle), ["b", "a"]);
        let mut stopped = db();
        stopped.state = ContainerState::Exited;
        assert_eq!(order(&[stopped, web()]), ["web"]);
    }
}
