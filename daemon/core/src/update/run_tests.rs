//! Every crash, on the model of the engine: one and two crashes at every act, in every way, for every kind of new image
//! and every kind of meddling.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::update::driver::{Driver, Want};
use crate::update::journal::{Act, Outcome, Record};
use crate::update::model_engine::{Meddling, ModelEngine, NewImage, image, plan};

/// How a process dies at an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// `begun` is written, nothing sent.
    BeforeSending,
    /// Sent; the engine did it; nobody read the answer.
    AnswerUnread,
    /// Sent; the engine will do it some time later.
    StillInTheEngine,
    /// Before `begun` was written.
    BeforeWriting,
    /// As `AnswerUnread`, and the machine loses power.
    PowerAfter,
    /// As `BeforeSending`, and the machine loses power.
    PowerBefore,
}

const DEATHS: [Death; 6] = [
    Death::BeforeSending,
    Death::AnswerUnread,
    Death::StillInTheEngine,
    Death::BeforeWriting,
    Death::PowerAfter,
    Death::PowerBefore,
];
/// What happens to a process that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    /// The engine dies before it has done what was asked, and comes back.
    EngineDiesBefore,
    /// The engine dies after it has done what was asked, before it could say so.
    EngineDiesAfter,
    /// The process shall stop.
    ToldToStop,
}

const RESTARTS: [&str; 3] = ["always", "unless-stopped", "no"];

struct Case {
    engine: ModelEngine,
    journal: Vec<Record>,
    restart: &'static str,
    may_roll_back: bool,
    /// From this record on the disk is full.
    full_after: usize,
}

impl Case {
    fn new(new_image: NewImage, restart: &'static str) -> Self {
        let engine = ModelEngine::new(new_image, restart);
        Self { engine, journal: Vec::new(), restart, may_roll_back: true, full_after: usize::MAX }
    }

    fn save(&mut self, records: Vec<Record>) -> Result<(), ()> {
        if self.journal.len() + records.len() > self.full_after {
            return Err(());
        }
        self.journal.extend(records);
        Ok(())
    }

    /// One process, which dies at its n-th act, if it lives that long. The end, where it is reached.
    fn process(&mut self, mut driver: Driver, death: Option<(usize, Death)>) -> Option<(Outcome, String)> {
        let mut acts = 0;
        for _ in 0..200 {
            match driver.wanted() {
                Want::Look => {
                    let world = self.engine.look(driver.tx());
                    driver.saw(world);
                }
                Want::Over(outcome, message) => {
                    let records = driver.take_unsaved();
                    let _ = self.save(records);
                    return Some((outcome, message));
                }
                Want::Do(act) => {
                    let now = death.filter(|(n, _)| *n == acts).map(|(_, d)| d);
                    if now == Some(Death::BeforeWriting) {
                        return None;
                    }
                    let records = driver.take_unsaved();
                    if self.save(records).is_err() && !driver.journal_failed(&act, "disk full") {
                        continue;
                    }
                    if let Some(death) = now {
                        self.die(&driver, &act, death);
                        return None;
                    }
                    acts += 1;
                    let answer = self.engine.perform(driver.tx(), &act);
                    driver.answered(answer);
                }
            }
        }
        let last = &self.journal[self.journal.len().saturating_sub(12)..];
        panic!("it never ends: {last:?}\n{:?}", self.engine);
    }

    /// One process that lives on while the engine dies at the n-th act, or that is told to stop there and leaves the rest to
    /// the next one.
    fn disturbed(&mut self, at: usize, how: Disturbance) -> (Outcome, String) {
        let mut driver = Driver::begin(plan(self.restart, self.may_roll_back));
        let mut acts = 0;
        loop {
            if how == Disturbance::ToldToStop && acts >= at {
                driver.interrupt("told to stop");
            }
            match driver.wanted() {
                Want::Look => {
                    let world = self.engine.look(driver.tx());
                    driver.saw(world);
                }
                Want::Over(outcome, message) => return (outcome, message),
                Want::Do(Act::Verify { .. }) if how == Disturbance::ToldToStop && acts >= at => {
                    let next = Driver::resume(&self.journal).unwrap();
                    return self.process(next, None).expect("the next process reaches the end");
                }
                Want::Do(act) => {
                    let records = driver.take_unsaved();
                    self.save(records).unwrap();
                    acts += 1;
                    if acts == at + 1 && how != Disturbance::ToldToStop {
                        if how == Disturbance::EngineDiesAfter {
                            let _ = self.engine.perform(driver.tx(), &act);
                        }
                        self.engine.boot(self.restart);
                        driver.engine_was_away();
                    } else {
                        let answer = self.engine.perform(driver.tx(), &act);
                        driver.answered(answer);
                    }
                }
            }
            assert!(acts < 100, "it never ends: {:?}", self.journal);
        }
    }

    fn die(&mut self, driver: &Driver, act: &Act, death: Death) {
        match death {
            Death::BeforeWriting | Death::BeforeSending => {}
            Death::AnswerUnread => {
                let _ = self.engine.perform(driver.tx(), act);
            }
            Death::StillInTheEngine => {
                // Only what was sent to the engine by name or id can still be in it.
                self.engine.late = Some(act.clone());
            }
            Death::PowerAfter => {
                let _ = self.engine.perform(driver.tx(), act);
                self.engine.boot(self.restart);
            }
            Death::PowerBefore => self.engine.boot(self.restart),
        }
    }

    fn run(&mut self, deaths: &[(usize, Death)]) -> (Outcome, String) {
        let mut driver = Driver::begin(plan(self.restart, self.may_roll_back));
        for death in deaths {
            if let Some(end) = self.process(driver, Some(*death)) {
                return end;
            }
            if self.journal.is_empty() {
                self.engine.land();
                driver = Driver::begin(plan(self.restart, self.may_roll_back));
            } else {
                driver = Driver::resume(&self.journal).unwrap();
            }
        }
        let end = self.process(driver, None).expect("an undisturbed process reaches the end");
        self.engine.land();
        end
    }

    /// What must hold whatever happened, with nobody meddling.
    fn check(&self, outcome: Outcome, context: &str) {
        let e = &self.engine;
        assert_eq!(e.containers.len(), 1, "exactly one is left: {context}\n{:#?}", e.containers);
        let only = e.containers.values().next().unwrap();
        assert_eq!(only.name, "web", "{context}");
        assert!(only.up, "it runs: {context}");
        assert_eq!(
            only.restart_off,
            self.restart == "no" && only.image == image("one"),
            "its policy is its own: {context}"
        );
        assert!(only.networks.contains("extra"), "its networks are there: {context}");
        assert_eq!(e.tag, only.image, "the reference leads to what runs: {context}");
        assert!(!e.was_lost, "at no moment was there nothing: {context}");
        match outcome {
            Outcome::Updated => assert_eq!(only.image, image("two"), "{context}"),
            Outcome::Failed | Outcome::RolledBack | Outcome::Unchanged => {
                assert_eq!(only.image, image("one"), "{context}")
            }
            Outcome::Lost | Outcome::StoodBack => panic!("{outcome:?}: {context}"),
        }
    }
}

fn expected(new_image: NewImage) -> &'static [Outcome] {
    match new_image {
        NewImage::Good => &[Outcome::Updated],
        NewImage::NeverHealthy | NewImage::DoesNotStart => &[Outcome::RolledBack],
        NewImage::CannotBeCreated | NewImage::CannotBePulled => &[Outcome::Failed],
        NewImage::SameAsOld => &[Outcome::Unchanged],
    }
}

const IMAGES: [NewImage; 6] = [
    NewImage::Good,
    NewImage::NeverHealthy,
    NewImage::DoesNotStart,
    NewImage::CannotBeCreated,
    NewImage::CannotBePulled,
    NewImage::SameAsOld,
];

#[test]
fn undisturbed_runs_end_as_they_should() {
    for restart in RESTARTS {
        for new_image in IMAGES {
            let mut case = Case::new(new_image, restart);
            let (outcome, message) = case.run(&[]);
            assert!(expected(new_image).contains(&outcome), "{new_image:?}: {outcome:?} {message}");
            case.check(outcome, &format!("{new_image:?} {restart}"));
        }
    }
}

/// All deaths that can happen to a run of so many acts.
fn deaths() -> impl Iterator<Item = (usize, Death)> + Clone {
    (0..24).flat_map(|n| DEATHS.into_iter().map(move |d| (n, d)))
}

#[test]
fn one_crash_anywhere_loses_nothing() {
    for restart in RESTARTS {
        for new_image in IMAGES {
            for death in deaths() {
                let mut case = Case::new(new_image, restart);
                let (outcome, message) = case.run(&[death]);
                let context =
                    format!("{new_image:?} {restart} {death:?}: {outcome:?} {message}\n{:?}", case.journal);
                case.check(outcome, &context);
                assert!(expected(new_image).contains(&outcome), "{context}");
            }
        }
    }
}

#[test]
fn an_engine_that_dies_in_the_middle_loses_nothing_and_is_no_fault_of_the_image() {
    for restart in RESTARTS {
        for new_image in IMAGES {
            for at in 0..24 {
                for how in [Disturbance::EngineDiesBefore, Disturbance::EngineDiesAfter] {
                    let mut case = Case::new(new_image, restart);
                    let (outcome, message) = case.disturbed(at, how);
                    let context = format!("{new_image:?} {restart} {at} {how:?}: {outcome:?} {message}");
                    case.check(outcome, &context);
                    assert!(expected(new_image).contains(&outcome), "{context}");
                }
            }
        }
    }
}

#[test]
fn told_to_stop_it_gives_up_what_was_not_touched_and_the_next_one_ends_the_rest() {
    for restart in RESTARTS {
        for new_image in IMAGES {
            for at in 0..24 {
                let mut case = Case::new(new_image, restart);
                let (outcome, message) = case.disturbed(at, Disturbance::ToldToStop);
                let context = format!("{new_image:?} {restart} {at}: {outcome:?} {message}");
                case.check(outcome, &context);
                assert!(outcome == Outcome::Failed || expected(new_image).contains(&outcome), "{context}");
            }
        }
    }
}

#[test]
fn a_crash_during_the_recovery_loses_nothing() {
    for restart in RESTARTS {
        for new_image in [NewImage::Good, NewImage::NeverHealthy, NewImage::DoesNotStart] {
            for first in deaths() {
                for second in deaths() {
                    let mut case = Case::new(new_image, restart);
                    let (outcome, message) = case.run(&[first, second]);
                    case.check(
                        outcome,
                        &format!("{new_image:?} {restart} {first:?} {second:?}: {outcome:?} {message}"),
                    );
                }
            }
        }
    }
}

#[test]
fn an_update_that_keeps_killing_us_is_given_up() {
    let at_verify = (9, Death::AnswerUnread);
    let mut case = Case::new(NewImage::Good, "always");
    let (outcome, message) = case.run(&[at_verify, (0, Death::AnswerUnread), (0, Death::AnswerUnread)]);
    assert_eq!(outcome, Outcome::RolledBack, "{message}");
    assert!(message.contains("interrupted 3 times"), "{message}");
    case.check(outcome, &message);
}

#[test]
fn a_full_disk_never_keeps_a_container_down() {
    for new_image in [NewImage::Good, NewImage::NeverHealthy] {
        for full_after in 0..40 {
            for death in [
                None,
                Some((3, Death::AnswerUnread)),
                Some((6, Death::AnswerUnread)),
                Some((8, Death::BeforeSending)),
            ] {
                let mut case = Case::new(new_image, "always");
                case.full_after = full_after;
                let (outcome, message) = case.run(death.as_slice());
                case.check(
                    outcome,
                    &format!("{new_image:?} full after {full_after} {death:?}: {outcome:?} {message}"),
                );
            }
        }
    }
}

#[test]
fn somebody_elses_hands_are_respected() {
    for meddling in [Meddling::RemovesOld, Meddling::RemovesNew, Meddling::ComposeUp, Meddling::TakesFreeName]
    {
        for new_image in [NewImage::Good, NewImage::NeverHealthy] {
            for when in 0..16 {
                let mut case = Case::new(new_image, "always");
                case.engine.meddling = Some((when, meddling));
                let (outcome, message) = case.run(&[]);
                let context = format!(
                    "{meddling:?} {when} {new_image:?}: {outcome:?} {message}\n{:#?}",
                    case.engine.containers
                );
                let holders = case.engine.containers.values().filter(|c| c.name == "web").count();
                match (&case.engine.foreign, outcome) {
                    (Some(_), Outcome::StoodBack) => {
                        assert!(case.engine.containers.contains_key("foreign"), "{context}");
                        let kept = usize::from(meddling == Meddling::TakesFreeName);
                        assert!(
                            case.engine.containers.len() <= 1 + kept,
                            "nothing of ours is in the way: {context}"
                        );
                    }
                    // Whoever came after the end, or before it began, met a finished service.
                    (Some(_), _) => assert_eq!(holders, 1, "{context}"),
                    // Removed in the instant after it was found well and before the old one went: somebody's own doing.
                    (None, Outcome::Updated) if meddling == Meddling::RemovesNew => {
                        assert!(holders <= 1, "{context}")
                    }
                    (None, Outcome::StoodBack) => assert_eq!(case.engine.containers.len(), 0, "{context}"),
                    (None, _) => {
                        assert_eq!(case.engine.containers.len(), 1, "{context}");
                        assert_eq!(holders, 1, "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn meddling_and_a_crash_end_with_one_container_under_the_name() {
    for meddling in [Meddling::RemovesOld, Meddling::RemovesNew, Meddling::ComposeUp] {
        for when in 0..14 {
            for death in deaths() {
                let mut case = Case::new(NewImage::Good, "always");
                case.engine.meddling = Some((when, meddling));
                let (outcome, message) = case.run(&[death]);
                let holders = case.engine.containers.values().filter(|c| c.name == "web").count();
                let context = format!(
                    "{meddling:?} {when} {death:?}: {outcome:?} {message}\n{:#?}",
                    case.engine.containers
                );
                if meddling == Meddling::RemovesOld && outcome == Outcome::StoodBack {
                    assert_eq!(holders, 0, "{context}");
                } else if meddling == Meddling::RemovesNew && outcome == Outcome::Updated {
                    assert!(holders <= 1, "{context}");
                } else {
                    assert_eq!(holders, 1, "{context}");
                }
            }
        }
    }
}

#[test]
fn where_going_back_is_forbidden_the_new_one_stays_and_it_is_said() {
    let mut case = Case::new(NewImage::NeverHealthy, "always");
    case.may_roll_back = false;
    let (outcome, message) = case.run(&[]);
    assert_eq!(outcome, Outcome::Lost);
    assert!(message.contains("forbids going back"), "{message}");
    assert_eq!(case.engine.containers.len(), 1);
    assert!(case.engine.containers.values().all(|c| c.name == "web" && c.image == image("two")));
}

use proptest::prelude::*;

fn any_container() -> impl Strategy<Value = Option<(u8, bool, bool)>> {
    prop::option::of((0..3u8, any::<bool>(), any::<bool>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Any prefix of a journal meets any state that the engine can be found in: the recovery ends, and one container runs
    /// under the name (or somebody else's holds it).
    #[test]
    fn recovery_is_total(
        prefix in 1..40usize,
        image_kind in 0..IMAGES.len(),
        old in any_container(),
        new in any_container(),
        foreign in prop::option::of(any::<bool>()),
        tag_moved in any::<bool>(),
    ) {
        let mut whole = Case::new(IMAGES[image_kind], "always");
        let _ = whole.run(&[]);
        let mut case = Case::new(IMAGES[image_kind], "always");
        // The end of a journal is written when all is done: nothing is left to recover then.
        whole.journal.retain(|r| !matches!(r, Record::Ended { .. }));
        case.journal = whole.journal[..prefix.min(whole.journal.len())].to_vec();
        let plan = plan("always", true);
        case.engine.containers.clear();
        let marked = crate::update::names::successor(&plan.name, &plan.tx);
        let parked = crate::update::names::parked(&plan.name, &plan.tx);
        let mut taken = false;
        for (id, found, of, names) in [
            ("old", old, "one", ["web", &parked, "elsewhere"]),
            ("made1", new, "two", ["web", &marked, &marked]),
        ] {
            if let Some((name, up, restart_off)) = found
                && !(name == 0 && std::mem::replace(&mut taken, true))
            {
                case.engine.put(id, names[usize::from(name)], up, restart_off, &image(of));
            }
        }
        if let Some(up) = foreign
            && !taken
        {
            case.engine.put("foreign", "web", up, false, &image("one"));
            case.engine.foreign = Some("foreign".to_owned());
        }
        if tag_moved {
            case.engine.tag = image("two");
        }
        let driver = Driver::resume(&case.journal).unwrap();
        let (outcome, message) = case.process(driver, None).expect("it ends");
        let holders: Vec<_> = case.engine.containers.values().filter(|c| c.name == "web").collect();
        prop_assert_eq!(holders.len(), 1, "{:?} {} {:#?}", outcome, message, case.engine.containers);
        // A container that the journal knows nothing of is somebody else's, whatever it is called.
        if outcome != Outcome::StoodBack {
            prop_assert!(holders[0].up, "{:?} {} {:#?}", outcome, message, case.engine.containers);
        }
    }
}
