//! The order of a plan, its words and its fingerprint.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::{plan, steps};
use crate::model::{
    Container, ContainerId, ContainerName, ContainerState, Digest, ImageId, Inventory, Join, JoinKind,
    compose,
};
use crate::reason::Reason;
use crate::update::candidate::{Action, Finding, Target};

fn container(name: &str, labels: &[(&str, &str)]) -> Container {
    Container {
        id: ContainerId::new(name).unwrap(),
        name: ContainerName::new(name).unwrap(),
        image: "web:1".to_owned(),
        image_id: ImageId::new("sha256:1").unwrap(),
        state: ContainerState::Running,
        status: "Up".to_owned(),
        health: None,
        created: None,
        labels: labels.iter().map(|(k, v)| (*k, *v)).collect(),
        ports: Vec::new(),
        auto_remove: false,
        joins: Vec::new(),
    }
}

fn service(name: &str, needs: &str) -> Container {
    let labels = [(compose::PROJECT, "shop"), (compose::SERVICE, name), (compose::DEPENDS_ON, needs)];
    container(name, &labels)
}

fn finding(name: &str, action: Action, byte: &str) -> Finding {
    Finding {
        name: ContainerName::new(name).unwrap(),
        id: ContainerId::new(name).unwrap(),
        image: "web:1".to_owned(),
        action,
        reason: Reason::NewImage,
        target: Digest::new(format!("sha256:{}", byte.repeat(32))).ok().map(Target::Registry),
    }
}

fn order(containers: Vec<Container>) -> String {
    let findings = containers.iter().map(|c| finding(c.name.as_str(), Action::Update, "ab")).collect();
    let inventory = Inventory { containers, ..Inventory::default() };
    let plan = plan(findings, &inventory);
    plan.entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn whoever_others_depend_on_goes_first() {
    let restart = "store:service_healthy:true";
    assert_eq!(order(vec![service("app", restart), service("store", "")]), "store app");
    let both = "store:service_started:false,cache:service_started:false";
    assert_eq!(
        order(vec![
            service("app", both),
            service("cache", "store:service_started:false"),
            service("store", "")
        ]),
        "store cache app"
    );
    for label in ["com.centurylinklabs.watchtower.depends-on", "dockbeacon.depends-on"] {
        assert_eq!(
            order(vec![container("a", &[(label, "/z, y")]), container("y", &[]), container("z", &[])]),
            "y z a"
        );
    }
    let mut linked = container("a", &[]);
    linked.joins = vec![Join { kind: JoinKind::Link, target: "z".to_owned() }];
    assert_eq!(order(vec![linked, container("z", &[])]), "z a");
    // The service of that name in another project is nobody's dependency.
    let mut other = service("store", "");
    other.labels.0.insert(compose::PROJECT.to_owned(), "office".to_owned());
    assert_eq!(order(vec![service("app", restart), other]), "app store");
    assert_eq!(order(vec![container("b", &[]), container("a", &[])]), "a b");
}

#[test]
fn a_circle_ends_and_everybody_is_there_once() {
    for (a, b, c) in [("b", "c", "a"), ("a", "b", "c"), ("b", "a", "b"), ("b,c", "a,c", "a,b")] {
        let label = "dockbeacon.depends-on";
        let found = order(vec![
            container("a", &[(label, a)]),
            container("b", &[(label, b)]),
            container("c", &[(label, c)]),
        ]);
        let mut names: Vec<&str> = found.split(' ').collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c"], "{a} {b} {c}");
    }
}

#[test]
fn those_that_move_come_first_then_the_waiting_the_reported_and_the_rest() {
    let findings = vec![
        finding("a", Action::None, "ab"),
        finding("b", Action::Report, "ab"),
        finding("c", Action::Approve, "ab"),
        finding("e", Action::Update, "ab"),
        finding("d", Action::Update, "ab"),
    ];
    let plan = plan(findings, &Inventory::default());
    let names: String = plan.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, "decba");
}

#[test]
fn the_fingerprint_changes_with_what_would_move_and_with_nothing_else() {
    let print = |findings: &[(&str, Action, &str)]| {
        let findings = findings.iter().map(|(name, action, byte)| finding(name, *action, byte)).collect();
        plan(findings, &Inventory::default()).fingerprint
    };
    let base = print(&[("a", Action::Update, "ab"), ("b", Action::Approve, "cd"), ("c", Action::None, "ef")]);
    assert_eq!(
        base,
        print(&[("b", Action::Approve, "cd"), ("a", Action::Update, "ab")]),
        "order, bystanders"
    );
    assert_eq!(base.len(), 16);
    for other in [
        &[("a", Action::Update, "ab")][..],
        &[("a", Action::Update, "ab"), ("b", Action::Approve, "ef")],
        &[("a", Action::Update, "ab"), ("x", Action::Approve, "cd")],
        &[("a", Action::Update, "ab"), ("b", Action::Report, "cd")],
        &[],
    ] {
        assert_ne!(base, print(other), "{other:?}");
    }
}

#[test]
fn steps_are_told_only_where_something_would_be_done() {
    for (action, count) in [(Action::Update, 6), (Action::Approve, 6), (Action::Report, 0), (Action::None, 0)]
    {
        assert_eq!(steps(&finding("a", action, "ab"), true).len(), count, "{action:?}");
    }
    let words = |check| steps(&finding("a", Action::Update, "ab"), check).join("\n");
    assert!(words(true).contains("wait until its health check passes"));
    assert!(words(false).contains("it has no health check"));
}
