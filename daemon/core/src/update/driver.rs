//! The course of one transaction without any doing: what to look at, what to write down, what to do, in which order.
//!
//! Owns the rule that nothing is done before it is written down, and what happens when it cannot be. Both the daemon and
//! the model tests drive it, so what is tested is what runs. Must never act.

use super::journal::{Act, Answer, Direction, Outcome, Record, Tx, TxPlan};
use super::run::{self, Step, World};

/// What the shell does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Look at the engine and call `saw`.
    Look,
    /// Save `unsaved` (and call `journal_failed` where that fails), do this, and call `answered`.
    Do(Act),
    /// Save `unsaved`; it is over.
    Over(Outcome, String),
}

/// One transaction under way.
#[derive(Debug, Clone)]
pub struct Driver {
    tx: Tx,
    world: Option<World>,
    repeat: Option<Act>,
    unsaved: Vec<Record>,
}

impl Driver {
    /// A transaction that begins.
    #[must_use]
    pub fn begin(plan: TxPlan) -> Self {
        let unsaved = vec![Record::Planned(Box::new(plan.clone()))];
        Self { tx: Tx::new(plan), world: None, repeat: None, unsaved }
    }

    /// A transaction that another process left behind. `None` when the journal does not begin with a plan.
    #[must_use]
    pub fn resume(records: &[Record]) -> Option<Self> {
        let tx = Tx::fold(records)?;
        let mut driver = Self { tx, world: None, repeat: None, unsaved: Vec::new() };
        if driver.tx.ended.is_none() {
            driver.take_over();
        }
        Some(driver)
    }

    /// What stands.
    #[must_use]
    pub const fn tx(&self) -> &Tx {
        &self.tx
    }

    /// The records to be saved before what `wanted` names is done.
    pub fn take_unsaved(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.unsaved)
    }

    /// What comes next.
    pub fn wanted(&mut self) -> Want {
        loop {
            if let Some((outcome, message)) = &self.tx.ended {
                return Want::Over(*outcome, message.clone());
            }
            if let Some(act) = self.repeat.take() {
                self.record(Record::Begun { act: act.clone() });
                return Want::Do(act);
            }
            let Some(world) = &self.world else { return Want::Look };
            match run::decide(&self.tx, world) {
                Step::Act(act) => {
                    self.record(Record::Begun { act: act.clone() });
                    return Want::Do(act);
                }
                Step::Turn(to, why) => {
                    self.record(Record::Turned { to, why });
                    self.world = None;
                }
                Step::End(outcome, message) => self.record(Record::Ended { outcome, message }),
            }
        }
    }

    /// What was seen.
    pub fn saw(&mut self, world: World) {
        self.world = Some(world);
    }

    /// What came of the act.
    pub fn answered(&mut self, answer: Answer) {
        let act = self.tx.pending.clone();
        let well = matches!(answer, Answer::Done);
        self.record(Record::Finished { answer });
        match (act, &mut self.world) {
            (Some(act), Some(world)) if well && !run::look_again_after(&act) => world.follow(&act),
            _ => self.world = None,
        }
    }

    /// The journal could not be written. True: do the act all the same, because something may be down and bringing it back
    /// needs no journal. False: do not; ask `wanted` again.
    #[must_use]
    pub fn journal_failed(&mut self, act: &Act, why: &str) -> bool {
        let first_stop = matches!(act, Act::Stop { id } if *id == self.tx.plan.old)
            && self.tx.direction == Direction::Forward;
        let in_need = self.tx.touched && !first_stop;
        if in_need && (self.tx.direction != Direction::Forward || self.tx.verified) {
            return true;
        }
        if self.tx.direction != Direction::Forward {
            // Nothing was touched: cleaning up may go on, it is the same work whenever it is done.
            return true;
        }
        self.record(Record::Finished { answer: Answer::Failed { why: why.to_owned() } });
        if first_stop && !self.stop_was_tried() {
            self.tx.touched = false;
        }
        self.record(Record::Turned { to: Direction::Back, why: why.to_owned() });
        self.world = None;
        false
    }

    /// The process is about to stop: what has not touched anything yet is given up, what has goes on.
    pub fn interrupt(&mut self, why: &str) {
        if self.tx.direction == Direction::Forward
            && !self.tx.touched
            && self.tx.ended.is_none()
            && self.repeat.is_none()
        {
            self.record(Record::Turned { to: Direction::Back, why: why.to_owned() });
            self.world = None;
        }
    }

    /// The engine was away and is back, and the act under way was not answered. It may have done it, and it may have
    /// stopped and started containers by itself: what a new process does is right here too.
    pub fn engine_was_away(&mut self) {
        self.take_over();
    }

    /// First the act whose answer is still owed, once more; then a fresh look.
    fn take_over(&mut self) {
        self.repeat = run::repeat(&self.tx);
        let pending = self.tx.pending.take().filter(|_| self.repeat.is_some());
        self.record(Record::Resumed);
        self.tx.pending = pending;
        self.world = None;
    }

    /// Whether an earlier process, or an earlier try, may have sent the stop already.
    fn stop_was_tried(&self) -> bool {
        self.tx.recoveries > 0
    }

    fn record(&mut self, record: Record) {
        self.tx.apply(&record);
        self.unsaved.push(record);
    }
}
