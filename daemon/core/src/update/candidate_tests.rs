//! Every reason that a container moves or stays, one row each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use super::{Action, Finding, Known, Remote, Target, finding, has_digest, wanted};
use crate::model::{
    Container, ContainerId, ContainerName, ContainerState, Digest, Image, ImageId, ImageRef, Inventory, Join,
    JoinKind, Labels,
};
use crate::reason::Reason;
use crate::settings::{Input, Mode, UpdateSettings, resolve};
use crate::update::policy::policy;

fn digest(byte: &str) -> Digest {
    Digest::new(format!("sha256:{}", byte.repeat(32))).unwrap()
}

fn container(name: &str) -> Container {
    Container {
        id: ContainerId::new(format!("{name}0123456789ab")).unwrap(),
        name: ContainerName::new(name).unwrap(),
        image: "reg.test/web:1".to_owned(),
        image_id: ImageId::new("sha256:old").unwrap(),
        state: ContainerState::Running,
        status: "Up".to_owned(),
        health: None,
        created: None,
        labels: Labels::default(),
        ports: Vec::new(),
        auto_remove: false,
        joins: Vec::new(),
    }
}

fn image(id: &str, tags: &[&str], digests: &[String]) -> Image {
    Image {
        id: ImageId::new(id).unwrap(),
        tags: tags.iter().map(|t| (*t).to_owned()).collect(),
        digests: digests.to_vec(),
        size: 1,
        created: None,
        labels: Labels::default(),
    }
}

/// A world in which `web` runs an older image than the registry has; each test turns one thing.
struct Case {
    web: Container,
    others: Vec<Container>,
    images: Vec<Image>,
    remote: Option<Remote>,
    known: Known,
    settings: UpdateSettings,
}

impl Case {
    fn new() -> Self {
        let input =
            Input { files: Vec::new(), env: BTreeMap::new(), arguments: Vec::new(), read_file: &|_| None };
        Self {
            web: container("web"),
            others: Vec::new(),
            images: vec![image(
                "sha256:old",
                &["reg.test/web:1"],
                &[format!("reg.test/web@{}", digest("aa"))],
            )],
            remote: Some(Remote::Digest(digest("bb"))),
            known: Known::default(),
            settings: resolve(&input).unwrap().settings.update,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::new();
        change(&mut case);
        case
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        self.web.labels.0.insert(name.to_owned(), value.to_owned());
        self
    }

    fn inventory(&self) -> Inventory {
        let mut containers = self.others.clone();
        containers.push(self.web.clone());
        Inventory { containers, images: self.images.clone(), ..Inventory::default() }
    }

    fn finding(&self) -> Finding {
        let reference = ImageRef::parse(&self.web.image);
        let remote = reference.ok().into_iter().zip(self.remote.clone()).collect();
        finding(&self.web, &policy(&self.settings, &self.web), &self.inventory(), &remote, &self.known)
    }

    #[track_caller]
    fn gives(self, action: Action, code: &str) -> Finding {
        let finding = self.finding();
        assert_eq!((finding.action, finding.reason.code().as_str()), (action, code), "{}", finding.reason);
        finding
    }
}

fn key() -> (String, String) {
    ("web".to_owned(), digest("bb").as_str().to_owned())
}

#[test]
fn what_the_registry_says_decides_whether_there_is_anything() {
    let found = Case::new().gives(Action::Update, "new-image");
    assert_eq!(found.target, Some(Target::Registry(digest("bb"))));
    Case::with(|c| c.remote = Some(Remote::Digest(digest("aa")))).gives(Action::None, "up-to-date");
    Case::with(|c| c.remote = Some(Remote::Failed("no route".to_owned())))
        .gives(Action::None, "check-failed");
    Case::with(|c| c.remote = Some(Remote::RateLimited("2026-01-01T00:00:00Z".to_owned())))
        .gives(Action::None, "rate-limited");
    Case::with(|c| c.remote = None).gives(Action::None, "check-failed");
}

#[test]
fn an_image_that_is_known_by_its_digest_is_current_in_either_store() {
    let reference = ImageRef::parse("reg.test/web:1").unwrap();
    let own = image("sha256:old", &[], &[format!("reg.test/web@{}", digest("bb"))]);
    assert!(has_digest(&own, &reference, &digest("bb")));
    let elsewhere = image("sha256:old", &[], &[format!("reg.test/other@{}", digest("bb"))]);
    assert!(!has_digest(&elsewhere, &reference, &digest("bb")));
    // containerd's store shows one repository of several, and its ids are the registry's digests.
    let several = image(digest("bb").as_str(), &[], &[format!("reg.test/other@{}", digest("bb"))]);
    assert!(has_digest(&several, &reference, &digest("bb")));
    // Docker Hub's names come in several forms.
    let hub = image("sha256:old", &[], &[format!("nginx@{}", digest("bb"))]);
    assert!(has_digest(&hub, &ImageRef::parse("docker.io/library/nginx:1").unwrap(), &digest("bb")));
}

#[test]
fn what_a_container_is_decides_whether_it_can_move_at_all() {
    Case::with(|c| c.web = container("web.dockbeacon-00ab12cd.new")).gives(Action::None, "part-of-update");
    Case::new().label("com.docker.swarm.task.id", "x").gives(Action::None, "swarm-task");
    for state in [
        ContainerState::Created,
        ContainerState::Paused,
        ContainerState::Restarting,
        ContainerState::Removing,
        ContainerState::Exited,
        ContainerState::Dead,
    ] {
        let found = Case::with(|c| c.web.state = state).gives(Action::None, "not-running");
        assert_eq!(found.reason, Reason::NotRunning { state: state.word().to_owned() });
    }
    Case::with(|c| c.web.image = format!("reg.test/web@{}", digest("aa"))).gives(Action::None, "pinned");
    Case::with(|c| c.web.image = format!("reg.test/web:1@{}", digest("aa"))).gives(Action::None, "pinned");
    Case::with(|c| c.web.image = digest("aa").as_str().to_owned()).gives(Action::None, "no-reference");
}

#[test]
fn what_would_cut_somebody_off_is_only_reported() {
    let join = |kind, target: &str| Join { kind, target: target.to_owned() };
    let found = Case::with(|c| c.web.auto_remove = true).gives(Action::Report, "auto-remove");
    assert_eq!(found.target, Some(Target::Registry(digest("bb"))), "it is told what there would be");
    for kind in [JoinKind::Network, JoinKind::Ipc, JoinKind::Pid, JoinKind::Link, JoinKind::Volumes] {
        for target in ["web", "web0123456789ab", "web012345678"] {
            let mut user = container("user");
            user.joins = vec![join(kind, target)];
            let found = Case::with(|c| c.others = vec![user]).gives(Action::Report, "used-by-others");
            assert!(found.reason.to_string().starts_with("user "), "{}", found.reason);
        }
    }
    let gone = |c: &mut Case| c.web.joins = vec![join(JoinKind::Network, "gone")];
    Case::with(gone).gives(Action::Report, "dangling-join");
    Case::with(|c| {
        gone(c);
        c.others = vec![container("gone")];
    })
    .gives(Action::Update, "new-image");
    // Somebody who asks by name does not change that.
    Case::with(|c| {
        c.web.auto_remove = true;
        c.known.requested.insert("web".to_owned());
    })
    .gives(Action::Report, "auto-remove");
}

#[test]
fn mode_approval_pause_and_request() {
    let mode = |mode: Mode| move |c: &mut Case| c.settings.mode = mode;
    Case::with(mode(Mode::Approve)).gives(Action::Approve, "needs-approval");
    Case::with(mode(Mode::Monitor)).gives(Action::Report, "monitor-only");
    Case::with(mode(Mode::Off)).gives(Action::None, "excluded");
    Case::new().label("dockbeacon.update", "approve").gives(Action::Approve, "needs-approval");
    Case::new().label("dockbeacon.enable", "false").gives(Action::None, "excluded");

    let approved = |c: &mut Case| {
        c.known.approved.insert(key(), "button".to_owned());
    };
    let found = Case::with(|c| {
        mode(Mode::Approve)(c);
        approved(c);
    })
    .gives(Action::Update, "approved");
    assert_eq!(found.reason, Reason::Approved { by: "button".to_owned() });
    // An approval is for one digest.
    Case::with(|c| {
        mode(Mode::Approve)(c);
        approved(c);
        c.remote = Some(Remote::Digest(digest("cc")));
    })
    .gives(Action::Approve, "needs-approval");

    let paused = |c: &mut Case| c.known.paused_until = Some("2026-01-01T00:00:00Z".to_owned());
    Case::with(paused).gives(Action::Report, "paused");
    Case::with(|c| {
        paused(c);
        approved(c);
    })
    .gives(Action::Update, "approved");
    let requested = |c: &mut Case| {
        c.known.requested.insert("web".to_owned());
    };
    Case::with(|c| {
        paused(c);
        requested(c);
    })
    .gives(Action::Update, "requested");
    Case::with(|c| {
        mode(Mode::Monitor)(c);
        requested(c);
    })
    .gives(Action::Report, "monitor-only");
}

#[test]
fn a_digest_that_was_put_back_is_tried_again_only_when_asked_for_or_replaced() {
    let bad = |c: &mut Case| {
        c.known.bad.insert(key(), "it exited".to_owned());
    };
    let found = Case::with(bad).gives(Action::None, "bad-digest");
    assert_eq!(found.reason.to_string(), "bbbbbbbbbbbb was tried: it exited");
    Case::with(|c| {
        bad(c);
        c.remote = Some(Remote::Digest(digest("cc")));
    })
    .gives(Action::Update, "new-image");
    Case::with(|c| {
        bad(c);
        c.known.requested.insert("web".to_owned());
    })
    .gives(Action::Update, "requested");
    // Another container may do well with it.
    Case::with(|c| {
        c.known.bad.insert(("other".to_owned(), key().1), String::new());
    })
    .gives(Action::Update, "new-image");
    // An update that is not over goes before everything.
    Case::with(|c| {
        bad(c);
        c.known.requested.insert("web".to_owned());
        c.known.unfinished.insert("web".to_owned());
    })
    .gives(Action::None, "unfinished");
}

#[test]
fn images_of_this_machine_count_where_no_registry_is_asked() {
    let moved = |c: &mut Case| {
        c.images[0].tags.clear();
        c.images.push(image("sha256:new", &["reg.test/web:1"], &[]));
    };
    Case::with(|c| c.settings.no_pull = true).gives(Action::None, "no-pull");
    let found = Case::with(|c| {
        c.settings.no_pull = true;
        moved(c);
    })
    .gives(Action::Update, "new-image-local");
    assert_eq!(found.target, Some(Target::Local(ImageId::new("sha256:new").unwrap())));
    let local = |c: &mut Case| c.images[0].digests.clear();
    Case::with(local).gives(Action::None, "local-image");
    Case::with(|c| {
        local(c);
        moved(c);
    })
    .gives(Action::Update, "new-image-local");
}

#[test]
fn registries_are_asked_only_about_what_could_move_and_each_image_once() {
    let asked = |case: &Case| {
        let inventory = case.inventory();
        let policies: Vec<_> =
            inventory.containers.iter().map(|c| (c.clone(), policy(&case.settings, c))).collect();
        let found = wanted(&inventory, policies.iter().map(|(c, p)| (c, p)));
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(asked(&Case::with(|c| c.others = vec![container("same")])), ["reg.test/web:1"]);
    let nothing: [(&str, Case); 6] = [
        ("stopped", Case::with(|c| c.web.state = ContainerState::Exited)),
        ("off", Case::new().label("dockbeacon.update", "off")),
        ("no-pull", Case::with(|c| c.settings.no_pull = true)),
        ("local", Case::with(|c| c.images[0].digests.clear())),
        ("pinned", Case::with(|c| c.web.image = format!("reg.test/web@{}", digest("aa")))),
        ("ours", Case::with(|c| c.web = container("web.dockbeacon-00ab12cd.old"))),
    ];
    for (why, case) in nothing {
        assert!(asked(&case).is_empty(), "{why}");
    }
}
